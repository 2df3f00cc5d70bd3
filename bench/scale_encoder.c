/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the encoder's process and two rings for each camera. One poll loop: when a frame is due all
 * cameras publish theirs, meanwhile packets are taken as they come.
 */
#include "bench/scale_encoder.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/program.h"
#include "proto/pixel.h"
#include "shm/ring.h"
#include "sim/pattern.h"

#define NAME_BYTES 16
#define LEASES 2                  /* few slots, so that they are soon all drawn */
#define WARM_UP_NS (NS_PER_S / 3) /* codecs open, waits learn the rhythm */
#define START_NS (10 * NS_PER_S)
#define END_MS 5000

struct camera {
    char name[NAME_BYTES];
    struct ring_producer *frames;
    struct ring_consumer *packets;
    bool drawn[RING_SLOTS_MAX]; /* by slot */
    uint64_t frame_id;
    uint64_t taken; /* packets */
};

struct studio {
    const struct scale_work *work;
    struct peer encoder;
    struct camera cameras[SCALE_STREAMS_MAX];
    int64_t due_ns;
    struct histogram *encode; /* NULL: not yet */
};

/* ---- coming and going ---------------------------------------------------------------------- */

static int start_encoder(struct studio *studio)
{
    char path[4096];
    char names[SCALE_STREAMS_MAX * NAME_BYTES] = "";
    size_t used = 0;
    const char *const argv[] = {
        path,
        "--ipc-dir",
        studio->work->dir,
        "--stream",
        names,
        "--codec",
        studio->work->codec,
        "--rendition",
        "jpeg=none",
        "--rendition",
        "h264=none",
        "--codec-backend",
        "x264",
        "--log-level",
        "error",
        NULL,
    };

    for (unsigned i = 0; i < studio->work->streams; i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? "," : "",
                                 studio->cameras[i].name);
    program_path("encoder/simcast-encoder", path, sizeof(path));
    return program_start(&studio->encoder, argv, (struct program_pipes){-1, -1});
}

static int open_camera(const struct scale_work *work, struct camera *camera)
{
    struct ring_producer_config frames = {
        .dir = work->dir,
        .stream = camera->name,
        .kind = RING_KIND_FRAMES,
        .leases_max = LEASES,
        .payload_bytes_max = (size_t)work->width * work->height * 3,
    };
    struct ring_consumer_config packets = {
        .dir = work->dir, .stream = camera->name, .kind = RING_KIND_PACKETS};
    int error = ring_producer_open(&frames, &camera->frames);

    if (error == 0)
        error = ring_consumer_open(&packets, &camera->packets);
    if (error == 0)
        ring_consumer_want(camera->packets, true);
    return error;
}

static void studio_close(struct studio *studio)
{
    for (unsigned i = 0; i < studio->work->streams; i++) {
        ring_consumer_close(studio->cameras[i].packets);
        ring_producer_close(studio->cameras[i].frames);
    }
    peer_signal(&studio->encoder, SIGTERM);
    peer_join(&studio->encoder, END_MS);
}

/* The rings start threads, so the encoder comes first. */
static int studio_open(struct studio *studio, const struct scale_work *work)
{
    *studio = (struct studio){.work = work};
    for (unsigned i = 0; i < work->streams; i++)
        snprintf(studio->cameras[i].name, NAME_BYTES, "scale%u", i);
    int error = start_encoder(studio);
    for (unsigned i = 0; i < work->streams && error == 0; i++)
        error = open_camera(work, &studio->cameras[i]);
    studio->due_ns = clock_now_ns();
    return error;
}

/* ---- frames and packets -------------------------------------------------------------------- */

static int publish(const struct scale_work *work, struct camera *camera)
{
    struct ring_loan loan;
    struct ring_frame frame = {
        .frame_id = ++camera->frame_id,
        .payload_bytes = (uint64_t)work->width * work->height * 3,
        .flags = RING_FRAME_KEYFRAME,
        .fourcc = PIXEL_RGB24,
        .width = work->width,
        .height = work->height,
        .stride_bytes = work->width * 3,
    };
    int error = ring_loan(camera->frames, &loan);

    if (error < 0)
        return error;
    if (!camera->drawn[loan.slot]) {
        struct pattern pattern = {
            .width = work->width, .height = work->height, .frame_id = frame.frame_id};
        pattern_draw(&pattern, loan.payload);
        camera->drawn[loan.slot] = true;
    }
    int64_t seq = ring_publish(camera->frames, &loan, &frame);
    return seq < 0 ? (int)seq : 0;
}

static void take(struct studio *studio, struct camera *camera)
{
    struct ring_view view;

    while (ring_acquire(camera->packets, RING_NEXT, &view) == 0) {
        const int64_t *stamps = view.frame.stamp_ns;
        if (studio->encode)
            histogram_record(studio->encode,
                             stamps[RING_STAGE_ENCODE_END] - stamps[RING_STAGE_ENCODE_BEGIN]);
        camera->taken++;
        ring_release(camera->packets, &view);
    }
}

/* Sleeps until something came or the next frames are due, and does what there is to do. */
static int step(struct studio *studio)
{
    unsigned streams = studio->work->streams;
    struct pollfd fds[SCALE_STREAMS_MAX];
    int64_t left_ns = studio->due_ns - clock_now_ns();
    struct timespec left = {.tv_nsec = left_ns > 0 ? left_ns : 0};

    for (unsigned i = 0; i < streams; i++)
        fds[i] = (struct pollfd){ring_consumer_fd(studio->cameras[i].packets), POLLIN, 0};
    ppoll(fds, streams, &left, NULL);
    for (unsigned i = 0; i < streams; i++)
        take(studio, &studio->cameras[i]);
    if (clock_now_ns() < studio->due_ns)
        return 0;
    studio->due_ns += NS_PER_S / studio->work->fps;
    for (unsigned i = 0; i < streams; i++) {
        int error = publish(studio->work, &studio->cameras[i]);
        if (error < 0)
            return error;
    }
    return 0;
}

static uint64_t fewest_taken(const struct studio *studio)
{
    uint64_t fewest = UINT64_MAX;

    for (unsigned i = 0; i < studio->work->streams; i++) {
        if (studio->cameras[i].taken < fewest)
            fewest = studio->cameras[i].taken;
    }
    return fewest;
}

static int run_for(struct studio *studio, int64_t during_ns)
{
    int64_t end_ns = clock_now_ns() + during_ns;
    int error = 0;

    while (error == 0 && clock_now_ns() < end_ns)
        error = step(studio);
    return error;
}

static int await_all(struct studio *studio)
{
    int64_t give_up_ns = clock_now_ns() + START_NS;
    int error = 0;

    while (error == 0 && fewest_taken(studio) == 0) {
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        error = step(studio);
    }
    return error < 0 ? error : run_for(studio, WARM_UP_NS);
}

static int measure(struct studio *studio, struct scale_cost *ret_cost)
{
    memset(ret_cost, 0, sizeof(*ret_cost));
    for (unsigned i = 0; i < studio->work->streams; i++)
        studio->cameras[i].taken = 0;
    studio->encode = &ret_cost->encode;
    studio->due_ns = clock_now_ns();
    int64_t began_ns = clock_now_ns();
    int64_t began_cpu_ns = program_cpu_ns(&studio->encoder);
    int error = run_for(studio, studio->work->during_ns);
    double elapsed_ns = (double)(clock_now_ns() - began_ns);
    ret_cost->core_percent =
        100.0 * (double)(program_cpu_ns(&studio->encoder) - began_cpu_ns) / elapsed_ns;
    ret_cost->fps = (double)fewest_taken(studio) * (double)NS_PER_S / elapsed_ns;
    ret_cost->memory_bytes = program_memory_bytes(&studio->encoder);
    return error;
}

int scale_encode(const struct scale_work *work, struct scale_cost *ret_cost)
{
    static struct studio studio;
    int error = studio_open(&studio, work);

    if (error == 0)
        error = await_all(&studio);
    if (error == 0)
        error = measure(&studio, ret_cost);
    studio_close(&studio);
    return error;
}
