/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what comes is the head of a request: lines that end in CR LF, no other control
 * characters, and header lines that are a name and a colon (RFC 9112, 5). libwebsockets is more
 * lenient, and sees the end of a head elsewhere, or never: a line without a colon, or with a name
 * that is only the beginning of one it knows, swallows the lines behind it, and no answer follows.
 * So a head that has such a line ends before it, in a way that libwebsockets understands.
 *
 * Thread: any. Cost: a look at each byte, and at libwebsockets' hundred names for each line; no
 * allocation, no I/O.
 */
#ifndef SIMCAST_DAEMON_HEAD_H
#define SIMCAST_DAEMON_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_BYTES_MAX 8192u
#define HEAD_ENDING_BYTES_MAX 6u /* head_finish writes no more */
#define HEAD_NAME_BYTES_MAX 64u  /* of longer names no more is kept: libwebsockets knows none */

enum head_status {
    HEAD_GOES_ON,
    HEAD_WHOLE,
    HEAD_TOO_LONG, /* answer 431 */
    HEAD_REFUSED,  /* a header line that nobody may send: answer 400 */
    HEAD_BROKEN,   /* a strange line end or a control character: hang up */
};

/* Zero it before each head; the fields belong to head.c. */
struct head {
    enum { HEAD_FIRST_LINE, HEAD_NAME, HEAD_VALUE } place;
    unsigned end_bytes; /* of CR LF CR LF, that came: odd after a CR */
    size_t bytes;
    size_t name_bytes;
    char name[HEAD_NAME_BYTES_MAX]; /* in small letters */
};

/*
 * Takes bytes as they came, up to the end of the head or to what it must not have. *ret_passed is
 * how many of them may pass. Anything but HEAD_GOES_ON is the last of this head.
 */
enum head_status head_take(struct head *head, const uint8_t *bytes, size_t size,
                           size_t *ret_passed);

/* Writes what ends a head that is to be answered where it stands now. Returns how much. */
size_t head_finish(const struct head *head, uint8_t ret_bytes[HEAD_ENDING_BYTES_MAX]);

#endif
