/* SPDX-License-Identifier: Apache-2.0 */
/* The ring when its consumers misbehave, die, fork or lie. */
#include <errno.h>
#include <fcntl.h>
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
#include "tests/ring_kit.h"

START_TEST(a_consumer_beyond_the_agreed_leases_is_refused_with_the_reason)
{
    struct ring_consumer *first = attached_consumer(5);
    struct ring_consumer *second = open_consumer(4);
    struct ring_view view;

    for (int i = 0; i < 40 && ring_consumer_link(second) != RING_REFUSED; i++) {
        ck_assert_int_eq(ring_acquire(second, RING_LATEST, &view), -EPIPE);
        if (ring_consumer_link(second) != RING_REFUSED)
            ring_consumer_wait(second, 100);
    }
    ck_assert_int_eq(ring_consumer_link(second), RING_REFUSED);
    ck_assert_ptr_nonnull(strstr(ring_consumer_link_reason(second), "leases"));
    ring_consumer_close(first); /* its leases come back, and the other gets in by itself */
    publish(9, 0);
    ck_assert_int_eq(acquire(second, RING_LATEST, &view), 0);
    ring_release(second, &view);
    ring_consumer_close(second);
}
END_TEST

START_TEST(a_killed_consumers_leases_come_back)
{
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct ring_consumer *consumer = open_consumer(8);
        struct ring_view view;
        for (int held = 0; held < 8;) {
            if (acquire(consumer, RING_LATEST, &view) == 0)
                held++;
        }
        if (write(ready[1], "r", 1) == 1)
            pause();
        _exit(1);
    }
    ck_assert_int_gt(child, 1);
    struct pollfd told = {.fd = ready[0], .events = POLLIN};
    ck_assert(WAIT_UNTIL((publish(1, 0), poll(&told, 1, 0) == 1), 5));
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_uint_eq(demand_now().consumers, 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert(WAIT_UNTIL(demand_now().consumers == 0, 2));
    ring_consumer_close(attached_consumer(8)); /* all leases are free again */
    close(ready[0]);
    close(ready[1]);
}
END_TEST

START_TEST(a_pin_that_is_too_old_is_revoked_and_its_holder_learns_it)
{
    ring_producer_close(producer);
    struct ring_producer_config config = {
        .dir = dir,
        .stream = "front",
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = PAYLOAD_BYTES,
        .leases_max = 2,
        .lease_ns_max = 50 * NS_PER_MS,
    };
    ck_assert_int_eq(ring_producer_open(&config, &producer), 0);
    struct ring_consumer *slow = attached_consumer(1);
    struct ring_consumer *quick = attached_consumer(1);
    struct ring_view held;
    struct ring_view view;
    struct ring_info info;

    publish(1, 0);
    ck_assert_int_eq(acquire(slow, RING_LATEST, &held), 0);
    ck_assert_int_eq(ring_inspect(dir, "front", RING_KIND_FRAMES, &info), 0);
    ck_assert_uint_eq(info.consumers[0].pinned + info.consumers[1].pinned, 1);
    int64_t give_up_ns = clock_now_ns() + 5 * NS_PER_S;
    do { /* pins that come and go are never too old */
        publish(2, 0);
        ck_assert_int_eq(acquire(quick, RING_LATEST, &view), 0);
        ck_assert_int_eq(ring_check(quick, &view), 0);
        ck_assert_int_eq(ring_release(quick, &view), 0);
        ck_assert_int_eq(ring_inspect(dir, "front", RING_KIND_FRAMES, &info), 0);
    } while (info.consumers[0].revoked + info.consumers[1].revoked == 0 &&
             clock_now_ns() < give_up_ns);
    ck_assert_uint_eq(info.consumers[0].revoked + info.consumers[1].revoked, 1);
    ck_assert_int_eq(ring_check(slow, &held), -ESTALE);
    ck_assert_int_eq(ring_release(slow, &held), -ESTALE);
    publish(3, 0);
    ck_assert_int_eq(acquire(slow, RING_LATEST, &held), 0);
    ck_assert_int_eq(ring_release(slow, &held), 0);
    ring_consumer_close(slow);
    ring_consumer_close(quick);
}
END_TEST

START_TEST(an_inquiry_tells_of_the_ring_and_its_consumers_and_takes_no_lease)
{
    struct ring_consumer *consumer = attached_consumer(3);
    struct ring_view view;
    struct ring_info info;

    ring_consumer_want(consumer, true);
    for (unsigned i = 0; i < 5; i++)
        publish((uint8_t)i, 0);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    publish(6, 0);
    ck_assert(WAIT_UNTIL(ring_inspect(dir, "front", RING_KIND_FRAMES, &info) == 0 &&
                             info.consumers[0].wanted == 1,
                         2));
    ck_assert_int_eq(info.pid, getpid());
    ck_assert_uint_eq(info.slot_count, 10);
    ck_assert_uint_eq(info.newest, 6);
    ck_assert_uint_eq(info.leases_max, 8);
    ck_assert_uint_eq(info.consumer_count, 1);
    ck_assert_int_eq(info.consumers[0].pid, getpid());
    ck_assert_uint_eq(info.consumers[0].leases, 3);
    ck_assert_uint_eq(info.consumers[0].pinned, 1);
    ck_assert_uint_eq(info.consumers[0].seq, 5);
    ck_assert_int_eq(ring_inspect(dir, "rear", RING_KIND_FRAMES, &info), -ENOENT);
    ck_assert_int_eq(ring_inspect(dir, "../x", RING_KIND_FRAMES, &info), -EINVAL);
    ck_assert_int_eq(ring_inspect(dir, "front+jpeg", RING_KIND_FRAMES, &info), -ENOENT);
    static const char *const bad[] = {"+", "+jpeg", "front+", "front+a+b"};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(ring_inspect(dir, bad[i], RING_KIND_FRAMES, &info), -EINVAL);
    ring_consumer_close(consumer);
}
END_TEST

/* Runs `body` in a child that outlives nothing; its exit code. */
static int in_child(int (*body)(struct ring_consumer *), struct ring_consumer *consumer)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(body(consumer));
    ck_assert_int_gt(child, 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int use_the_parents_ring(struct ring_consumer *consumer)
{
    struct ring_loan loan;
    struct ring_view view;

    if (ring_loan(producer, &loan) != -ESTALE)
        return 1;
    if (ring_acquire(consumer, RING_LATEST, &view) != -ESTALE)
        return 2;
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    return 0;
}

#define DESCRIPTORS 256

static const char *descriptor_path(int fd)
{
    static char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return path;
}

/* Fills what can be written to, and has it block whoever writes more. */
static int fill(int fd)
{
    static const char bytes[4096];
    const uint64_t most = UINT64_MAX - 1;
    char target[64];
    ssize_t length = readlink(descriptor_path(fd), target, sizeof(target) - 1);

    target[length > 0 ? length : 0] = '\0';
    if (strncmp(target, "pipe:", 5) == 0) {
        fd = open(descriptor_path(fd), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        while (write(fd, bytes, sizeof(bytes)) > 0)
            continue;
    } else if (strcmp(target, "anon_inode:[eventfd]") == 0) {
        while (write(fd, &most, sizeof(most)) > 0)
            continue;
    } else {
        return 0;
    }
    return fcntl(fd, F_SETFL, 0) == 0;
}

/* Falls asleep as a consumer; then does its worst to all descriptors that this brought it. */
static int sleep_badly(void)
{
    bool inherited[DESCRIPTORS];
    struct ring_view view;
    int filled = 0;

    for (int fd = 0; fd < DESCRIPTORS; fd++)
        inherited[fd] = fcntl(fd, F_GETFD) >= 0;
    if (ring_acquire(attached_consumer(1), RING_LATEST, &view) != -EAGAIN)
        return 1;
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        filled += inherited[fd] ? 0 : fill(fd);
    return filled > 0 ? 0 : 2;
}

START_TEST(a_consumer_that_fills_what_wakes_it_blocks_nobody)
{
    int told[2];
    char byte = -1;
    int status;

    ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        byte = (char)sleep_badly();
        if (write(told[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    ck_assert_int_gt(child, 1);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 0);
    alarm(5); /* ends this test, should a call below block */
    for (unsigned i = 1; i <= 100; i++)
        publish((uint8_t)i, 0);
    alarm(0);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    close(told[0]);
    close(told[1]);
}
END_TEST

START_TEST(a_forked_child_cannot_disturb_its_parents_rings)
{
    struct ring_consumer *consumer = attached_consumer(1);
    struct ring_view view;

    publish(1, 0);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ck_assert_int_eq(in_child(use_the_parents_ring, consumer), 0);
    ck_assert_int_eq(ring_release(consumer, &view), 0);
    publish(2, 0); /* and the wake-up still works */
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ck_assert_uint_eq(view.frame.frame_id, 2);
    ring_release(consumer, &view);
    ck_assert_uint_eq(demand_now().consumers, 1);
    ring_consumer_close(consumer);
}
END_TEST

START_TEST(a_child_that_lives_on_does_not_hide_its_parents_death)
{
    int hold[2];
    int born[2];
    char byte;
    struct ring_consumer *consumer = open_consumer(1);
    struct ring_view view;

    ck_assert_int_eq(pipe(hold), 0);
    ck_assert_int_eq(pipe(born), 0);
    ring_producer_close(producer);
    pid_t parent = fork();
    if (parent == 0) {
        producer = open_producer(8, 0);
        publish(1, 0);
        if (fork() == 0) { /* a worker that stays when its parent is killed */
            close(hold[1]);
            if (write(born[1], "b", 1) == 1)
                _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
            _exit(1);
        }
        pause();
        _exit(1);
    }
    ck_assert_int_gt(parent, 1);
    close(hold[0]);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ring_release(consumer, &view);
    ck_assert_int_eq(read(born[0], &byte, 1), 1);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    ck_assert(WAIT_UNTIL(ring_acquire(consumer, RING_LATEST, &view) == -EPIPE, 2));
    producer = open_producer(8, 0);
    publish(2, 0);
    ck_assert_int_eq(acquire(consumer, RING_LATEST, &view), 0);
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
    close(hold[1]); /* the worker may end */
    close(born[0]);
    close(born[1]);
}
END_TEST

/* ---- hostile peers ------------------------------------------------------------------------- */

static int raw_connect(void)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    ck_assert_int_eq(handoff_address(dir, "front", RING_KIND_FRAMES, &address), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void raw_attach(int fd, unsigned leases, int fds[HANDOFF_FDS])
{
    struct handoff_hello hello = {HANDOFF_MAGIC, RING_LAYOUT_VERSION, RING_KIND_FRAMES, leases};
    struct handoff_welcome welcome;

    ck_assert_int_eq(handoff_send(fd, &hello, sizeof(hello), NULL, 0), 0);
    ck_assert(WAIT_UNTIL(handoff_receive(fd, &welcome, sizeof(welcome), fds) == 0, 2));
    ck_assert_int_eq(welcome.status, 0);
}

START_TEST(a_consumer_cannot_write_resize_or_unseal_the_frames)
{
    int fds[HANDOFF_FDS];
    int fd = raw_connect();

    raw_attach(fd, 1, fds);
    int frames = fds[HANDOFF_FD_FRAMES];
    ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, frames, 0), MAP_FAILED);
    ck_assert_int_eq(ftruncate(frames, 0), -1);
    ck_assert_int_eq(ftruncate(frames, 1 << 30), -1);
    ck_assert_int_eq(pwrite(frames, "x", 1, 4096), -1);
    ck_assert_int_eq(fallocate(frames, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    void *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, frames, 0);
    ck_assert_ptr_ne(view, MAP_FAILED);
    ck_assert_int_eq(mprotect(view, 4096, PROT_READ | PROT_WRITE), -1);
    ck_assert_int_eq(ftruncate(fds[HANDOFF_FD_LEASES], 0), -1);
    munmap(view, 4096);
    handoff_close_fds(fds);
    close(fd);
}
END_TEST

START_TEST(a_scribbled_lease_page_costs_its_owner_and_nobody_else)
{
    uint64_t random = support_seed("scribble");
    struct ring_consumer *honest = attached_consumer(1);
    int fds[HANDOFF_FDS];
    int fd = raw_connect();
    struct ring_view view;

    raw_attach(fd, 7, fds);
    struct ring_leases *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[HANDOFF_FD_LEASES], 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
    for (unsigned round = 0; round < 2000; round++) {
        for (unsigned i = 0; i < RING_CONSUMER_LEASES_MAX; i++)
            atomic_store(&page->words[i], support_random(&random) % (round % 2 ? 12 : UINT64_MAX));
        atomic_store(&page->waiting, (uint32_t)support_random(&random));
        publish((uint8_t)round, 0);
        ck_assert_int_eq(acquire(honest, RING_LATEST, &view), 0);
        ck_assert_uint_eq(*(const uint8_t *)view.payload, (uint8_t)round);
        ring_release(honest, &view);
    }
    ck_assert_int_eq(
        fallocate(fds[HANDOFF_FD_LEASES], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
    publish(1, 0); /* the page is empty now, not gone */
    munmap(page, 4096);
    handoff_close_fds(fds);
    close(fd);
    ring_consumer_close(honest);
}
END_TEST

START_TEST(wrong_messages_end_their_own_connection_only)
{
    struct ring_consumer *honest = attached_consumer(1);
    struct ring_view view;
    const struct handoff_hello hellos[] = {
        {0, RING_LAYOUT_VERSION, RING_KIND_FRAMES, 1},
        {HANDOFF_MAGIC, RING_LAYOUT_VERSION + 1, RING_KIND_FRAMES, 1},
        {HANDOFF_MAGIC, RING_LAYOUT_VERSION, RING_KIND_PACKETS, 1},
        {HANDOFF_MAGIC, RING_LAYOUT_VERSION, RING_KIND_FRAMES, 0},
        {HANDOFF_MAGIC, RING_LAYOUT_VERSION, RING_KIND_FRAMES, UINT32_MAX},
    };
    const size_t lengths[] = {sizeof(struct handoff_hello), 0, 1, 4000};

    for (unsigned i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++) {
        for (unsigned k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            char message[4096] = {0};
            char answer[64];
            struct pollfd hung_up = {.fd = raw_connect(), .events = POLLIN};
            memcpy(message, &hellos[i], sizeof(hellos[i]));
            send(hung_up.fd, message, lengths[k], 0);
            do {
                ck_assert_int_eq(poll(&hung_up, 1, 2000), 1);
            } while (recv(hung_up.fd, answer, sizeof(answer), 0) > 0);
            close(hung_up.fd);
        }
    }
    int silent[4];
    for (unsigned i = 0; i < 4; i++)
        silent[i] = raw_connect();
    publish(5, 0);
    ck_assert_int_eq(acquire(honest, RING_LATEST, &view), 0);
    ring_release(honest, &view);
    for (unsigned i = 0; i < 4; i++) {
        struct pollfd hung_up = {.fd = silent[i], .events = POLLIN};
        ck_assert_int_eq(poll(&hung_up, 1, 3000), 1); /* who says nothing is shown the door */
        close(silent[i]);
    }
    ring_consumer_close(honest);
}
END_TEST

/* A producer's end that answers whatever the test wants. */
START_TEST(a_consumer_refuses_memory_that_is_not_a_sealed_ring)
{
    struct sockaddr_un address;
    struct handoff_hello hello;
    struct handoff_welcome welcome = {HANDOFF_MAGIC, RING_LAYOUT_VERSION, 0, 1};
    struct ring_view view;
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    ck_assert_int_eq(handoff_address(dir, "rear", RING_KIND_FRAMES, &address), 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 4), 0);
    struct ring_consumer_config config = {.dir = dir, .stream = "rear", .kind = RING_KIND_FRAMES};
    struct ring_consumer *consumer = NULL;
    ck_assert_int_eq(ring_consumer_open(&config, &consumer), 0);
    for (unsigned round = 0; round < 2; round++) {
        struct pollfd knock = {.fd = listener, .events = POLLIN};
        ck_assert(
            WAIT_UNTIL((ring_acquire(consumer, RING_LATEST, &view), poll(&knock, 1, 0) == 1), 2));
        int peer = accept(listener, NULL, NULL);
        int memory = memfd_create("fake", MFD_ALLOW_SEALING);
        int fds[HANDOFF_FDS_HOST] = {memory, memory, memory};
        ck_assert_int_eq(ftruncate(memory, 1 << 20), 0);
        if (round == 1) /* sealed, but what it says is nonsense */
            ck_assert_int_eq(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        ck_assert(WAIT_UNTIL(handoff_receive(peer, &hello, sizeof(hello), NULL) == 0, 2));
        ck_assert_int_eq(handoff_send(peer, &welcome, sizeof(welcome), fds, HANDOFF_FDS_HOST), 0);
        ck_assert(WAIT_UNTIL((ring_acquire(consumer, RING_LATEST, &view) == -EPIPE &&
                              ring_consumer_link(consumer) == RING_REFUSED),
                             2));
        close(memory);
        close(peer);
    }
    ring_consumer_close(consumer);
    close(listener);
    unlink(address.sun_path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_abuse");
    TCase *cases = tcase_create("ring_abuse");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_consumer_beyond_the_agreed_leases_is_refused_with_the_reason);
    tcase_add_test(cases, a_killed_consumers_leases_come_back);
    tcase_add_test(cases, a_pin_that_is_too_old_is_revoked_and_its_holder_learns_it);
    tcase_add_test(cases, an_inquiry_tells_of_the_ring_and_its_consumers_and_takes_no_lease);
    tcase_add_test(cases, a_consumer_that_fills_what_wakes_it_blocks_nobody);
    tcase_add_test(cases, a_forked_child_cannot_disturb_its_parents_rings);
    tcase_add_test(cases, a_child_that_lives_on_does_not_hide_its_parents_death);
    tcase_add_test(cases, a_consumer_cannot_write_resize_or_unseal_the_frames);
    tcase_add_test(cases, a_scribbled_lease_page_costs_its_owner_and_nobody_else);
    tcase_add_test(cases, wrong_messages_end_their_own_connection_only);
    tcase_add_test(cases, a_consumer_refuses_memory_that_is_not_a_sealed_ring);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
