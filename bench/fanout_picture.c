/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing but albums. The patterns follow from their numbers, in every process alike. */
#include "bench/fanout_picture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define SEGMENT_BYTES_MAX 0x7000 /* of a comment, its length field included; no byte is 0xff */
#define LENGTH_BYTES 2
#define MARKER_BYTES 2
#define MARK_TEXT_BYTES (FANOUT_MARK_BYTES - 2 * MARKER_BYTES - LENGTH_BYTES)
#define STAMP_FORMAT "%016" PRIx64 " %016" PRIx64
#define CRC_FORMAT " %08" PRIx32 /* of the body and the stamp */

/* Start of image, an empty table, and the head of the first comment, which begins with "#N". */
static const uint8_t opening[] = {0xff, 0xd8, 0xff, 0xc4, 0x00, 0x02};

static uint8_t next_character(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint8_t)(*state >> 32) & 0x7f;
}

static void draw_comment(uint8_t *segment, size_t segment_bytes, uint64_t *state)
{
    size_t length = segment_bytes - MARKER_BYTES;

    segment[0] = 0xff;
    segment[1] = 0xfe;
    segment[2] = (uint8_t)(length >> 8);
    segment[3] = (uint8_t)length;
    for (size_t i = MARKER_BYTES + LENGTH_BYTES; i < segment_bytes; i++)
        segment[i] = next_character(state);
}

static void draw_body(uint8_t *body, size_t body_bytes, unsigned pattern)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15) * (pattern + 1);
    size_t at = sizeof(opening);

    memcpy(body, opening, sizeof(opening));
    while (at < body_bytes) {
        size_t left = body_bytes - at;
        size_t segment = left < SEGMENT_BYTES_MAX ? left : SEGMENT_BYTES_MAX;
        /* What is left over must have room for a head of its own. */
        if (left > segment && left - segment < MARKER_BYTES + LENGTH_BYTES)
            segment -= MARKER_BYTES + LENGTH_BYTES;
        draw_comment(body + at, segment, &state);
        at += segment;
    }
    body[sizeof(opening) + MARKER_BYTES + LENGTH_BYTES] = '#';
    body[sizeof(opening) + MARKER_BYTES + LENGTH_BYTES + 1] = (uint8_t)('0' + pattern);
}

int fanout_album_create(size_t picture_bytes, struct fanout_album **ret_album)
{
    if (picture_bytes < FANOUT_PICTURE_BYTES_MIN)
        return -EINVAL;
    size_t body_bytes = picture_bytes - FANOUT_MARK_BYTES;
    struct fanout_album *album = malloc(sizeof(*album) + FANOUT_PICTURES * body_bytes);

    if (!album)
        return -ENOMEM;
    album->picture_bytes = picture_bytes;
    album->body_bytes = body_bytes;
    for (unsigned i = 0; i < FANOUT_PICTURES; i++) {
        album->bodies[i] = (uint8_t *)(album + 1) + i * body_bytes;
        draw_body(album->bodies[i], body_bytes, i);
        album->body_crcs[i] = (uint32_t)crc32(0, album->bodies[i], (uInt)body_bytes);
    }
    *ret_album = album;
    return 0;
}

void fanout_album_destroy(struct fanout_album *album)
{
    free(album);
}

static unsigned pattern_of(uint64_t seq)
{
    return (unsigned)(seq % FANOUT_PICTURES);
}

static void write_mark(const struct fanout_album *album, const struct fanout_mark *mark,
                       uint8_t bytes[FANOUT_MARK_BYTES])
{
    char text[MARK_TEXT_BYTES];
    int count = snprintf(text, sizeof(text), STAMP_FORMAT, mark->seq, (uint64_t)mark->published_ns);
    uint32_t crc =
        (uint32_t)crc32(album->body_crcs[pattern_of(mark->seq)], (const Bytef *)text, (uInt)count);

    memset(bytes, ' ', FANOUT_MARK_BYTES);
    bytes[0] = 0xff;
    bytes[1] = 0xfe;
    bytes[2] = 0;
    bytes[3] = LENGTH_BYTES + MARK_TEXT_BYTES;
    count += snprintf(text + count, sizeof(text) - (size_t)count, CRC_FORMAT, crc);
    memcpy(bytes + MARKER_BYTES + LENGTH_BYTES, text, (size_t)count);
    bytes[FANOUT_MARK_BYTES - 2] = 0xff;
    bytes[FANOUT_MARK_BYTES - 1] = 0xd9;
}

uint32_t fanout_picture_mark(const struct fanout_album *album, const struct fanout_mark *mark,
                             uint8_t *picture)
{
    uint8_t *bytes = picture + album->body_bytes;

    write_mark(album, mark, bytes);
    return (uint32_t)crc32(album->body_crcs[pattern_of(mark->seq)], bytes, FANOUT_MARK_BYTES);
}

uint32_t fanout_picture_draw(const struct fanout_album *album, const struct fanout_mark *mark,
                             uint8_t *picture)
{
    memcpy(picture, album->bodies[pattern_of(mark->seq)], album->body_bytes);
    return fanout_picture_mark(album, mark, picture);
}

int fanout_picture_pattern(const struct fanout_album *album,
                           const uint8_t start[FANOUT_START_BYTES])
{
    for (unsigned i = 0; i < FANOUT_PICTURES; i++) {
        if (memcmp(start, album->bodies[i], FANOUT_START_BYTES) == 0)
            return (int)i;
    }
    return -EPROTO;
}

int fanout_picture_check(const struct fanout_album *album, unsigned pattern,
                         const uint8_t mark_bytes[FANOUT_MARK_BYTES], struct fanout_mark *ret_mark,
                         uint32_t *ret_crc)
{
    uint8_t expected[FANOUT_MARK_BYTES];
    char text[MARK_TEXT_BYTES + 1];
    uint64_t seq;
    uint64_t published_ns;

    memcpy(text, mark_bytes + MARKER_BYTES + LENGTH_BYTES, MARK_TEXT_BYTES);
    text[MARK_TEXT_BYTES] = '\0';
    if (sscanf(text, "%16" SCNx64 " %16" SCNx64, &seq, &published_ns) != 2 ||
        pattern_of(seq) != pattern)
        return -EBADMSG;
    const struct fanout_mark mark = {seq, (int64_t)published_ns};
    write_mark(album, &mark, expected);
    if (memcmp(mark_bytes, expected, FANOUT_MARK_BYTES) != 0)
        return -EBADMSG;
    *ret_mark = mark;
    *ret_crc = (uint32_t)crc32(album->body_crcs[pattern], mark_bytes, FANOUT_MARK_BYTES);
    return 0;
}
