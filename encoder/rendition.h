/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rendition: one way of coding a camera, with a packet ring of its own. It is coded once,
 * whoever watches, and only while somebody wants its packets. The default rendition's ring has
 * the camera's name; every other is CAMERA+NAME and keeps its codec whatever its viewers ask.
 *
 * Thread: one; nothing blocks but the encoder itself.
 */
#ifndef SIMCAST_ENCODER_RENDITION_H
#define SIMCAST_ENCODER_RENDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "encoder/coder.h"
#include "encoder/mosaic.h"
#include "encoder/rendition_spec.h"
#include "encoder/shared_view.h"

struct rendition;

struct rendition_config {
    const char *dir; /* NULL: RING_DIR_DEFAULT. Borrowed until open returns, as is `camera` */
    const char *camera;
    struct rendition_spec spec; /* codec, jpeg_quality, bitrate_bps and preset set */
    struct coder coder;         /* how to choose and set up a codec; none runs */
    bool crc;                   /* fill in the packets' CRC-32 */
    size_t packet_bytes_max;    /* size of a packet slot */
};

struct rendition_counts {
    uint64_t encoded;   /* pictures made into packets */
    uint64_t keyframes; /* of these */
    uint64_t bytes;     /* in these */
    uint64_t degraded;  /* of these, coded worse than asked to fit a slot */
    uint64_t over_rate; /* frames left out to keep to fps */
    uint64_t refused;   /* frames that no codec takes */
    uint64_t lost;      /* pictures that did not fit a slot, or that the encoder failed on */
    uint64_t gpu_lost;  /* times that a GPU failed in mid-stream and the processor took over */
};

/* A picture to code and what it was made of; all borrowed. */
struct rendition_input {
    const struct ring_frame *frame;
    const void *user;              /* frame->user_bytes of metadata */
    const struct picture *picture; /* the whole frame, or smaller */
    struct shared_view *view; /* the memory that `picture` points into; NULL: not the frame's */
};

/* On success the caller owns *ret_rendition. Errors are those of ring_producer_open. */
int rendition_open(const struct rendition_config *config, struct rendition **ret_rendition);

/* Takes NULL. */
void rendition_close(struct rendition *rendition);

/* Its ring's name. */
const char *rendition_name(const struct rendition *rendition);

/* Readable when rendition_follow has something to do. Borrowed. */
int rendition_fd(const struct rendition *rendition);

/* Takes over what consumers ask. Returns whether the settings changed. */
bool rendition_follow(struct rendition *rendition);

/* As they are now. Borrowed. */
const struct stream_settings *rendition_settings(const struct rendition *rendition);

/* What the picture is to fit; 0 by 0: full size. */
struct mosaic_size rendition_box(const struct rendition *rendition);

/* Whether somebody wants packets. */
bool rendition_wanted(const struct rendition *rendition);

/* Whether to code the frame that was made at `made_ns`: somebody wants it, and it is due. */
bool rendition_takes(struct rendition *rendition, int64_t made_ns);

/* Another simulator: what was coded before means nothing to what comes. */
void rendition_restart(struct rendition *rendition);

/*
 * Codes the picture and publishes it. Is done with input->view exactly once, as early as can be.
 * `slices_max`: threads that may share a picture as H.264, 0: as many as pay. What goes wrong
 * concerns one frame: it is counted, and named once.
 */
void rendition_encode(struct rendition *rendition, const struct rendition_input *input,
                      unsigned slices_max);

struct rendition_counts rendition_counts(const struct rendition *rendition);

/* From a frame's first touch to its finished packet. Borrowed. */
const struct histogram *rendition_encode_times(const struct rendition *rendition);

/* The codec that runs: "640x480 at 30 fps as h264 with libx264"; "" when none does. */
void rendition_describe(const struct rendition *rendition, char *ret_text, size_t text_bytes);

#endif
