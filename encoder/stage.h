/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage: frames in from one ring, packets out to another. It encodes the newest frame, and
 * only while somebody wants packets; what the consumers of packets ask for (picture size, frame
 * rate, or nothing at all) it passes on to the simulator. Frames whose header lies are refused and
 * the next one is taken; a simulator that goes away is waited for.
 *
 *     stage_open(&config, &stage);
 *     for (;;) {
 *         stage_poll_fds(stage, fds);
 *         poll(fds, STAGE_POLL_FDS, -1);
 *         while (stage_step(stage)) ...
 *     }
 *
 * Thread: one; nothing blocks but the encoder itself.
 */
#ifndef SIMCAST_ENCODER_STAGE_H
#define SIMCAST_ENCODER_STAGE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "encoder/coder.h"
#include "proto/settings.h"

#define STAGE_POLL_FDS 2
#define STAGE_PACKET_BYTES_MIN 4096

struct stage;

struct stage_config {
    const char *dir;    /* NULL: RING_DIR_DEFAULT. Borrowed until open returns, as is `stream` */
    const char *stream; /* required */
    struct stream_settings settings; /* to begin with: codec, jpeg_quality, bitrate_bps and preset
                                        set; fps 0: as many as come; width and height unused */
    enum coder_choice choice;
    bool jpeg_instead;       /* when no H.264 encoder opens: send JPEG rather than nothing */
    unsigned jpeg_threads;   /* that share a picture as JPEG; 0: as many as pay */
    bool crc;                /* fill in the packets' CRC-32 */
    size_t packet_bytes_max; /* size of a packet slot, at least STAGE_PACKET_BYTES_MIN */
};

struct stage_counts {
    uint64_t encoded;   /* pictures made into packets */
    uint64_t keyframes; /* of these */
    uint64_t bytes;     /* in these */
    uint64_t degraded;  /* of these, coded worse than asked to fit a slot */
    uint64_t over_rate; /* frames left out to keep to fps */
    uint64_t refused;   /* frames that lie, or that no codec takes */
    uint64_t lost;      /* pictures that did not fit a slot, or that the encoder failed on */
};

/*
 * Opens both rings. On success the caller owns *ret_stage. Errors are those of
 * ring_producer_open (for <stream>.packets) and ring_consumer_open.
 */
int stage_open(const struct stage_config *config, struct stage **ret_stage);

/* Takes NULL. */
void stage_close(struct stage *stage);

/* The descriptors that wake the stage, with POLLIN asked for. Borrowed. */
void stage_poll_fds(const struct stage *stage, struct pollfd ret_fds[STAGE_POLL_FDS]);

/*
 * Follows the consumers' wishes, then handles at most one frame. True: call again before
 * sleeping. False: nothing to do until a descriptor is readable.
 */
bool stage_step(struct stage *stage);

struct stage_counts stage_counts(const struct stage *stage);

/* From a frame's first touch to its finished packet. Borrowed. */
const struct histogram *stage_encode_times(const struct stage *stage);

/* What the stage does now, as a phrase for a person ("idle: nobody wants packets"). */
void stage_describe(struct stage *stage, char *ret_text, size_t text_bytes);

#endif
