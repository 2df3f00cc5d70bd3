/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one codec that runs now: chosen, opened, adapted and replaced as the wishes change. Of the
 * back ends that could fulfil a wish it takes the best that opens; one that does not open is said
 * once and not tried again, nor is a GPU that was lost.
 *
 * Thread: one. Cost: nothing while the wish stays the same; opening takes milliseconds.
 */
#ifndef SIMCAST_ENCODER_CODER_H
#define SIMCAST_ENCODER_CODER_H

#include "encoder/codec.h"

enum coder_choice {
    CODER_AUTO,  /* the GPU's encoders where there are any, else libx264 and libjpeg */
    CODER_NVENC, /* the same; asked for by name */
    CODER_X264,  /* the processor's encoders only */
};

struct coder {
    enum coder_choice choice;
    bool jpeg_instead;       /* when no H.264 encoder opens: send JPEG rather than nothing */
    const char *name;        /* whose codec it is, for the log; borrowed */
    size_t packet_bytes_max; /* room for a coded picture */
    unsigned jpeg_threads;   /* the rest as in struct codec_config */
    unsigned h264_threads;   /* may change; then another codec is opened */
    bool intra_refresh;
    unsigned vbv_pictures;

    const struct codec_backend *backend; /* NULL: none runs */
    struct codec *codec;
    struct stream_settings wish; /* that `backend` runs with, or that nothing could fulfil */
    enum ring_memory memory;     /* of the pictures that it was chosen for */
    unsigned h264_threads_now;   /* of `backend` */
    unsigned absent;             /* a bit per back end: it did not open, or its GPU was lost */
    unsigned gpu_losses;         /* in mid-stream */
    bool hevc_named;             /* that nobody encodes it was said */
    bool memory_short;           /* so nothing could be opened just now */
};

enum coder_change {
    CODER_SAME, /* the stream goes on */
    CODER_NEW,  /* a codec was opened: its first picture must be a keyframe */
};

/*
 * Makes coder->codec run as wanted: every field set, width and height of the pictures to come,
 * fps the rate to expect; `like` is the first of them, NULL: not known. HEVC that nobody encodes
 * here becomes H.264: backend->codec says what it is. Returns enum coder_change, or -ENODEV when
 * no encoder fulfils the wish; coder_reason() says why, this was logged, and is tried again only
 * for another wish or after coder_close. -ENOMEM: not now; try again with the next picture.
 */
int coder_fulfil(struct coder *coder, const struct stream_settings *wanted,
                 const struct picture *like);

/* Why the last wish was not fulfilled, as a phrase; a string constant. */
const char *coder_reason(const struct coder *coder);

/* Closes the codec, if one runs. The next wish, even the same, opens one anew. */
void coder_close(struct coder *coder);

/*
 * The codec failed on a picture: closes it. One on a GPU counts as lost with all others there,
 * which is logged; the next wish opens the processor's.
 */
void coder_lost(struct coder *coder);

/* Whether some back end of this choice could take pictures of the host faster when pinned. */
bool coder_wants_pinned(enum coder_choice choice);

#endif
