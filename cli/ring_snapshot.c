/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consumes a ring until a picture comes that was published after we asked, copies it while it is
 * pinned, and writes it when it is no longer. A picture whose pin was revoked meanwhile is dropped
 * and the next one taken.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/ring_command.h"
#include "cli/ring_survey.h"
#include "cli/still.h"
#include "cli/still_file.h"
#include "cli/values.h"
#include "proto/pixel.h"
#include "proto/video.h"

#define TIMEOUT_S_DEFAULT 5
#define TIMEOUT_S_MAX 86400
#define WAIT_MS 100

enum { FLAG_TIMEOUT = 1, FLAG_IPC_DIR, FLAG_HELP };

static const struct option flags[] = {
    {"timeout", required_argument, NULL, FLAG_TIMEOUT},
    {"ipc-dir", required_argument, NULL, FLAG_IPC_DIR},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static const char help[] =
    "Usage: simcast ring snapshot NAME[.KIND] FILE [OPTION]...\n"
    "Writes the next picture of a stream to a file, top row first. It asks for frames while it\n"
    "waits, so that a simulator that nobody watches renders one.\n"
    "\n"
    "  NAME or NAME.frames   raw pictures, to FILE.png, FILE.jpg, or FILE.npy for NumPy (uint8,\n"
    "                        height x width x channels); depth to FILE.npy (float32)\n"
    "  NAME.packets          coded pictures as they are: JPEG to FILE.jpg, an H.264 keyframe to\n"
    "                        FILE.h264\n"
    "  --timeout SECONDS     how long to wait for it (default 5)\n"
    "  --ipc-dir DIR         where the rings are (SIMCAST_IPC_DIR, " RING_DIR_DEFAULT ")\n"
    "\n"
    "  simcast ring snapshot front picture.png\n"
    "  python3 -c 'import numpy; print(numpy.load(\"picture.npy\").shape)'\n";

struct snapshot {
    const char *dir;
    char stream[RING_STREAM_BYTES];
    enum ring_kind kind;
    const char *path;
    enum still_format format;
    uint64_t timeout_s;

    struct ring_consumer *ring;
    int64_t begin_ns;
    bool seen; /* there is a picture, but an older one */

    /* What was taken: one of these two. */
    struct still still;
    uint8_t *coded;
    size_t coded_bytes;
};

/* ---- taking ------------------------------------------------------------------------------- */

static int take_frame(struct snapshot *snapshot, const struct ring_view *view)
{
    const struct ring_frame *frame = &view->frame;
    int error = still_init(&snapshot->still, frame, view->payload);

    if (error == -EPROTO) {
        log_error("ring snapshot: %s.frames holds a picture of %" PRIu32 "x%" PRIu32
                  " pixels (%s) with a stride of %" PRIu32 " in %" PRIu64
                  " bytes, which cannot be: repair its producer",
                  snapshot->stream, frame->width, frame->height, pixel_name(frame->fourcc),
                  frame->stride_bytes, frame->payload_bytes);
    }
    if (error == -EPROTONOSUPPORT) {
        log_error("ring snapshot: %s.frames holds pixels of fourcc 0x%08" PRIx32
                  " (%s) or an odd size, which this program cannot convert",
                  snapshot->stream, frame->fourcc, pixel_name(frame->fourcc));
    }
    if (error == 0 && snapshot->still.sample_bytes != 1 && snapshot->format != STILL_NPY) {
        log_error("ring snapshot: %s.frames carries depth, which goes to .npy only",
                  snapshot->stream);
        still_fini(&snapshot->still);
        error = -EINVAL;
    }
    return error;
}

/* -EAGAIN: nothing that stands alone. */
static int take_packet(struct snapshot *snapshot, const struct ring_view *view)
{
    struct video_packet_view packet;

    if (video_packet_parse(view->payload, view->frame.payload_bytes, &packet) < 0)
        return -EAGAIN;
    bool jpeg = packet.header.codec == VIDEO_CODEC_JPEG;
    if (packet.header.codec == VIDEO_CODEC_HEVC ||
        snapshot->format != (jpeg ? STILL_JPEG : STILL_H264)) {
        log_error("ring snapshot: %s.packets carries %s, which does not go to '%.200s': %s",
                  snapshot->stream, video_codec_name(packet.header.codec), snapshot->path,
                  jpeg ? "name the file .jpg"
                       : "name the file .h264, or take the raw picture of the .frames ring");
        return -EINVAL;
    }
    if (!(view->frame.flags & RING_FRAME_KEYFRAME))
        return -EAGAIN;
    snapshot->coded = malloc(packet.header.size);
    if (!snapshot->coded)
        return -ENOMEM;
    memcpy(snapshot->coded, packet.payload, packet.header.size);
    snapshot->coded_bytes = packet.header.size;
    return 0;
}

static void drop(struct snapshot *snapshot)
{
    still_fini(&snapshot->still);
    free(snapshot->coded);
    snapshot->coded = NULL;
}

/* Looks at one frame. Errors: -EAGAIN not that one; others are final. */
static int try_one(struct snapshot *snapshot)
{
    bool packets = snapshot->kind == RING_KIND_PACKETS;
    struct ring_view view;
    int error = ring_acquire(snapshot->ring, packets ? RING_NEXT : RING_LATEST, &view);

    if (error < 0)
        return error == -EPROTO || error == -EPIPE ? -EAGAIN : error;
    snapshot->seen = true;
    if (view.frame.stamp_ns[packets ? RING_STAGE_PACKET_PUBLISHED : RING_STAGE_PUBLISHED] <
        snapshot->begin_ns)
        error = -EAGAIN;
    else
        error = packets ? take_packet(snapshot, &view) : take_frame(snapshot, &view);
    if (ring_release(snapshot->ring, &view) == -ESTALE && error == 0) {
        drop(snapshot);
        error = -EAGAIN;
    }
    return error;
}

static void explain_timeout(const struct snapshot *snapshot)
{
    const char *kind = survey_kind_name(snapshot->kind);
    const char *reason = ring_consumer_link_reason(snapshot->ring);

    /* A connection that nobody accepts yet gives no reason. */
    if (ring_consumer_link(snapshot->ring) != RING_ATTACHED)
        log_error("ring snapshot: %s",
                  reason[0] != '\0' ? reason
                                    : "the producer does not answer: is it stopped or hung?");
    else
        log_error("ring snapshot: the producer of %s.%s published no %s within %" PRIu64
                  " s: is it paused, or does it wait for its own input?",
                  snapshot->stream, kind, snapshot->seen ? "new picture" : "picture",
                  snapshot->timeout_s);
}

static int take(struct snapshot *snapshot)
{
    struct ring_consumer_config config = {
        .dir = snapshot->dir, .stream = snapshot->stream, .kind = snapshot->kind};
    int error = ring_consumer_open(&config, &snapshot->ring);

    if (error < 0) {
        log_error("ring snapshot: cannot open %s in %s: %s", snapshot->stream, snapshot->dir,
                  strerrordesc_np(-error));
        return error;
    }
    snapshot->begin_ns = clock_now_ns();
    int64_t give_up_ns = snapshot->begin_ns + (int64_t)snapshot->timeout_s * NS_PER_S;
    ring_consumer_want(snapshot->ring, true);
    if (snapshot->kind == RING_KIND_PACKETS)
        ring_consumer_request_keyframe(snapshot->ring);
    while ((error = try_one(snapshot)) == -EAGAIN && clock_now_ns() < give_up_ns)
        ring_consumer_wait(snapshot->ring, WAIT_MS);
    if (error == -EAGAIN)
        explain_timeout(snapshot);
    ring_consumer_close(snapshot->ring);
    return error;
}

static int run(struct snapshot *snapshot)
{
    int error = take(snapshot);

    if (error == -ENOMEM)
        log_error("ring snapshot: out of memory");
    if (error < 0)
        return 1;
    if (snapshot->coded)
        error = still_file_write_bytes(snapshot->coded, snapshot->coded_bytes, snapshot->path);
    else
        error = still_file_write(&snapshot->still, snapshot->format, snapshot->path);
    drop(snapshot);
    if (error < 0)
        log_error("ring snapshot: cannot write %s: %s", snapshot->path, strerrordesc_np(-error));
    return error < 0 ? 1 : 0;
}

/* ---- the command line --------------------------------------------------------------------- */

static int refuse(const char *what, const char *which)
{
    log_error("ring snapshot: %s '%.200s'; try simcast ring snapshot --help", what, which);
    return EX_CONFIG;
}

/* Checks name and file against each other. Returns 0 or the exit code. */
static int take_names(struct snapshot *snapshot, const char *name, const char *path)
{
    snapshot->path = path;
    if (survey_parse(name, snapshot->stream, &snapshot->kind) < 0)
        return refuse("no stream can be called", name);
    if (snapshot->kind == RING_KIND_COUNT)
        snapshot->kind = RING_KIND_FRAMES;
    if (snapshot->kind != RING_KIND_FRAMES && snapshot->kind != RING_KIND_PACKETS)
        return refuse("there are no pictures in", name);
    if (still_format_parse(path, &snapshot->format) < 0)
        return refuse("the file must end in .png, .jpg, .npy or .h264, not", path);
    if (snapshot->kind == RING_KIND_FRAMES && snapshot->format == STILL_H264)
        return refuse("raw pictures go to .png, .jpg or .npy, not", path);
    if (snapshot->kind == RING_KIND_PACKETS && snapshot->format != STILL_JPEG &&
        snapshot->format != STILL_H264)
        return refuse("packets go to .jpg or .h264 (and the raw picture is in NAME.frames), not",
                      path);
    return 0;
}

int ring_snapshot_main(int argc, char **argv)
{
    struct snapshot snapshot = {.dir = value_ipc_dir(), .timeout_s = TIMEOUT_S_DEFAULT};
    int flag;

    optind = 0; /* glibc: start anew */
    while ((flag = getopt_long(argc, argv, ":", flags, NULL)) != -1) {
        if (flag == FLAG_HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (flag == FLAG_IPC_DIR)
            snapshot.dir = optarg;
        else if (flag != FLAG_TIMEOUT)
            return refuse("unknown option, or one without its value,", argv[optind - 1]);
        else if (!value_number(optarg, 1, TIMEOUT_S_MAX, &snapshot.timeout_s))
            return refuse("--timeout: expected a whole number of seconds, got", optarg);
    }
    if (optind != argc - 2)
        return refuse("expected the name of a stream and a file after", argv[0]);
    int exit_code = take_names(&snapshot, argv[optind], argv[optind + 1]);
    return exit_code ? exit_code : run(&snapshot);
}
