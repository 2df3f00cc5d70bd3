/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the legacy frame slot (proto/legacy_slot.h) from its file. The writer neither waits nor
 * uses atomics, and may create, replace, truncate or garble the file at any time; the reader
 * copies with pread, never maps, and accepts only what is consistent. So nothing that happens
 * to the file can raise a signal here.
 *
 * Thread: one. Cost per new frame: one copy and, with crc on, one pass over it. When nothing is
 * new: one pread of 16 bytes.
 */
#ifndef SIMCAST_SHM_LEGACY_SLOT_FILE_H
#define SIMCAST_SHM_LEGACY_SLOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/video.h"

struct legacy_slot_file;

struct legacy_slot_counters {
    uint64_t frames;    /* accepted */
    uint64_t torn;      /* the sequence moved while copying */
    uint64_t malformed; /* lengths that contradict each other or the file */
    uint64_t bad_crc;
    uint64_t gaps; /* frame_seq jumped forward: frames the writer overwrote */
};

/*
 * `path` is copied; the file need not exist. slot_bytes_max bounds header and payload.
 * Errors: -EINVAL, -ENOMEM.
 */
int legacy_slot_file_open(const char *path, size_t slot_bytes_max, bool check_crc,
                          struct legacy_slot_file **ret_file);

/* Takes NULL. */
void legacy_slot_file_close(struct legacy_slot_file *file);

/*
 * Takes the newest frame if there is one that was not taken before, as a finished packet
 * (proto/video.h) in the reader's own buffer, valid until the next call.
 * Errors: -EAGAIN nothing new, or being written right now; -ENOENT no file; -EPROTO or -EBADMSG
 * garbage (counted; the same garbage is reported once); -EIO and others from the system.
 */
int legacy_slot_file_take(struct legacy_slot_file *file, struct video_packet_view *ret_packet);

/* The file's sequence number as last read; 0 before the first frame. */
uint64_t legacy_slot_file_sequence(const struct legacy_slot_file *file);

void legacy_slot_file_counters(const struct legacy_slot_file *file,
                               struct legacy_slot_counters *ret_counters);

#endif
