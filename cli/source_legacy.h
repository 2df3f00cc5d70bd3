/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the legacy frame slot (docs/wire.md section 1) as its real writers do: piece by piece,
 * without atomics, the sequence last, for readers to be tested with. On demand it misbehaves.
 *
 * Thread: one. Cost: four system calls per frame.
 */
#ifndef SIMCAST_CLI_SOURCE_LEGACY_H
#define SIMCAST_CLI_SOURCE_LEGACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEGACY_WRITER_BYTES (4u << 20) /* of the file */

struct legacy_writer {
    const char *path; /* borrowed */
    int fd;           /* -1: the file must be made anew before the next frame */
    bool crc;         /* else the field is 0: the writer has it off */
    uint64_t sequence;
    uint64_t frame_seq; /* of the next frame */
    uint64_t random;    /* state of the generator; the seed at first */
    uint64_t spoiled;   /* frames that no reader may accept, or that are gone at once */
};

struct legacy_frame {
    const uint8_t *payload;
    size_t payload_bytes;
    unsigned codec; /* enum video_codec */
    bool keyframe;
};

/* Creates the file, or takes over the one that is there. Errors: from the system. */
int legacy_writer_open(struct legacy_writer *writer, const char *path, bool crc, uint64_t seed);

/* Leaves the file where it is. */
void legacy_writer_close(struct legacy_writer *writer);

/* Errors: -EMSGSIZE the payload does not fit the slot; others from the system. */
int legacy_writer_put(struct legacy_writer *writer, const struct legacy_frame *frame);

/*
 * The same, but at random one frame in four is written wrongly, or the file is truncated,
 * replaced, removed, or filled with noise right after it.
 */
int legacy_writer_garble(struct legacy_writer *writer, const struct legacy_frame *frame);

#endif
