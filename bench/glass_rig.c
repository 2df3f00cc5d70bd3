/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the three programs and the connection of a rig; what fails ends them all. */
#include "bench/glass_rig.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bench/program.h"
#include "proto/pixel.h"
#include "shm/ring.h"

#define PATH_BYTES 4096
#define TEXT_BYTES 64
#define END_MS 5000
#define START_MS 10000
#define SETTLE_NS (NS_PER_S / 2) /* until all know that the viewer left, and sleep */
#define WARM_UP 20               /* frames; the waits learn the rhythm */

/* ---- the programs -------------------------------------------------------------------------- */

static int start_simulator(struct glass_rig *rig, const struct glass_setup *setup)
{
    char path[PATH_BYTES];
    char fps[TEXT_BYTES];
    const char *const argv[] = {
        path,          "--ipc-dir",  setup->dir,
        "--stream",    GLASS_STREAM, "--size",
        "1280x720",    "--fps",      fps,
        "--log-level", "error",      setup->source == GLASS_PATTERN ? "--pattern" : NULL,
        NULL,
    };

    program_path("sim/simcast-sim", path, sizeof(path));
    snprintf(fps, sizeof(fps), "%u", setup->fps);
    return program_start(&rig->source, argv, (struct program_pipes){-1, -1});
}

static int publish_picture(struct ring_producer *ring, const struct scene *clip, unsigned n)
{
    struct ring_loan loan;
    struct ring_frame frame = {
        .frame_id = n,
        .payload_bytes = clip->picture_pixels * 3,
        .flags = RING_FRAME_KEYFRAME | RING_FRAME_BOTTOM_UP,
        .fourcc = PIXEL_RGB24,
        .width = clip->width,
        .height = clip->height,
        .stride_bytes = clip->width * 3,
    };
    int error = ring_loan(ring, &loan);

    if (error < 0)
        return error;
    memcpy(loan.payload, scene_rgb24(clip, n), frame.payload_bytes);
    int64_t seq = ring_publish(ring, &loan, &frame);
    return seq < 0 ? (int)seq : 0;
}

/* A process of its own; runs until it is killed. */
static int publish_clip(void *context)
{
    const struct glass_setup *setup = context;
    struct ring_producer_config config = {
        .dir = setup->dir,
        .stream = GLASS_STREAM,
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = setup->clip->picture_pixels * 3,
    };
    struct ring_producer *ring;
    int64_t due_ns = clock_now_ns();

    if (ring_producer_open(&config, &ring) < 0)
        return 1;
    for (unsigned n = 1; publish_picture(ring, setup->clip, n) == 0; n++) {
        due_ns += NS_PER_S / setup->fps;
        struct timespec due = {due_ns / NS_PER_S, due_ns % NS_PER_S};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    return 1;
}

static int start_encoder(struct glass_rig *rig, const struct glass_setup *setup)
{
    char path[PATH_BYTES];
    const char *const argv[] = {
        path,         "--ipc-dir",       setup->dir, "--stream",    GLASS_STREAM, "--codec",
        setup->codec, "--codec-backend", "x264",     "--log-level", "error",      NULL,
    };

    program_path("encoder/simcast-encoder", path, sizeof(path));
    return program_start(&rig->encoder, argv, (struct program_pipes){-1, -1});
}

static int start_daemon(struct glass_rig *rig, const struct glass_setup *setup)
{
    char path[PATH_BYTES];
    char listen[TEXT_BYTES];
    static const char web[] = BENCH_SOURCE_DIR "/../web";
    const char *const argv[] = {
        path,         "--ipc-dir",   setup->dir, "--stream",
        GLASS_STREAM, "--listen",    listen,     "--video-source",
        "ring",       "--log-level", "error",    "--web-dir",
        web,          NULL,
    };

    rig->port = glass_port();
    program_path("daemon/simcastd", path, sizeof(path));
    snprintf(listen, sizeof(listen), "127.0.0.1:%u", (unsigned)rig->port);
    return program_start(&rig->daemon, argv, (struct program_pipes){-1, -1});
}

int glass_rig_open(struct glass_rig *rig, const struct glass_setup *setup)
{
    *rig = (struct glass_rig){.client.fd = -1, .browser = {.lines = -1, .stay = -1}};
    int error = start_daemon(rig, setup);
    if (error == 0)
        error = start_encoder(rig, setup);
    if (error == 0)
        error = setup->source == GLASS_CLIP ? peer_start(&rig->source, publish_clip, (void *)setup)
                                            : start_simulator(rig, setup);
    if (error < 0)
        glass_rig_close(rig);
    return error;
}

int glass_rig_watch(struct glass_rig *rig)
{
    return glass_client_open(&rig->client, rig->port, VIEWER_SUBPROTOCOL, START_MS);
}

void glass_rig_close(struct glass_rig *rig)
{
    struct peer *peers[] = {&rig->source, &rig->encoder, &rig->daemon};

    glass_client_close(&rig->client);
    glass_browser_close(&rig->browser);
    for (unsigned i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
        peer_signal(peers[i], SIGTERM);
    for (unsigned i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
        peer_join(peers[i], END_MS);
}

/* ---- frames -------------------------------------------------------------------------------- */

bool glass_frame_take(struct frame_info *pending, const struct glass_message *message,
                      struct glass_frame *ret_frame)
{
    if (message->bytes[0] == FRAME_INFO_MESSAGE_TYPE)
        frame_info_decode(message->bytes, message->count, pending);
    if (message->bytes[0] != VIDEO_MESSAGE_TYPE || message->count < 1 + VIDEO_HEADER_BYTES)
        return false;
    video_header_decode(message->bytes + 1, &ret_frame->header);
    ret_frame->info = *pending;
    ret_frame->arrived_ns = message->arrived_ns;
    return pending->frame_seq == ret_frame->header.frame_seq;
}

static void note_stages(const struct glass_frame *frame, struct glass_stages *stages)
{
    const int64_t *stamps = frame->info.stamp_ns;
    int64_t encode_ns = stamps[FRAME_STAGE_ENCODE_END] - stamps[FRAME_STAGE_ENCODE_BEGIN];
    int64_t all_ns = frame->arrived_ns - stamps[FRAME_STAGE_PUBLISHED];

    histogram_record(&stages->ring,
                     stamps[FRAME_STAGE_ENCODE_BEGIN] - stamps[FRAME_STAGE_PUBLISHED]);
    histogram_record(&stages->encode, encode_ns);
    histogram_record(&stages->packet,
                     stamps[FRAME_STAGE_PACKET_PUBLISHED] - stamps[FRAME_STAGE_ENCODE_END]);
    histogram_record(&stages->fanout,
                     stamps[FRAME_STAGE_SENT] - stamps[FRAME_STAGE_PACKET_PUBLISHED]);
    histogram_record(&stages->socket, frame->arrived_ns - stamps[FRAME_STAGE_SENT]);
    histogram_record(&stages->all, all_ns);
    histogram_record(&stages->minus_encode, all_ns - encode_ns);
}

int glass_rig_measure(struct glass_rig *rig, unsigned frames, struct glass_stages *ret_stages)
{
    int64_t give_up_ns =
        clock_now_ns() + START_MS * NS_PER_MS + 4 * (int64_t)frames * NS_PER_S / GLASS_FPS;
    struct pollfd fd = {.fd = rig->client.fd, .events = POLLIN};
    struct frame_info pending = {0};
    struct glass_message message;
    struct glass_frame frame;

    memset(ret_stages, 0, sizeof(*ret_stages));
    for (unsigned seen = 0; seen < WARM_UP + frames;) {
        int error = glass_client_receive(&rig->client, &message);
        if (error < 0 && error != -EAGAIN)
            return error;
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        if (error == -EAGAIN)
            poll(&fd, 1, 100);
        else if (glass_frame_take(&pending, &message, &frame) && seen++ >= WARM_UP)
            note_stages(&frame, ret_stages);
    }
    return 0;
}

/* ---- nobody watches ------------------------------------------------------------------------ */

double glass_rig_idle(struct glass_rig *rig, int64_t during_ns)
{
    poll(NULL, 0, (int)(SETTLE_NS / NS_PER_MS));
    int64_t began_ns = clock_now_ns();
    int64_t cpu_ns = program_cpu_ns(&rig->encoder) + program_cpu_ns(&rig->daemon);
    poll(NULL, 0, (int)(during_ns / NS_PER_MS));
    cpu_ns = program_cpu_ns(&rig->encoder) + program_cpu_ns(&rig->daemon) - cpu_ns;
    return 100.0 * (double)cpu_ns / (double)(clock_now_ns() - began_ns);
}
