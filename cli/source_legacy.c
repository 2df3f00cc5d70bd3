/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the file's descriptor. Whatever garbling did to the file, the next frame makes it right
 * first: a regular file of full size.
 */
#include "cli/source_legacy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "proto/legacy_slot.h"
#include "proto/video.h"

#define GARBLE_ONE_IN 4u
#define NOISE_BYTES 512u

enum mischief {
    MISCHIEF_NONE,
    /* In what the frame says of itself. */
    MISCHIEF_LENGTH,
    MISCHIEF_SIZE,
    MISCHIEF_CODEC,
    MISCHIEF_HALF, /* the sequence is written before the second half of the payload */
    MISCHIEF_FLIP, /* a byte of the payload changes */
    MISCHIEF_BACK, /* the sequence starts anew */
    /* To the file, after the frame. */
    MISCHIEF_NOISE,
    MISCHIEF_TRUNCATE,
    MISCHIEF_REPLACE,
    MISCHIEF_REMOVE,
    MISCHIEF_STRANGER, /* a FIFO in its place */
    MISCHIEF_COUNT,
};

/* splitmix64 */
static uint64_t draw(struct legacy_writer *writer)
{
    uint64_t value = writer->random += UINT64_C(0x9e3779b97f4a7c15);

    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static int put(const struct legacy_writer *writer, const void *bytes, size_t count, off_t offset)
{
    ssize_t done = pwrite(writer->fd, bytes, count, offset);

    if (done < 0)
        return -errno;
    return (size_t)done == count ? 0 : -ENOSPC;
}

static int put_u64(const struct legacy_writer *writer, uint64_t value, off_t offset)
{
    uint8_t bytes[8];

    put_le64(bytes, value);
    return put(writer, bytes, sizeof(bytes), offset);
}

/* A regular file of full size under our path, open. */
static int make_right(struct legacy_writer *writer)
{
    struct stat status;

    if (writer->fd < 0) {
        if (lstat(writer->path, &status) == 0 && !S_ISREG(status.st_mode) &&
            unlink(writer->path) < 0)
            return -errno;
        writer->fd = open(writer->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (writer->fd < 0)
            return -errno;
    }
    if (fstat(writer->fd, &status) < 0)
        return -errno;
    if (status.st_size != LEGACY_WRITER_BYTES && ftruncate(writer->fd, LEGACY_WRITER_BYTES) < 0)
        return -errno;
    return 0;
}

int legacy_writer_open(struct legacy_writer *writer, const char *path, bool crc, uint64_t seed)
{
    struct stat status;

    *writer = (struct legacy_writer){.path = path, .fd = -1, .crc = crc, .random = seed};
    writer->frame_seq = (uint64_t)(clock_wall_ns() / NS_PER_MS); /* never runs backwards */
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return -EEXIST; /* not ours to remove */
    return make_right(writer);
}

void legacy_writer_close(struct legacy_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    writer->fd = -1;
}

static bool is_in_frame(enum mischief mischief)
{
    return mischief >= MISCHIEF_LENGTH && mischief <= MISCHIEF_FLIP;
}

static int put_frame(struct legacy_writer *writer, const struct legacy_frame *frame,
                     enum mischief mischief)
{
    struct video_header header = {
        .frame_id = writer->frame_seq,
        .frame_seq = writer->frame_seq,
        .size = (uint32_t)frame->payload_bytes,
        .flags = frame->keyframe ? VIDEO_FLAG_KEYFRAME : 0,
        .codec = (uint16_t)frame->codec,
        .crc32 = writer->crc ? video_crc32(frame->payload, frame->payload_bytes) : 0,
    };
    uint64_t length = VIDEO_HEADER_BYTES + frame->payload_bytes;
    size_t first = frame->payload_bytes;
    uint8_t bytes[VIDEO_HEADER_BYTES];
    int error = 0;

    if (mischief == MISCHIEF_LENGTH)
        length = draw(writer) >> draw(writer) % 64;
    if (mischief == MISCHIEF_SIZE)
        header.size = (uint32_t)draw(writer);
    if (mischief == MISCHIEF_CODEC)
        header.codec = (uint16_t)(4 + draw(writer) % 1000);
    if (mischief == MISCHIEF_HALF)
        first /= 2;
    if (mischief == MISCHIEF_BACK)
        writer->sequence = 0;
    video_header_encode(&header, bytes);
    error = error ? error : put_u64(writer, length, LEGACY_SLOT_LENGTH_OFFSET);
    error = error ? error : put(writer, bytes, sizeof(bytes), LEGACY_SLOT_HEADER_OFFSET);
    error = error ? error : put(writer, frame->payload, first, LEGACY_SLOT_PAYLOAD_OFFSET);
    if (mischief == MISCHIEF_FLIP && error == 0) {
        uint64_t at = draw(writer) % frame->payload_bytes;
        uint8_t flipped = (uint8_t)~frame->payload[at];
        error = put(writer, &flipped, 1, LEGACY_SLOT_PAYLOAD_OFFSET + (off_t)at);
    }
    error = error ? error : put_u64(writer, ++writer->sequence, LEGACY_SLOT_SEQUENCE_OFFSET);
    writer->frame_seq++;
    return error;
}

/* ---- what is done to the file ------------------------------------------------------------- */

static int put_noise(struct legacy_writer *writer)
{
    uint8_t noise[NOISE_BYTES];

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)draw(writer);
    /* From within the head on, so that the header's fields are hit in every combination. */
    return put(writer, noise, 1 + draw(writer) % sizeof(noise), (off_t)(draw(writer) % 64));
}

/* A new file with another number of zeroes, renamed over ours. */
static int replace(struct legacy_writer *writer)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s.new", writer->path) >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)(draw(writer) % LEGACY_WRITER_BYTES)) < 0 ||
        rename(path, writer->path) < 0) {
        int error = -errno;
        close(fd);
        unlink(path);
        return error;
    }
    legacy_writer_close(writer);
    writer->fd = fd;
    return 0;
}

static int spoil_file(struct legacy_writer *writer, enum mischief mischief)
{
    switch (mischief) {
    case MISCHIEF_NOISE:
        return put_noise(writer);
    case MISCHIEF_TRUNCATE:
        return ftruncate(writer->fd, (off_t)(draw(writer) % 4096)) < 0 ? -errno : 0;
    case MISCHIEF_REPLACE:
        return replace(writer);
    case MISCHIEF_REMOVE:
    case MISCHIEF_STRANGER:
        legacy_writer_close(writer);
        if (unlink(writer->path) < 0)
            return -errno;
        return mischief == MISCHIEF_STRANGER && mkfifo(writer->path, 0644) < 0 ? -errno : 0;
    default:
        return 0;
    }
}

static int put_with(struct legacy_writer *writer, const struct legacy_frame *frame,
                    enum mischief mischief)
{
    if (frame->payload_bytes == 0 ||
        frame->payload_bytes > LEGACY_WRITER_BYTES - LEGACY_SLOT_PAYLOAD_OFFSET)
        return -EMSGSIZE;
    int error = make_right(writer);
    if (error == 0)
        error = put_frame(writer, frame, mischief);
    if (error == 0)
        error = spoil_file(writer, mischief);
    writer->spoiled += is_in_frame(mischief) || mischief >= MISCHIEF_NOISE;
    return error;
}

int legacy_writer_put(struct legacy_writer *writer, const struct legacy_frame *frame)
{
    return put_with(writer, frame, MISCHIEF_NONE);
}

int legacy_writer_garble(struct legacy_writer *writer, const struct legacy_frame *frame)
{
    bool spoil = draw(writer) % GARBLE_ONE_IN == 0;

    return put_with(writer, frame,
                    spoil ? (enum mischief)(1 + draw(writer) % (MISCHIEF_COUNT - 1))
                          : MISCHIEF_NONE);
}
