/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage between real rings: the test plays the simulator and the viewer, and drives the stage
 * itself, so the only other threads are the rings' doors.
 */
#ifndef SIMCAST_TESTS_STAGE_KIT_H
#define SIMCAST_TESTS_STAGE_KIT_H

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"
#include "encoder/stage.h"
#include "tests/picture_kit.h"

#define WIDTH 320
#define HEIGHT 240
#define WAIT_NS (3 * NS_PER_S)
#define STREAM "front"

static struct {
    char dir[64];
    struct stage_config config;
    struct stage *stage;
    struct ring_producer *simulator;
    struct ring_consumer *viewer;
    uint64_t frame_id;
    bool more; /* the stage says that it has something to do */
} world;

__attribute__((unused)) static void open_simulator(void)
{
    struct ring_producer_config config = {.dir = world.dir,
                                          .stream = STREAM,
                                          .kind = RING_KIND_FRAMES,
                                          .payload_bytes_max = 640UL * 480 * 4};

    ck_assert_int_eq(ring_producer_open(&config, &world.simulator), 0);
}

/* A viewer of a rendition by its ring's name. */
__attribute__((unused)) static struct ring_consumer *open_viewer_of(const char *stream)
{
    struct ring_consumer_config config = {
        .dir = world.dir, .stream = stream, .kind = RING_KIND_PACKETS};
    struct ring_consumer *viewer = NULL;

    ck_assert_int_eq(ring_consumer_open(&config, &viewer), 0);
    ring_consumer_want(viewer, true);
    return viewer;
}

__attribute__((unused)) static void open_stage(void)
{
    ck_assert_int_eq(stage_open(&world.config, &world.stage), 0);
}

__attribute__((unused)) static void set_up(void)
{
    snprintf(world.dir, sizeof(world.dir), "/tmp/test_stage.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world.dir));
    world.config = (struct stage_config){
        .dir = world.dir,
        .stream = STREAM,
        .settings = {.codec = VIDEO_CODEC_H264,
                     .jpeg_quality = 80,
                     .bitrate_bps = 4000000,
                     .preset = "ultrafast"},
        .choice = CODER_X264,
        .crc = true,
        .packet_bytes_max = 256UL * 1024,
    };
    open_simulator();
    world.viewer = open_viewer_of(STREAM);
}

__attribute__((unused)) static void tear_down(void)
{
    ring_consumer_close(world.viewer);
    stage_close(world.stage);
    ring_producer_close(world.simulator);
    ck_assert_msg(rmdir(world.dir) == 0, "a socket is left in %s", world.dir);
}

/*
 * One turn of the stage's loop as encoder/camera.c has it, waiting a little for something to
 * happen. It takes one frame at most, and the viewer looks after each: behind a simulator that
 * never pauses there is always another frame, and the packets of many overwrite each other unseen.
 */
__attribute__((unused)) static void turn(void)
{
    struct pollfd fds[STAGE_POLL_FDS_MAX];

    poll(fds, stage_poll_fds(world.stage, fds), world.more ? 0 : 5);
    world.more = stage_step(world.stage);
}

__attribute__((unused)) static struct ring_demand simulator_demand(void)
{
    struct ring_demand demand;

    ring_producer_demand(world.simulator, &demand);
    return demand;
}

/* Turns until the condition holds, with `work` to be done in every turn. */
#define TURN_AND_DO_UNTIL(condition, work)                                                         \
    do {                                                                                           \
        int64_t deadline_ns = clock_now_ns() + WAIT_NS;                                            \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_now_ns() < deadline_ns, "never came: %s", #condition);             \
            turn();                                                                                \
            work;                                                                                  \
        }                                                                                          \
    } while (0)

#define TURN_UNTIL(condition) TURN_AND_DO_UNTIL(condition, (void)0)

/* The viewer is attached and its wish for video has reached the simulator. */
__attribute__((unused)) static void wait_wanted(void)
{
    struct ring_view view;

    TURN_UNTIL((ring_acquire(world.viewer, RING_NEXT, &view) == -EAGAIN) &&
               simulator_demand().wanting == 1);
}

__attribute__((unused)) static void publish(const struct kit_frame *kit, struct ring_frame frame)
{
    struct ring_loan loan;

    ck_assert_int_eq(ring_loan(world.simulator, &loan), 0);
    memcpy(loan.payload, kit->bytes, kit->mapped_bytes);
    memset(loan.user, 0x5e, frame.user_bytes);
    ck_assert_int_gt(ring_publish(world.simulator, &loan, &frame), 0);
}

__attribute__((unused)) static void show(uint32_t fourcc, uint32_t width, uint32_t height)
{
    struct kit_frame kit = kit_frame_make(fourcc, width, height, 0, 0);

    kit.frame.frame_id = ++world.frame_id;
    publish(&kit, kit.frame);
    kit_frame_free(&kit);
}

/* Shows a frame and lets the stage have it. */
__attribute__((unused)) static void show_and_turn(uint32_t width, uint32_t height)
{
    show(PIXEL_RGB24, width, height);
    turn();
}

/* The next packet of a viewer, checked by the wire's own rules. Release the view. */
__attribute__((unused)) static struct video_packet_view next_packet_of(struct ring_consumer *viewer,
                                                                       struct ring_view *ret_view)
{
    struct video_packet_view packet;

    TURN_UNTIL(ring_acquire(viewer, RING_NEXT, ret_view) == 0);
    ck_assert_int_eq(video_packet_parse(ret_view->payload, ret_view->frame.payload_bytes, &packet),
                     0);
    ck_assert_uint_eq(packet.header.crc32, video_crc32(packet.payload, packet.header.size));
    ck_assert_int_eq(packet.header.flags & VIDEO_FLAG_KEYFRAME ? 1 : 0,
                     ret_view->frame.flags & RING_FRAME_KEYFRAME ? 1 : 0);
    return packet;
}

__attribute__((unused)) static struct video_packet_view next_packet(struct ring_view *ret_view)
{
    return next_packet_of(world.viewer, ret_view);
}

/* The header of the packet that the next frame becomes. */
__attribute__((unused)) static struct video_header header_after(uint32_t width, uint32_t height)
{
    struct ring_view view;

    show(PIXEL_RGB24, width, height);
    struct video_header header = next_packet(&view).header;
    ck_assert_uint_eq(view.frame.width, width);
    ck_assert_uint_eq(view.frame.height, height);
    ring_release(world.viewer, &view);
    return header;
}

__attribute__((unused)) static void begin(void)
{
    open_stage();
    wait_wanted();
}

#endif
