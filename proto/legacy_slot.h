/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the legacy frame slot: a file that always holds the newest encoded frame of a
 * simulator that does not use simcast's ring. See docs/wire.md "The legacy frame slot".
 *
 * Thread: any. Cost: no I/O, no allocation; the check walks the payload when crc is on.
 */
#ifndef SIMCAST_PROTO_LEGACY_SLOT_H
#define SIMCAST_PROTO_LEGACY_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/video.h"

#define LEGACY_SLOT_SEQUENCE_OFFSET 0
#define LEGACY_SLOT_LENGTH_OFFSET 8
#define LEGACY_SLOT_HEADER_OFFSET 16
#define LEGACY_SLOT_PAYLOAD_OFFSET 48

/*
 * Checks a *copy* of header and payload (length_bytes from LEGACY_SLOT_HEADER_OFFSET on, as the
 * file's length field said). On success fills *ret_header. Errors: -EPROTO when length, size or
 * codec contradict each other; -EBADMSG when check_crc is set, the CRC is not 0 and differs.
 */
int legacy_slot_check(const uint8_t *copy, size_t length_bytes, bool check_crc,
                      struct video_header *ret_header);

#endif
