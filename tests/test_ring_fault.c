/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each system call that the ring makes while opening fails in turn (linked with --wrap). The
 * answer must be an error or a consumer that keeps trying; nothing may be left behind, and never
 * a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <check.h>

#include "shm/ring.h"
#include "tests/support.h"

/* Calls left until the next wrapped one fails; negative: none fails. */
static atomic_int calls_left = -1;
static atomic_int calls_seen;
static int error_to_give;

static bool fails_now(void)
{
    atomic_fetch_add(&calls_seen, 1);
    if (atomic_load(&calls_left) < 0 || atomic_fetch_sub(&calls_left, 1) != 0)
        return false;
    errno = error_to_give;
    return true;
}

#define WRAP(type, name, parameters, arguments)                                                    \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails_now() ? -1 : __real_##name arguments;                                         \
    }

WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, ftruncate64, (int fd, off_t length), (fd, length))
WRAP(int, fallocate64, (int fd, int mode, off_t at, off_t length), (fd, mode, at, length))
WRAP(int, eventfd, (unsigned value, int flags), (value, flags))
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, timerfd_create, (clockid_t id, int flags), (id, flags))
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, bind, (int fd, const struct sockaddr *to, socklen_t length), (fd, to, length))
WRAP(int, listen, (int fd, int backlog), (fd, backlog))
WRAP(int, connect, (int fd, const struct sockaddr *to, socklen_t length), (fd, to, length))
WRAP(int, accept4, (int fd, struct sockaddr *from, socklen_t *length, int flags),
     (fd, from, length, flags))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))

void *__real_mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
    return fails_now() ? MAP_FAILED : __real_mmap64(at, length, protection, flags, fd, offset);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment, bytes);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    return fails_now() ? error_to_give : __real_pthread_create(thread, attributes, run, argument);
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
    va_list arguments;

    va_start(arguments, command);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    return fails_now() ? -1 : __real_fcntl64(fd, command, argument);
}

static char dir[SUPPORT_PATH_BYTES];

static int open_producer(struct ring_producer **producer)
{
    struct ring_producer_config config = {
        .dir = dir, .stream = "front", .kind = RING_KIND_STATE, .payload_bytes_max = 100};

    return ring_producer_open(&config, producer);
}

/* How many wrapped calls an undisturbed open makes on this thread. */
static int count_calls_of_open(void)
{
    struct ring_producer *producer = NULL;

    atomic_store(&calls_seen, 0);
    ck_assert_int_eq(open_producer(&producer), 0);
    int calls = atomic_load(&calls_seen);
    ring_producer_close(producer);
    return calls;
}

START_TEST(opening_a_producer_fails_cleanly_wherever_it_fails)
{
    int calls = count_calls_of_open();
    unsigned fds_before = support_count_fds();

    ck_assert_int_gt(calls, 8);
    for (int i = 0; i < calls; i++) {
        struct ring_producer *producer = NULL;
        error_to_give = i % 2 ? ENOMEM : EMFILE;
        atomic_store(&calls_left, i);
        int error = open_producer(&producer);
        atomic_store(&calls_left, -1);
        ck_assert_int_lt(error, 0);
        ck_assert_ptr_null(producer);
        ck_assert_uint_eq(support_count_entries(dir), 0);
        ck_assert_uint_eq(support_count_fds(), fds_before);
    }
}
END_TEST

START_TEST(no_memory_left_is_said_so_at_open)
{
    struct ring_producer *producer = NULL;

    error_to_give = ENOSPC;
    atomic_store(&calls_left, 3); /* calloc, memfd_create, ftruncate, then fallocate */
    ck_assert_int_eq(open_producer(&producer), -ENOSPC);
}
END_TEST

static bool is_attached(struct ring_consumer *consumer)
{
    struct ring_view view;

    if (ring_acquire(consumer, RING_LATEST, &view) == 0)
        ring_release(consumer, &view);
    return ring_consumer_link(consumer) == RING_ATTACHED;
}

/* Attaching crosses both sides and the door's thread: any of their calls may be the one to fail. */
START_TEST(attaching_survives_any_one_failure_on_either_side)
{
    struct ring_producer *producer = NULL;
    unsigned fds_before = support_count_fds();

    ck_assert_int_eq(open_producer(&producer), 0);
    unsigned fds_with_producer = support_count_fds();
    for (int i = 0; i < 24; i++) {
        struct ring_consumer_config config = {
            .dir = dir, .stream = "front", .kind = RING_KIND_STATE};
        struct ring_consumer *consumer = NULL;
        struct ring_view view;
        struct ring_loan loan;
        error_to_give = EMFILE;
        atomic_store(&calls_left, i);
        int error = ring_consumer_open(&config, &consumer);
        if (error < 0) {
            ck_assert_ptr_null(consumer);
        } else {
            /* Whatever failed, it gets in by itself and gets frames. */
            ck_assert(WAIT_UNTIL(is_attached(consumer), 5));
            atomic_store(&calls_left, -1);
            ck_assert_int_eq(ring_loan(producer, &loan), 0);
            ck_assert_int_gt(
                ring_publish(producer, &loan, &(struct ring_frame){.payload_bytes = 1}), 0);
            ck_assert(WAIT_UNTIL(ring_acquire(consumer, RING_LATEST, &view) == 0, 5));
            ring_release(consumer, &view);
        }
        atomic_store(&calls_left, -1);
        ring_consumer_close(consumer);
        ck_assert(WAIT_UNTIL(support_count_fds() == fds_with_producer, 5));
    }
    ring_producer_close(producer);
    ck_assert_uint_eq(support_count_fds(), fds_before);
}
END_TEST

static void setup(void)
{
    support_dir_make(dir);
}

static void teardown(void)
{
    rmdir(dir);
}

int main(void)
{
    Suite *suite = suite_create("ring_fault");
    TCase *cases = tcase_create("ring_fault");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, opening_a_producer_fails_cleanly_wherever_it_fails);
    tcase_add_test(cases, no_memory_left_is_said_so_at_open);
    tcase_add_test(cases, attaching_survives_any_one_failure_on_either_side);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
