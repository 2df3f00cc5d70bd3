/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one codec that runs now: chosen, opened, adapted and replaced as the wishes change. The
 * absence of NVENC, and of any encoder, is said once.
 *
 * Thread: one. Cost: nothing while the wish stays the same; opening takes milliseconds.
 */
#ifndef SIMCAST_ENCODER_CODER_H
#define SIMCAST_ENCODER_CODER_H

#include "encoder/codec.h"

enum coder_choice {
    CODER_AUTO,  /* NVENC where there is one, else libx264 */
    CODER_NVENC, /* the same; asked for by name */
    CODER_X264,
};

struct coder {
    enum coder_choice choice;
    bool jpeg_instead;       /* when no H.264 encoder opens: send JPEG rather than nothing */
    const char *name;        /* whose codec it is, for the log; borrowed */
    size_t packet_bytes_max; /* room for a coded picture */
    unsigned jpeg_threads;   /* these three as in struct codec_config */
    unsigned h264_threads;   /* may change; then another codec is opened */
    bool intra_refresh;

    const struct codec_backend *backend; /* NULL: none runs */
    struct codec *codec;
    struct stream_settings wish; /* that `backend` runs with, or that nothing could fulfil */
    unsigned h264_threads_now;   /* of `backend` */
    bool nvenc_absent;
};

enum coder_change {
    CODER_SAME, /* the stream goes on */
    CODER_NEW,  /* a codec was opened: its first picture must be a keyframe */
};

/*
 * Makes coder->codec run as wished: every field set, width and height of the pictures to come,
 * fps the rate to expect; `like` is the first of them. Returns enum coder_change, or -ENODEV when
 * no encoder fulfils the wish; this was logged, and is tried again only for another wish or after
 * coder_close.
 */
int coder_fulfil(struct coder *coder, const struct stream_settings *wish,
                 const struct picture *like);

/* Closes the codec, if one runs. The next wish, even the same, opens one anew. */
void coder_close(struct coder *coder);

#endif
