/* SPDX-License-Identifier: Apache-2.0 */
/* The ring across fork(2), signals, and callers that do less than they might. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "tests/ring_kit.h"

/* ---- waiting ------------------------------------------------------------------------------- */

static atomic_bool stop;

static void *publish_slowly(void *argument)
{
    (void)argument;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        publish((uint8_t)i, 0);
        poll(NULL, 0, (int)(2 + i * 7 % 5)); /* no rhythm */
    }
    return NULL;
}

START_TEST(a_wait_is_woken_though_the_last_acquire_found_a_frame)
{
    struct ring_consumer *consumer = open_consumer(1);
    struct ring_view view;
    pthread_t thread;

    publish(1, 0);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ring_release(consumer, &view);
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_slowly, NULL), 0);
    for (unsigned i = 0; i < 50; i++) { /* one frame per wait, never asked until -EAGAIN */
        ck_assert_int_eq(ring_consumer_wait(consumer, 2000), 0);
        if (ring_acquire(consumer, RING_LATEST, &view) == 0)
            ring_release(consumer, &view);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    ring_consumer_close(consumer);
}
END_TEST

/* ---- signals ------------------------------------------------------------------------------- */

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms = alarms + 1;
}

START_TEST(a_ring_opens_while_a_profiler_sends_signals)
{
    const struct itimerval often = {{0, 300}, {0, 300}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    struct sigaction counting = {.sa_handler = count_alarm, .sa_flags = SA_RESTART};
    struct ring_producer_config config = {
        .dir = dir, .stream = "rear", .payload_bytes_max = 8 << 20, .leases_max = 8};
    struct ring_producer *rear = NULL;

    sigaction(SIGALRM, &counting, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    int error = ring_producer_open(&config, &rear);
    setitimer(ITIMER_REAL, &never, NULL);
    ck_assert_int_eq(error, 0);
    ck_assert_int_gt(alarms, 0);
    ring_producer_close(rear);
}
END_TEST

static int64_t processor_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

START_TEST(a_producer_without_descriptors_left_does_not_spin)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct rlimit limit;
    int knocker = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    ring_socket_path(dir, "front", RING_KIND_FRAMES, address.sun_path, sizeof(address.sun_path));
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit few = {.rlim_cur = 128, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    while (dup(knocker) >= 0)
        continue;
    ck_assert_int_eq(connect(knocker, (struct sockaddr *)&address, sizeof(address)), 0);
    int64_t before_us = processor_us();
    poll(NULL, 0, 300); /* the time that is measured */
    ck_assert_int_lt(processor_us() - before_us, 100000);
    setrlimit(RLIMIT_NOFILE, &limit);
    close(knocker);
    ring_consumer_close(attached_consumer(1)); /* with descriptors again, it serves again */
}
END_TEST

/* ---- fork ---------------------------------------------------------------------------------- */

/* Forks; the child's exit code, or 128 + the signal that ended it. */
static int in_child(int (*body)(void *), void *argument)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        alarm(10);
        _exit(body(argument));
    }
    ck_assert_int_gt(child, 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int publish_the_parents_loan(void *argument)
{
    const struct ring_loan *loan = argument;
    struct ring_frame frame = {.payload_bytes = 1, .frame_id = 99};

    if (ring_publish(producer, loan, &frame) != -ESTALE)
        return 1;
    ring_abandon(producer, loan);
    return 0;
}

START_TEST(a_loan_that_is_out_at_a_fork_stays_the_parents)
{
    struct ring_consumer *consumer = attached_consumer(1);
    struct ring_loan loan;
    struct ring_view view;
    struct ring_frame frame = {.payload_bytes = 1, .frame_id = 7};

    ck_assert_int_eq(ring_loan(producer, &loan), 0);
    ck_assert_int_eq(in_child(publish_the_parents_loan, &loan), 0);
    ck_assert_int_eq(ring_acquire(consumer, RING_LATEST, &view), -EAGAIN);
    ck_assert_int_eq(ring_publish(producer, &loan, &frame), 1);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ck_assert_uint_eq(view.frame.frame_id, 7);
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
}
END_TEST

/* The numbers of the ring's sockets are free in the child; sockets of its own take them. */
static int tell_with_the_numbers_reused(void *argument)
{
    struct ring_consumer *consumer = argument;
    struct pollfd ends[16];

    for (unsigned i = 0; i < 16; i += 2) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
            return 1;
        ends[i] = (struct pollfd){.fd = pair[0], .events = POLLIN};
        ends[i + 1] = (struct pollfd){.fd = pair[1], .events = POLLIN};
    }
    ring_consumer_want(consumer, true);
    ring_consumer_request_keyframe(consumer);
    if (poll(ends, 16, 0) != 0)
        return 2;
    return ring_consumer_wait(consumer, 0) == -ESTALE ? 0 : 3;
}

START_TEST(a_child_tells_nothing_to_whoever_got_the_numbers_of_its_parents_sockets)
{
    struct ring_consumer *consumer = attached_consumer(1);

    ck_assert_int_eq(in_child(tell_with_the_numbers_reused, consumer), 0);
    ck_assert_uint_eq(demand_now().wanting, 0);
    ring_consumer_close(consumer);
}
END_TEST

/* Open descriptors whose target contains `word`. */
static int count_targets(const char *word)
{
    int found = 0;

    for (int fd = 0; fd < 256; fd++) {
        char name[32];
        char target[128] = "";
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        if (readlink(name, target, sizeof(target) - 1) > 0)
            found += strstr(target, word) != NULL;
    }
    return found;
}

static int sockets_before;

static int look_for_the_rings_descriptors(void *argument)
{
    struct ring_demand demand;

    (void)argument;
    ring_producer_demand(producer, &demand); /* takes no lock that a thread left taken */
    if (count_targets("socket:") > sockets_before)
        return 1;
    return count_targets(dir) > 0 ? 2 : 0;
}

static void *come_and_go(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop)) {
        struct ring_consumer *consumer = attached_consumer(1);
        ring_consumer_want(consumer, true);
        ring_consumer_close(consumer);
        struct ring_producer_config config = {
            .dir = dir, .stream = "rear", .payload_bytes_max = 1, .leases_max = 1};
        struct ring_producer *rear = NULL;
        ck_assert_int_eq(ring_producer_open(&config, &rear), 0);
        ring_producer_close(rear);
    }
    return NULL;
}

START_TEST(a_child_never_has_a_rings_socket_or_lock_whenever_it_is_born)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, come_and_go, NULL), 0);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(in_child(look_for_the_rings_descriptors, NULL), 0);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_hazards");
    TCase *cases = tcase_create("ring_hazards");
    TCase *races = tcase_create("ring_hazards_races"); /* apart, for emulators that cannot */
    SRunner *runner = srunner_create(suite);

    sockets_before = count_targets("socket:");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_wait_is_woken_though_the_last_acquire_found_a_frame);
    tcase_add_test(cases, a_ring_opens_while_a_profiler_sends_signals);
    tcase_add_test(cases, a_producer_without_descriptors_left_does_not_spin);
    tcase_add_test(cases, a_loan_that_is_out_at_a_fork_stays_the_parents);
    tcase_add_test(cases, a_child_tells_nothing_to_whoever_got_the_numbers_of_its_parents_sockets);
    tcase_set_tags(races, "races");
    tcase_add_checked_fixture(races, setup, teardown);
    tcase_add_test(races, a_child_never_has_a_rings_socket_or_lock_whenever_it_is_born);
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, races);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
