/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many cameras, a thread each: the test plays simulators and viewers and waits for what they see.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"
#include "encoder/cameras.h"
#include "tests/picture_kit.h"

#define WIDTH 160
#define HEIGHT 120
#define WAIT_NS (5 * NS_PER_S)
#define GONE_NS (2 * NS_PER_S)
#define SLOT_BYTES (640UL * 480 * 4)

static char dir[64];
static struct cameras_config config;
static struct cameras *cameras;

/* A simulator and a viewer of one camera. */
struct rig {
    const char *name;
    struct ring_producer *simulator;
    struct ring_consumer *viewer;
    uint64_t frame_id;
    uint64_t packets;
};

static void set_up(void)
{
    snprintf(dir, sizeof(dir), "/tmp/test_cameras.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    config = (struct cameras_config){.gone_ns = GONE_NS,
                                     .stage = {.dir = dir,
                                               .settings = {.codec = VIDEO_CODEC_JPEG,
                                                            .jpeg_quality = 80,
                                                            .bitrate_bps = 4000000,
                                                            .preset = "ultrafast"},
                                               .choice = CODER_X264,
                                               .crc = true,
                                               .packet_bytes_max = 64UL * 1024}};
}

static void tear_down(void)
{
    cameras_close(cameras);
    ck_assert_msg(rmdir(dir) == 0, "a socket is left in %s", dir);
}

static void open_cameras(const char *first, const char *second, bool all)
{
    config.all = all;
    config.name_count = (first != NULL) + (second != NULL);
    snprintf(config.names[0], RING_STREAM_BYTES, "%s", first ? first : "");
    snprintf(config.names[1], RING_STREAM_BYTES, "%s", second ? second : "");
    ck_assert_int_eq(cameras_open(&config, &cameras), 0);
}

static void open_simulator(struct rig *rig)
{
    struct ring_producer_config frames = {
        .dir = dir, .stream = rig->name, .kind = RING_KIND_FRAMES, .payload_bytes_max = SLOT_BYTES};

    ck_assert_int_eq(ring_producer_open(&frames, &rig->simulator), 0);
}

static struct rig open_rig(const char *name)
{
    struct rig rig = {.name = name};
    struct ring_consumer_config packets = {.dir = dir, .stream = name, .kind = RING_KIND_PACKETS};

    open_simulator(&rig);
    ck_assert_int_eq(ring_consumer_open(&packets, &rig.viewer), 0);
    ring_consumer_want(rig.viewer, true);
    return rig;
}

static void close_rig(struct rig *rig)
{
    ring_consumer_close(rig->viewer);
    ring_producer_close(rig->simulator);
}

/* Publishes a frame if somebody wants it, with its stride multiplied by `lie`. */
static void show(struct rig *rig, uint32_t lie)
{
    struct ring_demand demand;
    struct ring_loan loan;

    ring_producer_demand(rig->simulator, &demand);
    if (demand.wanting == 0)
        return;
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, WIDTH, HEIGHT, 0, 0);
    kit.frame.frame_id = ++rig->frame_id;
    kit.frame.stride_bytes *= lie;
    ck_assert_int_eq(ring_loan(rig->simulator, &loan), 0);
    memcpy(loan.payload, kit.bytes, kit.mapped_bytes);
    ck_assert_int_gt(ring_publish(rig->simulator, &loan, &kit.frame), 0);
    kit_frame_free(&kit);
}

static void look(struct rig *rig)
{
    struct ring_view view;

    while (ring_acquire(rig->viewer, RING_NEXT, &view) == 0) {
        rig->packets++;
        ring_release(rig->viewer, &view);
    }
}

/* What main's loop does. */
static void tick(void)
{
    struct pollfd fd = {.fd = cameras_fd(cameras), .events = POLLIN};

    poll(&fd, 1, 2);
    cameras_tick(cameras);
}

#define TICK_UNTIL(condition, work)                                                                \
    do {                                                                                           \
        int64_t deadline_ns = clock_now_ns() + WAIT_NS;                                            \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_now_ns() < deadline_ns, "never came: %s", #condition);             \
            tick();                                                                                \
            work;                                                                                  \
        }                                                                                          \
    } while (0)

START_TEST(each_named_camera_is_served)
{
    struct rig left = open_rig("left");
    struct rig right = open_rig("right");

    open_cameras("left", "right", false);
    ck_assert_int_eq(cameras_fd(cameras), -1);
    ck_assert_uint_eq(cameras_count(cameras), 2);
    TICK_UNTIL(left.packets >= 5 && right.packets >= 5, {
        show(&left, 1);
        show(&right, 1);
        look(&left);
        look(&right);
    });
    close_rig(&left);
    close_rig(&right);
}
END_TEST

/* One lies, one publishes nothing, one is well. */
START_TEST(a_broken_camera_stops_no_other)
{
    struct rig liar = open_rig("liar");
    struct rig dead = open_rig("dead");
    struct rig well = open_rig("well");

    open_cameras(NULL, NULL, true);
    ck_assert_uint_eq(cameras_count(cameras), 3);
    TICK_UNTIL(well.packets >= 20 && liar.frame_id >= 20, {
        show(&liar, 1000);
        show(&well, 1);
        look(&liar);
        look(&dead);
        look(&well);
    });
    ck_assert_uint_eq(liar.packets + dead.packets, 0);
    /* And the liar is heard again when it tells the truth. */
    TICK_UNTIL(liar.packets > 0, {
        show(&liar, 1);
        look(&liar);
    });
    close_rig(&liar);
    close_rig(&dead);
    close_rig(&well);
}
END_TEST

START_TEST(cameras_that_appear_are_served_and_may_come_back)
{
    open_cameras(NULL, NULL, true);
    ck_assert_uint_eq(cameras_count(cameras), 0);
    struct rig late = open_rig("late");
    TICK_UNTIL(late.packets > 0, {
        show(&late, 1);
        look(&late);
    });
    ck_assert_uint_eq(cameras_count(cameras), 1);
    ring_producer_close(late.simulator);
    uint64_t before = late.packets;
    open_simulator(&late);
    TICK_UNTIL(late.packets > before, {
        show(&late, 1);
        look(&late);
    });
    ck_assert_uint_eq(cameras_count(cameras), 1);
    close_rig(&late);
}
END_TEST

START_TEST(what_is_gone_for_long_is_served_no_longer)
{
    struct rig brief = {.name = "brief"};
    char path[128];

    open_simulator(&brief);
    open_cameras(NULL, NULL, true);
    ck_assert_uint_eq(cameras_count(cameras), 1);
    ring_producer_close(brief.simulator);
    snprintf(path, sizeof(path), "%s/brief.packets", dir);
    int64_t gone_ns = clock_now_ns();
    while (cameras_count(cameras) > 0) {
        ck_assert_int_lt(clock_now_ns() - gone_ns, GONE_NS + WAIT_NS);
        tick();
    }
    ck_assert_int_ge(clock_now_ns() - gone_ns, GONE_NS - NS_PER_S);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* Files that look like rings, renditions' and others', are nobody's camera. */
START_TEST(only_frame_rings_are_cameras)
{
    static const char *const files[] = {"a.packets", "a+b.frames", ".frames", "a.frames.old",
                                        "much-too-long-to-be-the-name-of-a-camera.frames"};
    char path[128];

    open_cameras(NULL, NULL, true);
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        FILE *file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        fclose(file);
    }
    struct rig real = open_rig("real");
    TICK_UNTIL(cameras_count(cameras) > 0, (void)0);
    ck_assert_uint_eq(cameras_count(cameras), 1);
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    close_rig(&real);
}
END_TEST

START_TEST(a_camera_that_another_process_serves_is_taken_over_when_it_ends)
{
    struct stage_config stage = config.stage;
    struct stage *other;

    stage.stream = "right";
    ck_assert_int_eq(stage_open(&stage, &other), 0);
    open_cameras("left", "right", false);
    ck_assert_uint_eq(cameras_count(cameras), 1);
    char text[256];
    cameras_describe(cameras, text, sizeof(text));
    ck_assert_msg(strstr(text, "left: ") && strstr(text, "right: cannot be served"), "\"%s\"",
                  text);
    stage_close(other);
    TICK_UNTIL(cameras_count(cameras) == 2, (void)0);
}
END_TEST

START_TEST(the_only_camera_must_open)
{
    struct stage_config stage = config.stage;
    struct stage *other;

    stage.stream = "front";
    ck_assert_int_eq(stage_open(&stage, &other), 0);
    config.name_count = 1;
    snprintf(config.names[0], RING_STREAM_BYTES, "front");
    ck_assert_int_eq(cameras_open(&config, &cameras), -EADDRINUSE);
    ck_assert_ptr_null(cameras);
    stage_close(other);
}
END_TEST

START_TEST(every_camera_is_seen_to_move)
{
    open_cameras("left", "right", false);
    int64_t opened_ns = cameras_alive_ns(cameras);
    TICK_UNTIL(cameras_alive_ns(cameras) > opened_ns, (void)0);
}
END_TEST

START_TEST(no_more_than_the_limit_are_served)
{
    struct ring_producer *simulators[CAMERAS_MAX + 2];
    char name[RING_STREAM_BYTES];

    config.stage.packet_bytes_max = STAGE_PACKET_BYTES_MIN;
    open_cameras(NULL, NULL, true);
    for (unsigned i = 0; i < CAMERAS_MAX + 2; i++) {
        snprintf(name, sizeof(name), "c%u", i);
        struct ring_producer_config frames = {
            .dir = dir, .stream = name, .kind = RING_KIND_FRAMES, .payload_bytes_max = 4096};
        ck_assert_int_eq(ring_producer_open(&frames, &simulators[i]), 0);
        tick();
    }
    TICK_UNTIL(cameras_count(cameras) == CAMERAS_MAX, (void)0);
    for (unsigned i = 0; i < CAMERAS_MAX + 2; i++)
        ring_producer_close(simulators[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cameras");
    TCase *cases = tcase_create("cameras");

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, each_named_camera_is_served);
    tcase_add_test(cases, a_broken_camera_stops_no_other);
    tcase_add_test(cases, cameras_that_appear_are_served_and_may_come_back);
    tcase_add_test(cases, what_is_gone_for_long_is_served_no_longer);
    tcase_add_test(cases, only_frame_rings_are_cameras);
    tcase_add_test(cases, a_camera_that_another_process_serves_is_taken_over_when_it_ends);
    tcase_add_test(cases, the_only_camera_must_open);
    tcase_add_test(cases, every_camera_is_seen_to_move);
    tcase_add_test(cases, no_more_than_the_limit_are_served);
    tcase_set_timeout(cases, 60);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
