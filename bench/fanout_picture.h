/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures for case `fanout`: the frame of a JPEG around bytes that mean nothing, so that every
 * server carries them and a receiver can say of each byte whether it is right. What comes to be
 * decoded is not measured here.
 *
 *   start of image, an empty Huffman table, comments of random 7-bit characters, and as the last
 *   FANOUT_MARK_BYTES a comment with the mark and the end of image. No other bytes 0xff 0xd9.
 *
 * All but the mark is one of FANOUT_PICTURES patterns, in turn: picture `seq` has pattern
 * seq % FANOUT_PICTURES, so bytes of two neighbours never mix unseen.
 *
 * Thread: any. Cost: no I/O; fanout_album_create allocates.
 */
#ifndef SIMCAST_BENCH_FANOUT_PICTURE_H
#define SIMCAST_BENCH_FANOUT_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#define FANOUT_PICTURES 8
#define FANOUT_START_BYTES 16 /* enough to know the pattern by */
#define FANOUT_MARK_BYTES 64
#define FANOUT_PICTURE_BYTES_MIN 256

/* All patterns of one size, marks left out. */
struct fanout_album {
    size_t picture_bytes; /* each, mark included */
    size_t body_bytes;    /* each, without */
    uint8_t *bodies[FANOUT_PICTURES];
    uint32_t body_crcs[FANOUT_PICTURES]; /* zlib's CRC-32 */
};

/* What a picture says about itself. */
struct fanout_mark {
    uint64_t seq;         /* 1, 2, 3, ... */
    int64_t published_ns; /* when it was handed to the server */
};

/* Errors: -EINVAL too small, -ENOMEM. */
int fanout_album_create(size_t picture_bytes, struct fanout_album **ret_album);
void fanout_album_destroy(struct fanout_album *album); /* takes NULL */

/* Writes picture mark->seq and returns its CRC-32. `picture` has room for picture_bytes. */
uint32_t fanout_picture_draw(const struct fanout_album *album, const struct fanout_mark *mark,
                             uint8_t *picture);

/* Writes the mark alone into a picture whose body is there; returns the whole CRC-32. */
uint32_t fanout_picture_mark(const struct fanout_album *album, const struct fanout_mark *mark,
                             uint8_t *picture);

/* The pattern that a picture beginning so has; -EPROTO: it is none of ours. */
int fanout_picture_pattern(const struct fanout_album *album,
                           const uint8_t start[FANOUT_START_BYTES]);

/*
 * Reads the mark of a picture whose body was found to be that pattern. Returns 0, or -EBADMSG when
 * it is damaged or belongs to another picture. *ret_crc is the CRC-32 of the whole picture.
 */
int fanout_picture_check(const struct fanout_album *album, unsigned pattern,
                         const uint8_t mark_bytes[FANOUT_MARK_BYTES], struct fanout_mark *ret_mark,
                         uint32_t *ret_crc);

#endif
