/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage: frames of one camera in from their ring, packets of its renditions out to theirs. It
 * encodes the newest frame, and only for the renditions that somebody wants; what the viewers of
 * the default rendition ask for (picture size, frame rate), and whether anybody wants anything, it
 * passes on to the simulator. Frames whose header lies are refused and the next one is taken; a
 * simulator that goes away is waited for.
 *
 *     stage_open(&config, &stage);
 *     for (bool more = true;; more = stage_step(stage)) {
 *         unsigned count = stage_poll_fds(stage, fds);
 *         poll(fds, count, more ? 0 : -1);
 *     }
 *
 * One step at a time: behind a simulator that never pauses there is always one more.
 *
 * Thread: one per stage; nothing blocks but the encoder itself.
 */
#ifndef SIMCAST_ENCODER_STAGE_H
#define SIMCAST_ENCODER_STAGE_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encoder/rendition.h"

#define STAGE_POLL_FDS_MAX (1 + RENDITIONS_MAX)
#define STAGE_PACKET_BYTES_MIN 4096
/* Three JPEGs of 4096x2160 at quality 100, black and white noise: none that was tried is larger. */
#define STAGE_PACKET_BYTES_MAX (UINT32_C(64) << 20)

struct stage;

struct stage_config {
    const char *dir;    /* NULL: RING_DIR_DEFAULT. Borrowed until open returns, as is `stream` */
    const char *stream; /* required: the camera's name */
    struct stream_settings settings; /* of the default rendition, to begin with: codec,
                                        jpeg_quality, bitrate_bps and preset set; fps 0: as many
                                        as come; width and height unused */
    struct rendition_spec others[RENDITIONS_MAX - 1]; /* renditions beside the default one */
    unsigned other_count;
    enum coder_choice choice;
    bool jpeg_instead;     /* when no H.264 encoder opens: the default rendition is JPEG rather
                              than nothing */
    unsigned jpeg_threads; /* that share a picture as JPEG; 0: as many as pay */
    bool intra_refresh;    /* these two as in struct codec_config */
    unsigned vbv_pictures;
    bool crc;                /* fill in the packets' CRC-32 */
    size_t packet_bytes_max; /* size of a packet slot, STAGE_PACKET_BYTES_MIN to _MAX */
    atomic_uint *busy;       /* counts the cameras that are watched now; NULL: this is the only
                                one. While there are several, each picture has one thread */
};

/*
 * Opens all rings. On success the caller owns *ret_stage. Errors are those of ring_producer_open
 * (for <stream>.packets and its renditions) and ring_consumer_open; -ENAMETOOLONG also when the
 * camera's and a rendition's name are too long together.
 */
int stage_open(const struct stage_config *config, struct stage **ret_stage);

/* Takes NULL. */
void stage_close(struct stage *stage);

/* The descriptors that wake the stage, with POLLIN asked for; returns how many. Borrowed. */
unsigned stage_poll_fds(const struct stage *stage, struct pollfd ret_fds[STAGE_POLL_FDS_MAX]);

/*
 * Follows the consumers' wishes, then handles at most one frame. True: call again before
 * sleeping. False: nothing to do until a descriptor is readable.
 */
bool stage_step(struct stage *stage);

/* Whether the simulator's ring is attached. */
bool stage_attached(const struct stage *stage);

/* Its renditions, the default one first. Borrowed. */
unsigned stage_rendition_count(const struct stage *stage);
const struct rendition *stage_rendition(const struct stage *stage, unsigned i);

/* The sums over all renditions; `refused` includes the frames that lie. */
struct rendition_counts stage_counts(const struct stage *stage);

/* What the stage does now, as a phrase for a person ("idle: nobody wants packets"). */
void stage_describe(struct stage *stage, char *ret_text, size_t text_bytes);

#endif
