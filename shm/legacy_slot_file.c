/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a descriptor of the slot's file and one buffer of fixed size. Runs on the caller's thread.
 * Whatever the file contains or becomes, the worst answer is an error and a counter.
 *
 * The writer bumps `sequence` only after the bytes, so while it writes frame n+1 the file still
 * says n: equal sequences before and after the copy do not prove that the copy is whole, the CRC
 * does. A copy that fails it is therefore tried again a few times before it counts as garbage.
 */
#include "shm/legacy_slot_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "proto/legacy_slot.h"

#define GARBAGE_TRIES 20

static_assert(VIDEO_HEADER_OFFSET + VIDEO_HEADER_BYTES == VIDEO_PAYLOAD_OFFSET,
              "header and payload lie in a packet as they lie in the slot");

struct legacy_slot_file {
    char *path;
    int fd;
    dev_t device;
    ino_t inode;
    bool check_crc;
    size_t slot_bytes_max;
    uint8_t *packet;         /* VIDEO_HEADER_OFFSET + slot_bytes_max */
    uint64_t sequence;       /* of the file, as last read */
    uint64_t taken_sequence; /* of the frame last taken */
    uint64_t garbage_sequence;
    unsigned garbage_tries;
    uint64_t frame_seq;
    struct legacy_slot_counters counters;
};

int legacy_slot_file_open(const char *path, size_t slot_bytes_max, bool check_crc,
                          struct legacy_slot_file **ret_file)
{
    if (!path || slot_bytes_max <= LEGACY_SLOT_PAYLOAD_OFFSET || slot_bytes_max > UINT32_MAX)
        return -EINVAL;
    struct legacy_slot_file *file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    file->fd = -1;
    file->check_crc = check_crc;
    file->slot_bytes_max = slot_bytes_max;
    file->path = strdup(path);
    file->packet = malloc(VIDEO_HEADER_OFFSET + slot_bytes_max);
    if (!file->path || !file->packet) {
        legacy_slot_file_close(file);
        return -ENOMEM;
    }
    *ret_file = file;
    return 0;
}

void legacy_slot_file_close(struct legacy_slot_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file->packet);
    free(file);
}

/* Opens the file that the path names now; a replaced file is a new one. */
static int follow_path(struct legacy_slot_file *file, struct stat *status)
{
    if (stat(file->path, status) < 0) {
        int error = -errno;
        if (file->fd >= 0)
            close(file->fd);
        file->fd = -1;
        return error;
    }
    if (file->fd >= 0 && status->st_ino == file->inode && status->st_dev == file->device)
        return 0;
    if (file->fd >= 0)
        close(file->fd);
    /* Not blocking, should somebody have put a FIFO there. */
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0)
        return -errno;
    file->inode = status->st_ino;
    file->device = status->st_dev;
    file->taken_sequence = 0;
    file->garbage_tries = 0;
    return 0;
}

static int read_at(int fd, uint8_t *bytes, size_t length, off_t offset)
{
    size_t done = 0;

    while (done < length) {
        ssize_t got = pread(fd, bytes + done, length - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -EPROTO; /* truncated under us */
        done += (size_t)got;
    }
    return 0;
}

/* Reports garbage once, then stays quiet until the sequence moves. */
static int garbage(struct legacy_slot_file *file, uint64_t sequence, uint64_t *counter, int error)
{
    if (file->garbage_sequence == sequence && file->garbage_tries > 0) {
        file->garbage_tries++;
        return -EAGAIN;
    }
    file->garbage_sequence = sequence;
    file->garbage_tries = 1;
    (*counter)++;
    return error;
}

static int copy_frame(struct legacy_slot_file *file, const struct stat *status, uint64_t sequence,
                      size_t length_bytes)
{
    uint8_t again[sizeof(uint64_t)];

    if (length_bytes <= VIDEO_HEADER_BYTES ||
        length_bytes > file->slot_bytes_max - LEGACY_SLOT_HEADER_OFFSET ||
        (uint64_t)status->st_size < LEGACY_SLOT_HEADER_OFFSET + (uint64_t)length_bytes)
        return -EPROTO;
    int error = read_at(file->fd, file->packet + VIDEO_HEADER_OFFSET, length_bytes,
                        LEGACY_SLOT_HEADER_OFFSET);
    if (error == 0)
        error = read_at(file->fd, again, sizeof(again), LEGACY_SLOT_SEQUENCE_OFFSET);
    if (error == 0 && get_le64(again) != sequence) {
        file->counters.torn++;
        return -EAGAIN;
    }
    return error;
}

static int accept_frame(struct legacy_slot_file *file, uint64_t sequence, size_t length_bytes,
                        struct video_packet_view *ret_packet)
{
    struct video_header header;
    int error = legacy_slot_check(file->packet + VIDEO_HEADER_OFFSET, length_bytes, file->check_crc,
                                  &header);

    if (error == -EBADMSG)
        return garbage(file, sequence, &file->counters.bad_crc, error);
    if (error < 0)
        return garbage(file, sequence, &file->counters.malformed, error);
    if (file->counters.frames > 0 && header.frame_seq > file->frame_seq + 1)
        file->counters.gaps += header.frame_seq - file->frame_seq - 1;
    file->frame_seq = header.frame_seq;
    file->taken_sequence = sequence;
    file->garbage_tries = 0;
    file->counters.frames++;
    video_packet_finish(file->packet, &header);
    return video_packet_parse(file->packet, VIDEO_HEADER_OFFSET + length_bytes, ret_packet);
}

int legacy_slot_file_take(struct legacy_slot_file *file, struct video_packet_view *ret_packet)
{
    uint8_t marks[LEGACY_SLOT_HEADER_OFFSET];
    struct stat status;
    int error = follow_path(file, &status);

    if (error < 0)
        return error;
    if (status.st_size < LEGACY_SLOT_HEADER_OFFSET)
        return -EAGAIN; /* just created or truncated: its writer is starting */
    error = read_at(file->fd, marks, sizeof(marks), 0);
    if (error < 0)
        return error == -EPROTO ? -EAGAIN : error;
    uint64_t sequence = get_le64(marks + LEGACY_SLOT_SEQUENCE_OFFSET);
    uint64_t length_bytes = get_le64(marks + LEGACY_SLOT_LENGTH_OFFSET);
    file->sequence = sequence;
    if (sequence == 0 || sequence == file->taken_sequence ||
        (sequence == file->garbage_sequence && file->garbage_tries >= GARBAGE_TRIES))
        return -EAGAIN;
    error = copy_frame(file, &status, sequence, length_bytes);
    if (error == -EPROTO)
        return garbage(file, sequence, &file->counters.malformed, error);
    if (error < 0)
        return error;
    return accept_frame(file, sequence, length_bytes, ret_packet);
}

uint64_t legacy_slot_file_sequence(const struct legacy_slot_file *file)
{
    return file->sequence;
}

void legacy_slot_file_counters(const struct legacy_slot_file *file,
                               struct legacy_slot_counters *ret_counters)
{
    *ret_counters = file->counters;
}
