/* SPDX-License-Identifier: Apache-2.0 */
/*
 * H.264 and HEVC through libavcodec, for every encoder that it knows: x264.c and nvenc.c say in a
 * struct lavc_flavour how theirs is named and set up, and bring the pictures. Annex-B, parameter
 * sets in every IDR, no B-frames, one picture in, one access unit out, colours tagged smpte170m
 * and limited range. The caller alone decides which picture is an IDR.
 *
 * The only header of ours that names types of FFmpeg, for the two files that include it.
 *
 * Thread: one thread per codec; libavcodec may use more inside, but only until encode returns.
 */
#ifndef SIMCAST_ENCODER_LAVC_H
#define SIMCAST_ENCODER_LAVC_H

#include "encoder/codec.h"

struct AVBufferRef;
struct AVCodecContext;
struct AVFrame;
struct AVPacket;

struct lavc_option {
    const char *name; /* NULL ends the list */
    const char *value;
};

struct lavc_flavour {
    const char *encoder; /* libavcodec's name of it */
    const struct lavc_option *options;
    const char *const *presets; /* that it knows, the default first; NULL ends the list */
    unsigned slices_max;        /* threads that share a picture, one slice each */
    unsigned vbv_pictures;      /* a picture may take as much as so many average ones */
};

/* An open encoder; part of the back end's struct codec. Zeroed: none. */
struct lavc {
    struct AVCodecContext *context;
    struct AVPacket *packet;
    const struct lavc_flavour *flavour;
    struct codec_config config; /* its settings: as adapted since; `like` is gone */
    int64_t pts;
    struct codec_packet *room; /* where the running encode puts its packet; else NULL */
    bool room_too_small;
    bool rate_is_new;  /* the next picture is the first with it */
    bool rate_is_held; /* a tenth or more below what was asked, for a packet to fit its slot */
};

/*
 * Opens the flavour's encoder for I420 pictures in our memory (hw_frames NULL) or for pictures of
 * that pool, whose size is then the picture's. Borrows hw_frames until it returns. What was opened
 * is lavc_close's to close, also after an error. Errors as codec.h says.
 */
int lavc_open(struct lavc *lavc, const struct lavc_flavour *flavour,
              const struct codec_config *config, struct AVBufferRef *hw_frames);

/* Takes a zeroed one. */
void lavc_close(struct lavc *lavc);

bool lavc_has_preset(const struct lavc_flavour *flavour, const char *preset);

/* Bits that a picture gets on the average with these settings. */
int64_t lavc_picture_bits(const struct lavc *lavc, const struct stream_settings *settings);

/* Bitrate and fps from now on. False: another size or preset, nothing was changed. */
bool lavc_adapt(struct lavc *lavc, const struct stream_settings *settings);

/*
 * Codes a frame of the opened kind, which stays the caller's. Errors as codec.h says. When the
 * picture was the first with a new rate and the encoder did not take that, *ret_rate_refused is
 * set: the picture is coded nevertheless.
 */
int lavc_encode(struct lavc *lavc, struct AVFrame *frame, bool keyframe,
                struct codec_packet *packet, bool *ret_rate_refused);

/* From now on codec_complaint() says what FFmpeg complains of. lavc_open does so, too. */
void lavc_listen(void);

/* Negative errno of an error of libavutil. */
int lavc_errno(int code);

#endif
