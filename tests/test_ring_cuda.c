/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings on a GPU and pinned rings. Suite "unit" runs this with the fake driver; suite "gpu"
 * (SIMCAST_TEST_GPU=1) with the real one, or skips it where there is none.
 */
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/cuda_kit.h"

#define FRAMES 16

static bool on_real_gpu;

/* Runs in a process of its own: acquires FRAMES frames, says after each that it was whole. */
static int consume(int say_fd)
{
    struct ring_consumer_config config = cuda_consumer();
    struct ring_consumer *consumer = NULL;
    struct ring_view view;
    bool whole = true;

    if (ring_consumer_open(&config, &consumer) < 0)
        return 2;
    for (unsigned i = 0; i < FRAMES && whole; i++) {
        if (!WAIT_UNTIL(ring_acquire(consumer, RING_LATEST, &view) == 0, 20)) {
            fprintf(stderr, "frame %u: %s\n", i, ring_consumer_link_reason(consumer));
            return 3;
        }
        whole = view.memory == RING_MEMORY_CUDA && view.frame.frame_id == i && is_whole(&view);
        if (ring_release(consumer, &view) < 0 || write(say_fd, "w", 1) != 1)
            return 4;
    }
    ring_consumer_close(consumer);
    return whole ? 0 : 1;
}

START_TEST(another_process_gets_every_byte_of_every_frame)
{
    int say[2];
    char heard;
    int status;
    struct ring_demand demand = {0};

    ck_assert_int_eq(pipe(say), 0);
    pid_t child = fork();
    if (child == 0) {
        close(say[0]);
        _exit(consume(say[1]));
    }
    ck_assert_int_gt(child, 1);
    close(say[1]);
    struct ring_producer_config config = cuda_producer();
    struct ring_producer *producer = open_producer(&config);
    ck_assert(WAIT_UNTIL((ring_producer_demand(producer, &demand), demand.consumers == 1), 20));
    for (unsigned i = 0; i < FRAMES; i++) {
        publish(producer, 0, i);
        ck_assert_int_eq(read(say[0], &heard, 1), 1); /* 0: the consumer gave up */
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ring_producer_close(producer);
    close(say[0]);
}
END_TEST

START_TEST(a_view_outlives_its_producer)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();
    struct ring_producer *producer = open_producer(&producer_config);
    struct ring_consumer *consumer = open_consumer(&consumer_config);

    publish(producer, 0, 7);
    struct ring_view view = acquire(consumer);
    ring_producer_close(producer);
    ck_assert(link_becomes(consumer, RING_DETACHED));
    ck_assert(is_whole(&view));
    ck_assert_int_eq(ring_release(consumer, &view), 0);
    ring_consumer_close(consumer);
    if (!on_real_gpu)
        assert_fake_holds_nothing();
}
END_TEST

START_TEST(whoever_does_not_ask_for_device_pointers_is_refused)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();
    struct ring_producer *producer = open_producer(&producer_config);
    struct ring_view view;

    consumer_config.accept_cuda = false;
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    publish(producer, 0, 1);
    ck_assert(link_becomes(consumer, RING_REFUSED));
    ck_assert_int_eq(ring_acquire(consumer, RING_LATEST, &view), -EPIPE);
    const char *reason = ring_consumer_link_reason(consumer);
    ck_assert_msg(strstr(reason, "on a GPU") && strstr(reason, "memory: host"), "%s", reason);
    ring_consumer_close(consumer);
    ring_producer_close(producer);
}
END_TEST

START_TEST(an_inquiry_tells_where_payloads_lie)
{
    struct ring_producer_config config = cuda_producer();
    struct ring_producer *producer = open_producer(&config);
    struct ring_info info;

    ck_assert_int_eq(ring_inspect(dir, "front", RING_KIND_FRAMES, &info), 0);
    ck_assert_uint_eq(info.memory, RING_MEMORY_CUDA);
    ck_assert_uint_ge(info.device_slot_bytes, PAYLOAD_BYTES);
    ck_assert_uint_eq(info.slot_bytes, 4096);
    ring_producer_close(producer);
}
END_TEST

START_TEST(a_pinned_host_ring_is_a_host_ring)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();

    producer_config.memory = RING_MEMORY_HOST;
    producer_config.pin_for_cuda = true;
    consumer_config.accept_cuda = false;
    consumer_config.pin_for_cuda = true;
    struct ring_producer *producer = open_producer(&producer_config);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    ck_assert_str_eq(ring_producer_pin_reason(producer), "");
    publish(producer, 0, 3);
    struct ring_view view = acquire(consumer);
    ck_assert_int_eq(view.memory, RING_MEMORY_HOST);
    ck_assert(is_whole(&view));
    if (!on_real_gpu) { /* a real GPU may be unable to pin what is mapped read-only */
        ck_assert_str_eq(ring_consumer_pin_reason(consumer), "");
        ck_assert_int_eq(fake_state().registrations, 2);
        ck_assert_uint_eq(fake_state().register_flags, CUDA_PIN_PORTABLE | CUDA_PIN_READ_ONLY);
    }
    ck_assert_int_eq(ring_release(consumer, &view), 0);
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    if (!on_real_gpu)
        assert_fake_holds_nothing();
}
END_TEST

START_TEST(a_copy_from_the_gpu_lands_in_a_pinned_slot)
{
    struct ring_producer_config host_config = cuda_producer();
    struct ring_producer_config device_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();
    struct ring_loan loan;
    struct ring_frame frame = {.payload_bytes = PAYLOAD_BYTES, .frame_id = 9};

    device_config.stream = "gpu";
    host_config.memory = RING_MEMORY_HOST;
    host_config.pin_for_cuda = true;
    consumer_config.stream = "gpu";
    struct ring_producer *device = open_producer(&device_config);
    struct ring_producer *host = open_producer(&host_config);
    struct ring_consumer *from_device = open_consumer(&consumer_config);
    consumer_config.stream = "front";
    struct ring_consumer *from_host = open_consumer(&consumer_config);
    publish(device, 0, 9);
    struct ring_view on_device = acquire(from_device);
    ck_assert_int_eq(ring_loan(host, &loan), 0);
    ck_assert_int_eq(copy_to_host(on_device.cuda_device, loan.payload, on_device.payload), CUDA_OK);
    ck_assert_int_gt(ring_publish(host, &loan, &frame), 0);
    struct ring_view on_host = acquire(from_host);
    ck_assert(is_whole(&on_host));
    ring_consumer_close(from_host);
    ring_consumer_close(from_device);
    ring_producer_close(host);
    ring_producer_close(device);
}
END_TEST

START_TEST(contradictory_wishes_are_refused)
{
    struct ring_producer_config config = cuda_producer();
    struct ring_producer *producer = NULL;

    config.pin_for_cuda = true;
    ck_assert_int_eq(ring_producer_open(&config, &producer), -EINVAL);
    config.pin_for_cuda = false;
    config.memory = (enum ring_memory)7;
    ck_assert_int_eq(ring_producer_open(&config, &producer), -EINVAL);
    config.memory = RING_MEMORY_CUDA;
    config.cuda_device = 999;
    ck_assert_int_eq(ring_producer_open(&config, &producer), -ENODEV);
    ck_assert_msg(strstr(ring_cuda_reason(), "check cuda_device"), "%s", ring_cuda_reason());
}
END_TEST

/* Asks in a child, for CUDA does not survive the forks that Check makes. */
static bool gpu_is_there(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct cuda_device device;
        int error = cuda_device_open(0, &device);
        if (error < 0)
            printf("skip ring_cuda: %s\n", cuda_driver_reason());
        fflush(stdout);
        _exit(error < 0);
    }
    return child > 1 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
    on_real_gpu = getenv("SIMCAST_TEST_GPU") != NULL;
    if (on_real_gpu && !gpu_is_there())
        return 77;
    Suite *suite = suite_create("ring_cuda");
    TCase *cases = tcase_create("ring_cuda");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, another_process_gets_every_byte_of_every_frame);
    tcase_add_test(cases, a_view_outlives_its_producer);
    tcase_add_test(cases, whoever_does_not_ask_for_device_pointers_is_refused);
    tcase_add_test(cases, an_inquiry_tells_where_payloads_lie);
    tcase_add_test(cases, a_pinned_host_ring_is_a_host_ring);
    tcase_add_test(cases, a_copy_from_the_gpu_lands_in_a_pinned_slot);
    tcase_add_test(cases, contradictory_wishes_are_refused);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
