/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control program's view of the HAL, over real sockets: eight parts out, two parts back, the
 * joints by the table, pictures whole whatever their row order, wrong commands refused.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <check.h>
#include <zmq.h>

#include "hal/endpoint.h"
#include "proto/pixel.h"
#include "shm/ring.h"
#include "tests/support.h"

#define WIDTH 16
#define HEIGHT 8
#define STRIDE (WIDTH * 3)
#define WAIT_MS 2000

static char dir[SUPPORT_PATH_BYTES];
static char observations[SUPPORT_PATH_BYTES + 16];
static char commands[SUPPORT_PATH_BYTES + 16];
static struct endpoint *endpoint;
static void *context;
static void *subscriber;
static void *pusher;
static zmq_msg_t messages[OBSERVATION_PARTS];
static struct observation_part parts[OBSERVATION_PARTS];

static void set_up(void)
{
    struct endpoint_config config = {
        .observations = observations,
        .commands = commands,
        .joint_map = {17, 16, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8},
    };
    int wait_ms = WAIT_MS;

    support_dir_make(dir);
    snprintf(observations, sizeof(observations), "ipc://%s/o", dir);
    snprintf(commands, sizeof(commands), "ipc://%s/c", dir);
    ck_assert_int_eq(endpoint_open(&config, &endpoint), 0);
    context = zmq_ctx_new();
    subscriber = zmq_socket(context, ZMQ_SUB);
    pusher = zmq_socket(context, ZMQ_PUSH);
    zmq_setsockopt(subscriber, ZMQ_RCVTIMEO, &wait_ms, sizeof(wait_ms));
    zmq_setsockopt(subscriber, ZMQ_SUBSCRIBE, OBSERVATION_TOPIC, strlen(OBSERVATION_TOPIC));
    ck_assert_int_eq(zmq_connect(subscriber, observations), 0);
    ck_assert_int_eq(zmq_connect(pusher, commands), 0);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < OBSERVATION_PARTS; i++)
        zmq_msg_close(&messages[i]);
    zmq_close(subscriber);
    zmq_close(pusher);
    zmq_ctx_term(context);
    endpoint_close(endpoint);
    ck_assert_uint_eq(support_count_entries(dir), 0);
    rmdir(dir);
}

static struct hal_observation good_observation(void)
{
    struct hal_observation observation = {.sent_ns = 12345};

    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        observation.policy.joint_position_rad[i] = (float)i + 1;
    return observation;
}

/* Receives a whole message into `parts`; returns how many there were. */
static size_t receive(void)
{
    size_t count = 0;
    int more = 1;

    while (more && count < OBSERVATION_PARTS) {
        zmq_msg_close(&messages[count]);
        zmq_msg_init(&messages[count]);
        if (zmq_msg_recv(&messages[count], subscriber, 0) < 0)
            return 0;
        more = zmq_msg_more(&messages[count]);
        parts[count] = (struct observation_part){zmq_msg_data(&messages[count]),
                                                 zmq_msg_size(&messages[count])};
        count++;
    }
    return more ? 99 : count;
}

/* A subscription takes a moment to arrive; until then what is published goes nowhere. */
static void attach(void)
{
    zmq_pollitem_t waiting = {.socket = subscriber, .events = ZMQ_POLLIN};

    for (unsigned i = 0; i < 500; i++) {
        struct hal_observation observation = good_observation();
        endpoint_publish(endpoint, &observation);
        if (zmq_poll(&waiting, 1, 10) > 0)
            break;
    }
    while (zmq_poll(&waiting, 1, 50) > 0)
        ck_assert_uint_eq(receive(), OBSERVATION_PARTS);
}

START_TEST(eight_parts_go_out_with_the_joints_mapped)
{
    static const float expected[OBSERVATION_JOINTS] = {4, 5, 6, 7, 8, 9, 10, 11, 12,
                                                       0, 0, 0, 0, 0, 0, 3,  2,  1};
    struct hal_observation sent = good_observation();
    struct observation seen;

    attach();
    endpoint_publish(endpoint, &sent);
    ck_assert_uint_eq(receive(), OBSERVATION_PARTS);
    ck_assert_int_eq(observation_read(parts, OBSERVATION_PARTS, &seen), OBSERVATION_FINE);
    ck_assert_int_eq(seen.timestamp_ns, 12345);
    ck_assert_uint_eq(seen.camera_width, 0);
    for (unsigned i = 0; i < OBSERVATION_JOINTS; i++)
        ck_assert_float_eq(seen.joint_position_rad[i], expected[i]);
}
END_TEST

/* ---- pictures ---------------------------------------------------------------------------------
 */

static void publish_frame(struct ring_producer *ring, uint32_t flags)
{
    struct ring_loan loan;
    struct ring_frame frame = {.frame_id = 1,
                               .payload_bytes = STRIDE * HEIGHT,
                               .flags = RING_FRAME_KEYFRAME | flags,
                               .fourcc = PIXEL_RGB24,
                               .width = WIDTH,
                               .height = HEIGHT,
                               .stride_bytes = STRIDE};

    ck_assert_int_eq(ring_loan(ring, &loan), 0);
    for (unsigned i = 0; i < STRIDE * HEIGHT; i++)
        ((uint8_t *)loan.payload)[i] = (uint8_t)(i / STRIDE); /* its row in memory */
    ck_assert_int_gt(ring_publish(ring, &loan, &frame), 0);
}

static bool use_picture(struct cameras *cameras, struct hal_observation *observation)
{
    cameras_refresh(cameras);
    observation->frames[0] =
        cameras_use(cameras, POLICY_RGB_CAMERA_1, &observation->policy.images[0]);
    return observation->frames[0] != NULL;
}

static unsigned pinned(void)
{
    struct ring_info info;

    ck_assert_int_eq(ring_inspect(dir, "eye", RING_KIND_FRAMES, &info), 0);
    ck_assert_uint_eq(info.consumer_count, 1);
    return info.consumers[0].pinned;
}

START_TEST(pictures_go_out_top_row_first_and_come_back)
{
    const char *const streams[POLICY_IMAGE_COUNT] = {"eye"};
    struct ring_producer_config config = {.dir = dir,
                                          .stream = "eye",
                                          .kind = RING_KIND_FRAMES,
                                          .payload_bytes_max = STRIDE * HEIGHT};
    struct ring_producer *ring;
    struct cameras *cameras;
    struct observation seen;

    ck_assert_int_eq(ring_producer_open(&config, &ring), 0);
    ck_assert_int_eq(cameras_open(dir, streams, &cameras), 0);
    attach();
    for (unsigned turn = 0; turn < 2; turn++) {
        struct hal_observation sent = good_observation();
        publish_frame(ring, turn == 0 ? 0 : RING_FRAME_BOTTOM_UP);
        ck_assert(WAIT_UNTIL(use_picture(cameras, &sent), 5));
        endpoint_publish(endpoint, &sent);
        ck_assert_uint_eq(receive(), OBSERVATION_PARTS);
        ck_assert_int_eq(observation_read(parts, OBSERVATION_PARTS, &seen), OBSERVATION_FINE);
        ck_assert_uint_eq(seen.camera_width, WIDTH);
        ck_assert_uint_eq(seen.camera_height, HEIGHT);
        const uint8_t *picture = parts[OBSERVATION_PART_RGB_1].bytes;
        ck_assert_uint_eq(picture[0], turn == 0 ? 0 : HEIGHT - 1);
        ck_assert_uint_eq(picture[STRIDE * HEIGHT - 1], turn == 0 ? HEIGHT - 1 : 0);
        const uint8_t *black = parts[OBSERVATION_PART_RGB_2].bytes;
        ck_assert_uint_eq(black[0], 0);
        cameras_refresh(cameras);
        ck_assert(WAIT_UNTIL((cameras_refresh(cameras), pinned() == 1), 5));
    }
    cameras_close(cameras);
    ring_producer_close(ring);
}
END_TEST

/* ---- commands ---------------------------------------------------------------------------------
 */

static void send_command(const char *metadata, const float *joints, size_t joint_bytes)
{
    zmq_send(pusher, metadata, strlen(metadata), ZMQ_SNDMORE);
    zmq_send(pusher, joints, joint_bytes, 0);
}

static const char good_metadata[] =
    "{\"joint_positions\": {\"shape\": [18], \"dtype\": \"float32\"}, \"timestamp_ns\": 20, "
    "\"observation_timestamp_ns\": 10}";

START_TEST(a_command_moves_our_joints)
{
    static const float expected[POLICY_JOINTS] = {17, 16, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    float joints[OBSERVATION_JOINTS];
    struct hal_action action;

    for (unsigned i = 0; i < OBSERVATION_JOINTS; i++)
        joints[i] = (float)i;
    send_command(good_metadata, joints, sizeof(joints));
    ck_assert_int_eq(endpoint_wait_command(endpoint, clock_now_ns() + 2 * NS_PER_S, &action), 0);
    ck_assert_int_eq(action.sent_ns, 10);
    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        ck_assert_float_eq(action.joint_position_rad[i], expected[i]);
    ck_assert_uint_eq(endpoint_refused(endpoint), 0);
}
END_TEST

START_TEST(wrong_commands_are_counted_and_the_next_good_one_is_taken)
{
    float joints[OBSERVATION_JOINTS] = {0};
    float bad[OBSERVATION_JOINTS] = {NAN};
    struct hal_action action;

    zmq_send(pusher, "alone", 5, 0);
    for (unsigned i = 0; i < 9; i++)
        zmq_send(pusher, good_metadata, strlen(good_metadata), i < 8 ? ZMQ_SNDMORE : 0);
    send_command("{", joints, sizeof(joints));
    send_command(good_metadata, joints, sizeof(joints) - 4);
    send_command(good_metadata, bad, sizeof(bad));
    send_command(good_metadata, joints, sizeof(joints));
    ck_assert_int_eq(endpoint_wait_command(endpoint, clock_now_ns() + 2 * NS_PER_S, &action), 0);
    ck_assert_uint_eq(endpoint_refused(endpoint), 5);
    ck_assert_int_eq(endpoint_wait_command(endpoint, clock_now_ns() + 10 * NS_PER_MS, &action),
                     -ETIMEDOUT);
}
END_TEST

START_TEST(a_url_that_cannot_be_bound_is_refused)
{
    struct endpoint_config wrong = {.observations = "carrier:pigeon", .commands = commands};
    struct endpoint_config nowhere = {.observations = "ipc:///no/such/dir/o",
                                      .commands = "tcp://127.0.0.1:0"};
    struct endpoint *other;

    ck_assert_int_eq(endpoint_open(&wrong, &other), -EINVAL);
    ck_assert_int_lt(endpoint_open(&nowhere, &other), 0);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("endpoint");
    Suite *suite = suite_create("hal_endpoint");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, eight_parts_go_out_with_the_joints_mapped);
    tcase_add_test(cases, pictures_go_out_top_row_first_and_come_back);
    tcase_add_test(cases, a_command_moves_our_joints);
    tcase_add_test(cases, wrong_commands_are_counted_and_the_next_good_one_is_taken);
    tcase_add_test(cases, a_url_that_cannot_be_bound_is_refused);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
