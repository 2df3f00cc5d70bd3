/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a legacy writer or a ring, and the pictures that go there. One loop on an absolute
 * schedule; signals are blocked and taken where it sleeps. Whatever cannot be written ends it.
 */
#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/source_h264.h"
#include "cli/source_legacy.h"
#include "cli/source_options.h"
#include "cli/source_pattern.h"
#include "cli/still_jpeg.h"
#include "proto/legacy_slot.h"
#include "proto/pixel.h"
#include "proto/video.h"
#include "shm/ring.h"

#define JPEG_QUALITY 85
#define JPEG_BYTES_MAX (LEGACY_WRITER_BYTES - LEGACY_SLOT_PAYLOAD_OFFSET)

struct source {
    struct source_options options;
    struct legacy_writer writer;
    struct ring_producer *ring;

    struct still still; /* the pattern for JPEG */
    uint8_t *jpeg;
    const uint8_t *stream; /* --input, mapped */
    size_t stream_bytes;
    size_t stream_offset;

    uint64_t number; /* of the next picture */
    uint64_t written;
};

/* ---- where pictures come from ------------------------------------------------------------- */

/* The file's bytes; an empty file is an invalid argument to mmap. */
static int map_file(const char *path, const uint8_t **ret_bytes, size_t *ret_count)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &status) == 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int error = bytes == MAP_FAILED ? -errno : 0;
    close(fd);
    if (error < 0)
        return error;
    *ret_bytes = bytes;
    *ret_count = (size_t)status.st_size;
    return 0;
}

static int map_input(struct source *source)
{
    const char *path = source->options.input;
    struct h264_unit unit;
    int error = map_file(path, &source->stream, &source->stream_bytes);

    if (error < 0) {
        log_error("source: cannot read %s: %s", path, strerrordesc_np(-error));
        return error;
    }
    if (h264_unit_next(source->stream, source->stream_bytes, 0, &unit) == 0) {
        log_error("source: %s holds no H.264 picture: expected a byte stream (Annex-B), such as "
                  "ffmpeg -f h264 writes",
                  path);
        return -EINVAL;
    }
    return 0;
}

static int make_still(struct source *source)
{
    source->still = (struct still){.width = source->options.width,
                                   .height = source->options.height,
                                   .channels = 3,
                                   .sample_bytes = 1};
    source->still.pixels = malloc((size_t)3 * source->still.width * source->still.height);
    source->jpeg = malloc(JPEG_BYTES_MAX);
    if (source->still.pixels && source->jpeg)
        return 0;
    log_error("source: out of memory");
    return -ENOMEM;
}

static int next_jpeg(struct source *source, struct legacy_frame *ret_frame)
{
    size_t count = 0;

    source_pattern_draw(source->still.pixels, source->still.width, source->still.height,
                        source->number);
    int error = still_jpeg(&source->still, JPEG_QUALITY, source->jpeg, JPEG_BYTES_MAX, &count);
    *ret_frame = (struct legacy_frame){source->jpeg, count, VIDEO_CODEC_JPEG, true};
    return error;
}

/* The byte stream holds at least one picture, and begins anew after its last one. */
static void next_h264(struct source *source, struct legacy_frame *ret_frame)
{
    struct h264_unit unit;
    size_t end = h264_unit_next(source->stream, source->stream_bytes, source->stream_offset, &unit);

    if (end == 0)
        end = h264_unit_next(source->stream, source->stream_bytes, 0, &unit);
    source->stream_offset = end;
    *ret_frame =
        (struct legacy_frame){unit.bytes, unit.bytes_count, VIDEO_CODEC_H264, unit.keyframe};
}

/* ---- where they go ------------------------------------------------------------------------ */

static int write_legacy(struct source *source)
{
    struct legacy_frame frame;
    int error = 0;

    if (source->stream)
        next_h264(source, &frame);
    else
        error = next_jpeg(source, &frame);
    if (error == 0)
        error = source->options.garble ? legacy_writer_garble(&source->writer, &frame)
                                       : legacy_writer_put(&source->writer, &frame);
    if (error == -EMSGSIZE)
        log_error("source: picture %" PRIu64 " does not fit the slot's 4 MiB", source->number);
    else if (error < 0)
        log_error("source: cannot write %s: %s", source->options.legacy, strerrordesc_np(-error));
    source->written += error == 0;
    return error;
}

static int write_ring(struct source *source)
{
    const struct source_options *options = &source->options;
    struct ring_frame frame = {
        .frame_id = source->number,
        .payload_bytes = (uint64_t)3 * options->width * options->height,
        .flags = RING_FRAME_KEYFRAME,
        .fourcc = PIXEL_RGB24,
        .width = options->width,
        .height = options->height,
        .stride_bytes = 3 * options->width,
    };
    struct ring_demand demand;
    struct ring_loan loan;

    ring_producer_demand(source->ring, &demand);
    if (demand.wanting == 0)
        return 0;
    int error = ring_loan(source->ring, &loan);
    if (error < 0)
        return error;
    source_pattern_draw(loan.payload, options->width, options->height, source->number);
    frame.stamp_ns[RING_STAGE_RENDERED] = clock_now_ns();
    int64_t seq = ring_publish(source->ring, &loan, &frame);
    source->written += seq > 0;
    return seq < 0 ? (int)seq : 0;
}

/* ---- from start to end -------------------------------------------------------------------- */

static int open_legacy(struct source *source)
{
    const struct source_options *options = &source->options;
    int error = options->input ? map_input(source) : make_still(source);

    if (error < 0)
        return error;
    error = legacy_writer_open(&source->writer, options->legacy, options->crc, options->seed);
    if (error < 0) {
        log_error("source: cannot write %s: %s%s", options->legacy, strerrordesc_np(-error),
                  error == -EEXIST ? ", and it is no regular file: name another" : "");
        return error;
    }
    if (options->garble)
        log_info("source: garbling %s with --seed %" PRIu64, options->legacy, options->seed);
    else
        log_info("source: writing %s", options->legacy);
    return 0;
}

static int open_ring(struct source *source)
{
    const struct source_options *options = &source->options;
    struct ring_producer_config config = {
        .dir = options->dir,
        .stream = options->ring,
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = (size_t)3 * options->width * options->height,
    };
    int error = ring_producer_open(&config, &source->ring);

    if (error == -EADDRINUSE)
        log_error("source: another producer has the stream %s in %s: stop it, or name another",
                  options->ring, options->dir);
    else if (error < 0)
        log_error("source: cannot open the ring %s in %s: %s", options->ring, options->dir,
                  strerrordesc_np(-error));
    else
        log_info("source: %s.frames in %s is there; it is drawn while somebody wants it",
                 options->ring, options->dir);
    return error;
}

/* Returns whether a signal came before the time did. */
static bool ended_before(int64_t due_ns, const sigset_t *ends)
{
    int number;

    do {
        int64_t left_ns = due_ns - clock_now_ns();
        left_ns = left_ns > 0 ? left_ns : 0;
        struct timespec timeout = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
        number = sigtimedwait(ends, NULL, &timeout);
    } while (number < 0 && errno == EINTR);
    return number > 0;
}

static int play(struct source *source, const sigset_t *ends)
{
    int64_t period_ns = NS_PER_S / (int64_t)source->options.fps;
    int64_t due_ns = clock_now_ns();
    int64_t end_ns =
        source->options.seconds ? due_ns + (int64_t)source->options.seconds * NS_PER_S : INT64_MAX;

    for (; due_ns < end_ns; source->number++) {
        int error = source->ring ? write_ring(source) : write_legacy(source);
        if (error < 0)
            return error;
        due_ns += period_ns;
        if (due_ns < clock_now_ns())
            due_ns = clock_now_ns(); /* slower than asked for: no burst afterwards */
        if (ended_before(due_ns, ends))
            break;
    }
    log_info("source: %" PRIu64 " pictures written, %" PRIu64 " of them spoiled", source->written,
             source->writer.spoiled);
    return 0;
}

static void source_close(struct source *source)
{
    legacy_writer_close(&source->writer);
    ring_producer_close(source->ring);
    if (source->stream)
        munmap((void *)source->stream, source->stream_bytes);
    still_fini(&source->still);
    free(source->jpeg);
}

int source_main(int argc, char **argv)
{
    struct source source = {.writer = {.fd = -1}};
    sigset_t ends;
    int exit_code;

    if (!source_options_parse(argc, argv, &source.options, &exit_code))
        return exit_code;
    /* Before the ring starts its thread, which inherits this. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int error = source.options.ring ? open_ring(&source) : open_legacy(&source);
    if (error == 0)
        error = play(&source, &ends);
    source_close(&source);
    return error < 0 ? 1 : 0;
}
