/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-encoder between a frame ring and a packet ring of ours. A rig is one run of it; the
 * program is started before our rings start their threads, and ends with the rig.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "bench/encode_probes.h"
#include "bench/program.h"
#include "proto/pixel.h"
#include "shm/ring.h"

#define STREAM "bench"
#define ATTACH_NS (5 * NS_PER_S)
#define END_MS 5000
#define IDLE_FPS 30
#define IDLE_NS (2 * NS_PER_S)
#define IDLE_BRIEF_NS (NS_PER_S)
#define VIEWERS 3
#define VIEWERS_BRIEF 1
#define FIRST_PACKET_NS (5 * NS_PER_S)

struct rig {
    struct peer encoder;
    struct ring_producer *frames;
    struct ring_consumer *packets;
    const struct scene *scene;
    int64_t period_ns;
    int64_t due_ns; /* of the next frame */
    unsigned shown; /* frames */
};

static int start_encoder(struct rig *rig, const char *dir)
{
    char path[4096];
    const char *const argv[] = {
        path,        "--ipc-dir",       dir,     "--stream",  STREAM, "--codec",
        "h264",      "--codec-backend", "x264",  "--bitrate", "4",    "--preset",
        "ultrafast", "--log-level",     "error", NULL,
    };

    program_path("encoder/simcast-encoder", path, sizeof(path));
    return program_start(&rig->encoder, argv, (struct program_pipes){-1, -1});
}

static int open_rings(struct rig *rig, const char *dir)
{
    struct ring_producer_config frames = {
        .dir = dir,
        .stream = STREAM,
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = rig->scene->picture_pixels * 3,
    };
    struct ring_consumer_config packets = {.dir = dir, .stream = STREAM, .kind = RING_KIND_PACKETS};
    int error = ring_producer_open(&frames, &rig->frames);

    return error < 0 ? error : ring_consumer_open(&packets, &rig->packets);
}

/* Until the encoder has attached to our frames and we to its packets. */
static int await_attachment(struct rig *rig)
{
    int64_t give_up_ns = clock_now_ns() + ATTACH_NS;
    struct ring_demand demand = {0};
    struct ring_view view;

    while (demand.consumers == 0 || ring_consumer_link(rig->packets) != RING_ATTACHED) {
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        poll(NULL, 0, 1);
        ring_producer_demand(rig->frames, &demand);
        if (ring_acquire(rig->packets, RING_NEXT, &view) == 0)
            ring_release(rig->packets, &view);
    }
    return 0;
}

static void rig_close(struct rig *rig)
{
    ring_consumer_close(rig->packets);
    ring_producer_close(rig->frames);
    peer_signal(&rig->encoder, SIGTERM);
    peer_join(&rig->encoder, END_MS);
}

/* On failure nothing is left to close. */
static int rig_open(struct rig *rig, const char *dir, const struct scene *scene, unsigned fps)
{
    *rig = (struct rig){.scene = scene, .period_ns = NS_PER_S / fps};
    int error = start_encoder(rig, dir);
    if (error == 0)
        error = open_rings(rig, dir);
    if (error == 0)
        error = await_attachment(rig);
    if (error < 0)
        rig_close(rig);
    rig->due_ns = clock_now_ns() + rig->period_ns;
    return error;
}

static int publish_frame(struct rig *rig)
{
    const struct scene *scene = rig->scene;
    struct ring_loan loan;
    struct ring_frame frame = {
        .frame_id = ++rig->shown,
        .payload_bytes = scene->picture_pixels * 3,
        .flags = RING_FRAME_KEYFRAME | RING_FRAME_BOTTOM_UP,
        .fourcc = PIXEL_RGB24,
        .width = scene->width,
        .height = scene->height,
        .stride_bytes = scene->width * 3,
    };
    int error = ring_loan(rig->frames, &loan);

    if (error < 0)
        return error;
    memcpy(loan.payload, scene_rgb24(scene, rig->shown), frame.payload_bytes);
    int64_t seq = ring_publish(rig->frames, &loan, &frame);
    return seq < 0 ? (int)seq : 0;
}

/* Sleeps until a packet comes or the next frame is due. True: the frame is due. */
static bool frame_is_due(struct rig *rig)
{
    struct pollfd fd = {.fd = ring_consumer_fd(rig->packets), .events = POLLIN};
    int64_t left_ns = rig->due_ns - clock_now_ns();
    struct timespec left = {.tv_nsec = left_ns > 0 ? left_ns : 0};

    if (left_ns > 0)
        ppoll(&fd, 1, &left, NULL);
    if (clock_now_ns() < rig->due_ns)
        return false;
    rig->due_ns += rig->period_ns;
    return true;
}

/* ---- H.264 --------------------------------------------------------------------------------- */

/* Returns how many packets came. */
static unsigned take_packets(struct rig *rig, struct yardstick_stream *stream)
{
    struct ring_view view;
    unsigned count = 0;

    while (ring_acquire(rig->packets, RING_NEXT, &view) == 0) {
        const int64_t *stamps = view.frame.stamp_ns;
        if (view.frame.frame_id > stream->warm_up)
            histogram_record(&stream->latency,
                             stamps[RING_STAGE_PACKET_PUBLISHED] - stamps[RING_STAGE_PUBLISHED]);
        ring_release(rig->packets, &view);
        count++;
    }
    return count;
}

static int stream_pictures(struct rig *rig, struct yardstick_stream *stream)
{
    unsigned all = stream->warm_up + stream->pictures;
    int64_t began_cpu_ns = 0;
    int error = 0;

    while (rig->shown < all && error == 0) {
        if (frame_is_due(rig)) {
            if (rig->shown == stream->warm_up)
                began_cpu_ns = program_cpu_ns(&rig->encoder);
            error = publish_frame(rig);
        }
        take_packets(rig, stream);
    }
    for (unsigned i = 0; i < 10 && error == 0; i++) { /* the last ones, in ten periods at most */
        frame_is_due(rig);
        take_packets(rig, stream);
    }
    stream->picture_cpu_ns =
        (double)(program_cpu_ns(&rig->encoder) - began_cpu_ns) / stream->pictures;
    /* Frames that the machine was too busy to encode are left out, as in a real stream; few. */
    return error == 0 && stream->latency.count * 10 < stream->pictures * UINT64_C(9) ? -ETIMEDOUT
                                                                                     : error;
}

int encode_program_h264(const char *dir, const struct scene *scene, struct yardstick_stream *stream)
{
    struct rig rig = {0};
    int error = rig_open(&rig, dir, scene, stream->fps);

    if (error < 0)
        return error;
    ring_consumer_want(rig.packets, true);
    error = stream_pictures(&rig, stream);
    rig_close(&rig);
    return error;
}

/* ---- on demand ----------------------------------------------------------------------------- */

int encode_program_idle(const char *dir, bool brief, double *ret_core_percent)
{
    const struct scene *scene;
    struct rig rig = {0};
    int error = scene_720p(&scene);

    if (error == 0)
        error = rig_open(&rig, dir, scene, IDLE_FPS);
    if (error < 0)
        return error;
    int64_t began_ns = clock_now_ns();
    int64_t end_ns = began_ns + (brief ? IDLE_BRIEF_NS : IDLE_NS);
    int64_t began_cpu_ns = program_cpu_ns(&rig.encoder);
    while (clock_now_ns() < end_ns && error == 0) {
        if (frame_is_due(&rig))
            error = publish_frame(&rig);
    }
    int64_t used_ns = program_cpu_ns(&rig.encoder) - began_cpu_ns;
    *ret_core_percent = 100.0 * (double)used_ns / (double)(clock_now_ns() - began_ns);
    rig_close(&rig);
    return error;
}

/* The simulator's part: it looks at the demand when a frame would be due, and renders or not. */
static int await_first_packet(struct rig *rig, struct histogram *ret_times)
{
    int64_t began_ns = clock_now_ns();
    struct ring_demand demand;
    struct ring_view view;
    int error = 0;

    ring_consumer_want(rig->packets, true);
    while (error == 0 && clock_now_ns() - began_ns < FIRST_PACKET_NS) {
        bool due = frame_is_due(rig);
        ring_producer_demand(rig->frames, &demand);
        if (due && demand.wanting > 0)
            error = publish_frame(rig);
        if (ring_acquire(rig->packets, RING_NEXT, &view) == 0) {
            histogram_record(ret_times, clock_now_ns() - began_ns);
            return ring_release(rig->packets, &view);
        }
    }
    return error < 0 ? error : -ETIMEDOUT;
}

int encode_program_first_packet(const char *dir, bool brief, struct histogram *ret_times)
{
    const struct scene *scene;
    int error = scene_720p(&scene);

    for (unsigned i = 0; i < (brief ? VIEWERS_BRIEF : VIEWERS) && error == 0; i++) {
        struct rig rig = {0};
        error = rig_open(&rig, dir, scene, IDLE_FPS);
        if (error < 0)
            return error;
        error = await_first_packet(&rig, ret_times);
        rig_close(&rig);
    }
    return error;
}
