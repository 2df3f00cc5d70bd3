/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two loops' link and the camera frames that pass through it: the newest observation and no
 * other, pictures in the ring's own memory, every box and every pin given back.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include <check.h>
#include <semaphore.h>

#include "hal/cameras.h"
#include "hal/loop_link.h"
#include "proto/pixel.h"
#include "shm/ring.h"
#include "tests/support.h"

#define WIDTH 16
#define HEIGHT 8
#define STRIDE (WIDTH * 3)

static struct loop_link *loop_link;
static pthread_t inference;
static sem_t may_take;
static sem_t taken;
static struct hal_observation last; /* what the inference saw; between the two semaphores */
static uint64_t missed;
static const void *top_row;
static uint8_t first_byte;

/* Takes an observation each time it is allowed to, and answers it. */
static void *infer(void *unused)
{
    const struct hal_observation *observation;

    (void)unused;
    ck_assert_int_eq(loop_link_inference_open(loop_link), 0);
    sem_post(&taken);
    sem_wait(&may_take);
    while (loop_link_wait_observation(loop_link, &observation) == 0) {
        struct hal_action action = {.sent_ns = observation->sent_ns,
                                    .step = observation->policy.step};
        last = *observation;
        missed = loop_link_missed(loop_link);
        top_row = observation->policy.images[0].top_row;
        first_byte = top_row ? *(const uint8_t *)top_row : 0;
        sem_post(&taken);
        if (loop_link_send_action(loop_link, &action) < 0)
            break;
        sem_wait(&may_take);
    }
    loop_link_inference_close(loop_link);
    return NULL;
}

static void set_up(void)
{
    sem_init(&may_take, 0, 0);
    sem_init(&taken, 0, 0);
    ck_assert_int_eq(loop_link_create(&loop_link), 0);
    ck_assert_int_eq(loop_link_hal_open(loop_link), 0);
    ck_assert_int_eq(pthread_create(&inference, NULL, infer, NULL), 0);
    sem_wait(&taken);
}

static void end(void)
{
    loop_link_shutdown(loop_link);
    sem_post(&may_take);
    pthread_join(inference, NULL);
    loop_link_hal_close(loop_link);
    loop_link_destroy(loop_link);
}

static bool send(uint64_t step)
{
    struct hal_observation *observation = loop_link_observation(loop_link);

    if (!observation)
        return false;
    observation->policy.step = step;
    loop_link_send_observation(loop_link, observation);
    return true;
}

static uint64_t receive(void)
{
    sem_post(&may_take);
    sem_wait(&taken);
    return last.policy.step;
}

/* The subscription needs a moment; repeats the first observation until it arrives. */
static void attach(void)
{
    struct hal_action action;
    int result;

    sem_post(&may_take);
    do {
        send(1);
        result = loop_link_wait_action(loop_link, clock_now_ns() + 10 * NS_PER_MS, &action);
    } while (result == -ETIMEDOUT);
    ck_assert_int_eq(result, 0);
    sem_wait(&taken);
}

START_TEST(an_observation_is_answered)
{
    struct hal_action action;

    attach();
    for (uint64_t step = 2; step < 200; step++) {
        ck_assert(send(step));
        ck_assert_uint_eq(receive(), step);
        ck_assert_int_eq(loop_link_wait_action(loop_link, clock_now_ns() + NS_PER_S, &action), 0);
        ck_assert_uint_eq(action.step, step);
    }
    end();
}
END_TEST

START_TEST(a_slow_inference_gets_the_newest_it_could_and_never_starves)
{
    attach();
    for (uint64_t step = 2; step < 50; step++)
        ck_assert_msg(send(step), "no box left at step %llu", (unsigned long long)step);
    /* Two wait, the rest was dropped; it must not take an old one for the newest. */
    sem_post(&may_take);
    struct hal_action action;
    uint64_t step = 50;
    while (sem_trywait(&taken) < 0) {
        ck_assert_uint_lt(step, 1000);
        send(step++);
        poll(NULL, 0, 2);
    }
    ck_assert_uint_ge(last.policy.step, 50);
    ck_assert_uint_gt(missed, 40);
    ck_assert_int_eq(loop_link_wait_action(loop_link, clock_now_ns() + NS_PER_S, &action), 0);
    end();
}
END_TEST

START_TEST(waiting_ends_in_time_and_at_the_shutdown)
{
    struct hal_action action;
    int64_t begin_ns = clock_now_ns();

    ck_assert_int_eq(loop_link_wait_action(loop_link, begin_ns + 20 * NS_PER_MS, &action),
                     -ETIMEDOUT);
    ck_assert_int_ge(clock_now_ns() - begin_ns, 20 * NS_PER_MS);
    ck_assert_int_eq(loop_link_wait_action(loop_link, 0, &action), -ETIMEDOUT);
    loop_link_shutdown(loop_link);
    ck_assert_int_eq(loop_link_wait_action(loop_link, INT64_MAX / 2, &action), -EPIPE);
    end();
}
END_TEST

/* ---- cameras ----------------------------------------------------------------------------------
 */

static char dir[SUPPORT_PATH_BYTES];
static struct ring_producer *ring;
static struct cameras *cameras;

static void open_camera(void)
{
    const char *const streams[POLICY_IMAGE_COUNT] = {"eye"};
    struct ring_producer_config config = {.dir = support_dir_make(dir),
                                          .stream = "eye",
                                          .kind = RING_KIND_FRAMES,
                                          .payload_bytes_max = STRIDE * HEIGHT};

    ck_assert_int_eq(ring_producer_open(&config, &ring), 0);
    ck_assert_int_eq(cameras_open(dir, streams, &cameras), 0);
}

static void close_camera(void)
{
    cameras_close(cameras);
    ring_producer_close(ring);
    rmdir(dir);
}

static void publish(uint64_t frame_id, uint32_t flags, uint32_t fourcc)
{
    struct ring_loan loan;
    struct ring_frame frame = {.frame_id = frame_id,
                               .payload_bytes = STRIDE * HEIGHT,
                               .flags = RING_FRAME_KEYFRAME | flags,
                               .fourcc = fourcc,
                               .width = WIDTH,
                               .height = HEIGHT,
                               .stride_bytes = STRIDE};

    ck_assert_int_eq(ring_loan(ring, &loan), 0);
    memset(loan.payload, (int)frame_id, STRIDE * HEIGHT);
    ck_assert_int_gt(ring_publish(ring, &loan, &frame), 0);
}

static unsigned pinned(void)
{
    struct ring_info info;
    unsigned count = 0;

    ck_assert_int_eq(ring_inspect(dir, "eye", RING_KIND_FRAMES, &info), 0);
    for (unsigned i = 0; i < info.consumer_count; i++)
        count += info.consumers[i].pinned;
    return count;
}

static bool sees(uint64_t frame_id)
{
    struct policy_image image;

    cameras_refresh(cameras);
    struct camera_frame *frame = cameras_use(cameras, POLICY_RGB_CAMERA_1, &image);
    bool seen = frame && image.frame_id == frame_id;
    camera_drop(frame);
    return seen;
}

static void send_with_picture(uint64_t step)
{
    struct hal_observation *observation = loop_link_observation(loop_link);

    cameras_refresh(cameras);
    ck_assert_ptr_nonnull(observation);
    observation->policy.step = step;
    observation->frames[0] =
        cameras_use(cameras, POLICY_RGB_CAMERA_1, &observation->policy.images[0]);
    ck_assert_ptr_nonnull(observation->frames[0]);
    loop_link_send_observation(loop_link, observation);
}

START_TEST(a_picture_stays_in_its_slot_while_the_policy_looks)
{
    struct hal_action action;

    open_camera();
    publish(7, 0, PIXEL_RGB24);
    ck_assert(WAIT_UNTIL(sees(7), 5));
    attach();
    send_with_picture(2);
    ck_assert_uint_eq(receive(), 2);
    ck_assert_uint_eq(first_byte, 7);
    ck_assert_uint_eq(last.policy.images[0].width, WIDTH);
    ck_assert_int_eq(last.policy.images[0].stride_bytes, STRIDE);
    const uint8_t *held = top_row;
    ck_assert_int_eq(loop_link_wait_action(loop_link, clock_now_ns() + NS_PER_S, &action), 0);
    /* The inference still holds observation 2: twenty more frames must not touch its picture. */
    for (uint64_t id = 100; id < 120; id++) {
        publish(id, 0, PIXEL_RGB24);
        cameras_refresh(cameras);
    }
    for (unsigned i = 0; i < STRIDE * HEIGHT; i++)
        ck_assert_uint_eq(held[i], 7);
    cameras_refresh(cameras);
    ck_assert_uint_eq(pinned(), 2);
    end();
    cameras_refresh(cameras);
    ck_assert_uint_eq(pinned(), 1); /* the newest, for the next observation */
    close_camera();
}
END_TEST

START_TEST(dropped_observations_give_their_pictures_back)
{
    open_camera();
    publish(1, 0, PIXEL_RGB24);
    ck_assert(WAIT_UNTIL(sees(1), 5));
    attach();
    for (uint64_t step = 2; step < 200; step++) {
        publish(step, 0, PIXEL_RGB24);
        send_with_picture(step);
        ck_assert_uint_le(pinned(), 4);
    }
    end();
    cameras_refresh(cameras);
    ck_assert_uint_eq(pinned(), 1);
    close_camera();
}
END_TEST

START_TEST(a_bottom_up_picture_is_walked_from_its_top_row)
{
    struct policy_image image;

    open_camera();
    publish(3, RING_FRAME_BOTTOM_UP, PIXEL_RGB24);
    ck_assert(WAIT_UNTIL(sees(3), 5));
    struct camera_frame *frame = cameras_use(cameras, POLICY_RGB_CAMERA_1, &image);
    ck_assert_int_eq(image.stride_bytes, -STRIDE);
    const uint8_t *bottom = (const uint8_t *)image.top_row + (HEIGHT - 1) * image.stride_bytes;
    ck_assert_uint_eq((uintptr_t)bottom % 4096, 0); /* where the payload begins */
    camera_drop(frame);
    end();
    close_camera();
}
END_TEST

START_TEST(a_picture_in_another_format_is_none)
{
    struct policy_image image;

    open_camera();
    publish(3, 0, PIXEL_RGB24);
    ck_assert(WAIT_UNTIL(sees(3), 5));
    publish(4, 0, PIXEL_GREY);
    cameras_refresh(cameras);
    ck_assert_ptr_null(cameras_use(cameras, POLICY_RGB_CAMERA_1, &image));
    ck_assert_ptr_null(cameras_use(cameras, POLICY_RGB_CAMERA_2, &image));
    end();
    close_camera();
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("link");
    Suite *suite = suite_create("hal_link");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, an_observation_is_answered);
    tcase_add_test(cases, a_slow_inference_gets_the_newest_it_could_and_never_starves);
    tcase_add_test(cases, waiting_ends_in_time_and_at_the_shutdown);
    tcase_add_test(cases, a_picture_stays_in_its_slot_while_the_policy_looks);
    tcase_add_test(cases, dropped_observations_give_their_pictures_back);
    tcase_add_test(cases, a_bottom_up_picture_is_walked_from_its_top_row);
    tcase_add_test(cases, a_picture_in_another_format_is_none);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
