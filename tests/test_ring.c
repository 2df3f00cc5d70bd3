/* SPDX-License-Identifier: Apache-2.0 */
/* The ring between one producer and its consumers, in one process and across a fork. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "shm/handoff.h"
#include "shm/layout.h"
#include "shm/ring.h"
#include "tests/ring_kit.h"

START_TEST(a_frame_arrives_whole_with_all_that_is_said_about_it)
{
    struct ring_consumer *consumer = attached_consumer(1);
    struct ring_loan loan;
    struct ring_view view;
    struct ring_frame frame = {
        .frame_id = 77,
        .payload_bytes = 3,
        .flags = RING_FRAME_BOTTOM_UP,
        .fourcc = 0x1234,
        .width = 640,
        .height = 480,
        .stride_bytes = 1920,
        .user_bytes = 4,
        .sim_time_ns = 123456789,
        .stamp_ns = {[RING_STAGE_RENDERED] = 42},
    };

    ck_assert_int_eq(ring_loan(producer, &loan), 0);
    ck_assert_uint_eq(loan.payload_bytes_max, PAYLOAD_BYTES);
    ck_assert_uint_eq((uintptr_t)loan.payload % 4096, 0);
    memcpy(loan.payload, "abc", 3);
    memcpy(loan.user, "pose", 4);
    int64_t before_ns = clock_now_ns();
    ck_assert_int_eq(ring_publish(producer, &loan, &frame), 1);

    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ck_assert_mem_eq(view.payload, "abc", 3);
    ck_assert_mem_eq(view.user, "pose", 4);
    ck_assert_uint_eq(view.frame.seq, 1);
    ck_assert_uint_eq(view.lost, 0);
    ck_assert_int_ge(view.frame.stamp_ns[RING_STAGE_PUBLISHED], before_ns);
    ck_assert_int_eq(view.frame.stamp_ns[RING_STAGE_RENDERED], 42);
    frame.seq = 1;
    frame.stamp_ns[RING_STAGE_PUBLISHED] = view.frame.stamp_ns[RING_STAGE_PUBLISHED];
    ck_assert_mem_eq(&view.frame, &frame, sizeof(frame));
    ring_release(consumer, &view);
    ck_assert_int_eq(ring_acquire(consumer, RING_LATEST, &view), -EAGAIN);
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(latest_skips_to_the_newest_and_counts_what_it_missed)
{
    struct ring_consumer *consumer = attached_consumer(1);
    struct ring_view view;

    publish(1, 0);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ring_release(consumer, &view);
    for (uint8_t i = 2; i <= 9; i++)
        publish(i, 0);
    ck_assert_uint_eq(ring_consumer_newest(consumer), 9);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ck_assert_uint_eq(view.frame.frame_id, 9);
    ck_assert_uint_eq(view.lost, 7);
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(next_gives_every_frame_in_order)
{
    ring_producer_close(producer);
    producer = open_producer(2, 16);
    struct ring_consumer *consumer = attached_consumer(1);
    struct ring_view view;

    publish(1, RING_FRAME_KEYFRAME);
    for (uint8_t i = 2; i <= 16; i++)
        publish(i, 0);
    for (uint8_t i = 1; i <= 16; i++) {
        ck_assert_int_eq(acquire(consumer, RING_NEXT, &view), 0);
        ck_assert_uint_eq(view.frame.frame_id, i);
        ck_assert_uint_eq(view.lost, 0);
        ring_release(consumer, &view);
    }
    ck_assert_int_eq(ring_acquire(consumer, RING_NEXT, &view), -EAGAIN);
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(a_lapped_consumer_resumes_at_a_keyframe_and_knows_its_loss)
{
    ring_producer_close(producer);
    producer = open_producer(2, 4);
    struct ring_consumer *consumer = attached_consumer(1);
    struct ring_view view;

    publish(1, RING_FRAME_KEYFRAME);
    ck_assert_int_eq(acquire(consumer, RING_NEXT, &view), 0);
    ring_release(consumer, &view);
    for (uint8_t i = 2; i <= 40; i++)
        publish(i, 0);
    ck_assert_int_eq(ring_acquire(consumer, RING_NEXT, &view), -EAGAIN); /* no keyframe left */
    publish(41, 0);
    ck_assert_int_eq(ring_acquire(consumer, RING_NEXT, &view), -EAGAIN);
    publish(42, RING_FRAME_KEYFRAME);
    publish(43, 0);
    ck_assert_int_eq(acquire(consumer, RING_NEXT, &view), 0);
    ck_assert_uint_eq(view.frame.frame_id, 42);
    ck_assert_uint_eq(view.lost, 40);
    ring_release(consumer, &view);
    ck_assert_int_eq(acquire(consumer, RING_NEXT, &view), 0);
    ck_assert_uint_eq(view.frame.frame_id, 43);
    ck_assert_uint_eq(view.lost, 0);
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(a_late_joiner_with_next_starts_at_the_newest_keyframe)
{
    ring_producer_close(producer);
    producer = open_producer(2, 16);
    for (uint8_t i = 1; i <= 9; i++)
        publish(i, i % 3 == 1 ? RING_FRAME_KEYFRAME : 0);
    struct ring_consumer *consumer = open_consumer(1);
    struct ring_view view;

    ck_assert_int_eq(acquire(consumer, RING_NEXT, &view), 0);
    ck_assert_uint_eq(view.frame.frame_id, 7);
    ck_assert_uint_eq(view.lost, 0);
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(held_views_are_never_written_to_and_never_stop_the_producer)
{
    struct ring_consumer *consumer = attached_consumer(8);
    struct ring_view views[8];
    struct ring_view extra;

    for (uint8_t i = 0; i < 8; i++) {
        publish((uint8_t)(100 + i), 0);
        ck_assert_int_eq(acquire(consumer, RING_LATEST, &views[i]), 0);
    }
    publish(200, 0);
    ck_assert_int_eq(ring_acquire(consumer, RING_LATEST, &extra), -EBUSY);
    for (unsigned i = 0; i < 1000; i++)
        publish((uint8_t)i, 0);
    for (uint8_t i = 0; i < 8; i++) {
        const uint8_t *bytes = views[i].payload;
        for (size_t k = 0; k < PAYLOAD_BYTES; k++)
            ck_assert_uint_eq(bytes[k], 100 + i);
        ring_release(consumer, &views[i]);
    }
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(one_loan_at_a_time_and_an_abandoned_one_is_never_seen)
{
    struct ring_consumer *consumer = attached_consumer(1);
    struct ring_loan loan;
    struct ring_loan second;
    struct ring_view view;

    publish(1, 0);
    ck_assert_int_eq(ring_loan(producer, &loan), 0);
    ck_assert_int_eq(ring_loan(producer, &second), -EBUSY);
    ring_abandon(producer, &loan);
    ck_assert_int_eq(ring_loan(producer, &loan), 0);
    struct ring_frame too_long = {.payload_bytes = PAYLOAD_BYTES + 1};
    ck_assert_int_eq(ring_publish(producer, &loan, &too_long), -EMSGSIZE);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ck_assert_uint_eq(view.frame.frame_id, 1);
    ring_release(consumer, &view);
    ck_assert_uint_eq(publish(2, 0), 2);
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(demand_flows_back_and_ends_with_the_consumer)
{
    struct ring_consumer *one = attached_consumer(1);
    struct ring_consumer *two = attached_consumer(1);
    struct stream_settings settings = {.codec = 3, .jpeg_quality = 70};

    ck_assert(WAIT_UNTIL(demand_now().consumers == 2, 2));
    ck_assert_uint_eq(demand_now().wanting, 0);
    ring_consumer_want(one, true);
    ring_consumer_want(two, true);
    ring_consumer_request_keyframe(one);
    ring_consumer_settings(two, &settings);
    ck_assert(WAIT_UNTIL(demand_now().wanting == 2 && demand_now().keyframe_requests == 1 &&
                             demand_now().settings_changes == 1,
                         2));
    ck_assert_uint_eq(demand_now().settings.jpeg_quality, 70);
    struct pollfd changed = {.fd = ring_producer_demand_fd(producer), .events = POLLIN};
    ck_assert_int_eq(poll(&changed, 1, 0), 1);
    ring_consumer_want(one, false);
    ck_assert(WAIT_UNTIL(demand_now().wanting == 1, 2));
    ring_consumer_close(two);
    ck_assert(WAIT_UNTIL(demand_now().wanting == 0 && demand_now().consumers == 1, 2));
    ring_consumer_close(one);
}
END_TEST

START_TEST(consumers_follow_a_restarted_producer_and_tell_it_their_demand_again)
{
    struct ring_consumer *consumer = attached_consumer(2);
    struct ring_view old_view;
    struct ring_view view;

    ring_consumer_want(consumer, true);
    publish(11, 0);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &old_view), 0);
    ring_producer_close(producer);
    const uint8_t *old_bytes = old_view.payload;
    ck_assert(WAIT_UNTIL(ring_acquire(consumer, RING_LATEST, &view) == -EPIPE, 2));
    ck_assert_uint_eq(old_bytes[PAYLOAD_BYTES - 1], 11); /* still mapped */

    producer = open_producer(8, 0);
    ck_assert(
        WAIT_UNTIL((ring_acquire(consumer, RING_LATEST, &view), demand_now().wanting == 1), 2));
    publish(22, 0);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ck_assert_uint_eq(view.frame.frame_id, 22);
    ck_assert_uint_eq(view.lost, 0);
    ck_assert_uint_ne(view.epoch, old_view.epoch);
    ck_assert_uint_eq(old_bytes[0], 11);
    ring_release(consumer, &old_view);
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(a_dead_producers_socket_is_replaced_a_living_ones_is_not)
{
    struct ring_producer_config config = {
        .dir = dir, .stream = "front", .kind = RING_KIND_FRAMES, .payload_bytes_max = 1};
    struct ring_producer *second = NULL;

    ck_assert_int_eq(ring_producer_open(&config, &second), -EADDRINUSE);
    ring_producer_close(producer);
    pid_t child = fork();
    if (child == 0) {
        producer = open_producer(8, 0);
        raise(SIGKILL);
    }
    ck_assert_int_gt(child, 1);
    waitpid(child, NULL, 0);
    ck_assert_uint_eq(support_count_entries(dir), 1); /* what the killed one left */
    producer = open_producer(8, 0);
    ring_consumer_close(attached_consumer(1));
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------- */

#define STRESS_FRAMES 20000

struct stress {
    pthread_t thread;
    enum ring_policy policy;
    uint64_t frames;
    uint64_t lost;
    uint64_t torn;
    uint64_t backwards;
};

static atomic_bool stress_ends;

static void *read_frames(void *argument)
{
    struct stress *stress = argument;
    struct ring_consumer *consumer = open_consumer(2);
    struct ring_view view;
    uint64_t seq = 0;

    while (!atomic_load(&stress_ends) || ring_consumer_newest(consumer) > seq) {
        if (ring_acquire(consumer, stress->policy, &view) < 0) {
            ring_consumer_wait(consumer, 20);
            continue;
        }
        const uint8_t *bytes = view.payload;
        for (size_t i = 1; i < PAYLOAD_BYTES; i += 97)
            stress->torn += bytes[i] != bytes[0];
        stress->torn += bytes[0] != (uint8_t)view.frame.frame_id;
        stress->backwards += view.frame.seq <= seq;
        seq = view.frame.seq;
        stress->frames++;
        stress->lost += view.lost;
        ring_release(consumer, &view);
    }
    ring_consumer_close(consumer);
    return NULL;
}

START_TEST(many_readers_never_see_a_torn_frame)
{
    struct stress readers[4] = {{.policy = RING_LATEST},
                                {.policy = RING_NEXT},
                                {.policy = RING_LATEST},
                                {.policy = RING_NEXT}};

    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, read_frames, &readers[i]), 0);
    ck_assert(WAIT_UNTIL(demand_now().consumers == 4, 5));
    for (unsigned i = 0; i < STRESS_FRAMES; i++)
        publish((uint8_t)i, RING_FRAME_KEYFRAME);
    atomic_store(&stress_ends, true);
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(readers[i].thread, NULL);
        ck_assert_uint_eq(readers[i].torn, 0);
        ck_assert_uint_eq(readers[i].backwards, 0);
        ck_assert_uint_gt(readers[i].frames, 0);
        ck_assert_uint_le(readers[i].frames + readers[i].lost, STRESS_FRAMES);
    }
}
END_TEST

static void *echo_frames(void *argument)
{
    struct ring_consumer *consumer = open_consumer(1);
    struct ring_view view;
    atomic_uint *seen = argument;

    while (atomic_load(seen) < STRESS_FRAMES) {
        if (ring_acquire(consumer, RING_LATEST, &view) == 0) {
            atomic_store(seen, (unsigned)view.frame.seq);
            ring_release(consumer, &view);
        } else if (ring_consumer_wait(consumer, 5000) == -ETIMEDOUT) {
            break; /* a lost wake-up */
        }
    }
    ring_consumer_close(consumer);
    return NULL;
}

START_TEST(no_wake_up_is_ever_lost)
{
    uint64_t random = support_seed("wake");
    atomic_uint seen = 0;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, echo_frames, &seen), 0);
    ck_assert(WAIT_UNTIL(demand_now().consumers == 1, 5));
    for (unsigned i = 1; i <= STRESS_FRAMES; i++) {
        publish((uint8_t)i, 0);
        /* The next frame only after this one was seen: a lost wake-up would stop the run. */
        int64_t give_up_ns = clock_now_ns() + 4 * NS_PER_S;
        while (atomic_load(&seen) < i && clock_now_ns() < give_up_ns)
            sched_yield();
        ck_assert_uint_ge(atomic_load(&seen), i);
        for (uint64_t pause = support_random(&random) % 200; pause > 0; pause--)
            atomic_signal_fence(memory_order_seq_cst);
    }
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(opening_and_closing_leaves_no_descriptor_behind)
{
    unsigned before = support_count_fds();

    for (unsigned i = 0; i < 20; i++) {
        struct ring_consumer *consumer = attached_consumer(1);
        struct ring_view view;
        publish(1, 0);
        ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
        ring_consumer_close(consumer); /* with a view still held */
    }
    ck_assert(WAIT_UNTIL(support_count_fds() == before, 2));
}
END_TEST

START_TEST(names_and_sizes_that_make_no_sense_are_refused)
{
    const char *const names[] = {"", "a/b", "..", "with space",
                                 "a_name_that_is_longer_than_31_bytes"};
    struct ring_producer *none = NULL;

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct ring_producer_config config = {
            .dir = dir, .stream = names[i], .payload_bytes_max = 1};
        ck_assert_int_eq(ring_producer_open(&config, &none), -EINVAL);
    }
    struct ring_producer_config empty = {.dir = dir, .stream = "x"};
    ck_assert_int_eq(ring_producer_open(&empty, &none), -EINVAL);
    struct ring_producer_config huge = {
        .dir = dir, .stream = "x", .payload_bytes_max = SIZE_MAX / 2};
    ck_assert_int_eq(ring_producer_open(&huge, &none), -EINVAL);
    struct ring_producer_config nowhere = {
        .dir = "/nonexistent/dir", .stream = "x", .payload_bytes_max = 1};
    ck_assert_int_eq(ring_producer_open(&nowhere, &none), -ENOENT);
    ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *cases = tcase_create("ring");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_frame_arrives_whole_with_all_that_is_said_about_it);
    tcase_add_test(cases, latest_skips_to_the_newest_and_counts_what_it_missed);
    tcase_add_test(cases, next_gives_every_frame_in_order);
    tcase_add_test(cases, a_lapped_consumer_resumes_at_a_keyframe_and_knows_its_loss);
    tcase_add_test(cases, a_late_joiner_with_next_starts_at_the_newest_keyframe);
    tcase_add_test(cases, held_views_are_never_written_to_and_never_stop_the_producer);
    tcase_add_test(cases, one_loan_at_a_time_and_an_abandoned_one_is_never_seen);
    tcase_add_test(cases, demand_flows_back_and_ends_with_the_consumer);
    tcase_add_test(cases, consumers_follow_a_restarted_producer_and_tell_it_their_demand_again);
    tcase_add_test(cases, a_dead_producers_socket_is_replaced_a_living_ones_is_not);
    tcase_add_test(cases, many_readers_never_see_a_torn_frame);
    tcase_add_test(cases, no_wake_up_is_ever_lost);
    tcase_add_test(cases, opening_and_closing_leaves_no_descriptor_behind);
    tcase_add_test(cases, names_and_sizes_that_make_no_sense_are_refused);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
