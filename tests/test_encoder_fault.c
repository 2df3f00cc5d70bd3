/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs short, threads and descriptors that are not to be had, each call in turn
 * (linked with --wrap): opening says so and leaves nothing behind, a running stage loses a frame
 * at most, and works again as soon as there is memory.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/stage_kit.h"

#define SMALL STREAM "+small"
#define BIG_WIDTH 640
#define BIG_HEIGHT 480

/* Calls left until the next wrapped one fails; negative: none fails. Check's own do not count. */
static atomic_int calls_left = -1;
static atomic_bool armed;

static bool fails_now(void)
{
    if (!atomic_load(&armed) || atomic_load(&calls_left) < 0 ||
        atomic_fetch_sub(&calls_left, 1) != 0)
        return false;
    errno = ENOMEM;
    return true;
}

#define WRAP(type, failure, name, parameters, arguments)                                           \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails_now() ? (failure) : __real_##name arguments;                                  \
    }

WRAP(void *, NULL, malloc, (size_t bytes), (bytes))
WRAP(void *, NULL, calloc, (size_t count, size_t bytes), (count, bytes))
WRAP(void *, NULL, aligned_alloc, (size_t alignment, size_t bytes), (alignment, bytes))
WRAP(int, -1, eventfd, (unsigned value, int flags), (value, flags))
WRAP(int, -1, epoll_create1, (int flags), (flags))
WRAP(int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, EAGAIN, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument),
     (thread, attributes, run, argument))

/* Every rendition has its packet of a frame that is shown now, in a few tries. */
static void check_working(struct ring_consumer *small)
{
    uint64_t before = world.frame_id;
    bool seen = false;
    struct ring_view view;

    TURN_AND_DO_UNTIL(seen, {
        if (simulator_demand().wanting > 0)
            show(PIXEL_RGB24, BIG_WIDTH, BIG_HEIGHT);
        while (ring_acquire(small, RING_LATEST, &view) == 0) {
            seen = seen || view.frame.frame_id > before;
            ring_release(small, &view);
        }
    });
}

static void step(void)
{
    atomic_store(&armed, true);
    while (stage_step(world.stage))
        ;
    atomic_store(&armed, false);
}

static int open_armed(int n)
{
    atomic_store(&calls_left, n);
    atomic_store(&armed, true);
    int rc = stage_open(&world.config, &world.stage);
    atomic_store(&armed, false);
    return rc;
}

/* One life of a stage in which call number `n` fails. Returns whether it came to that. */
static bool live(int n, bool fail_while_opening)
{
    set_up();
    world.config.settings.codec = VIDEO_CODEC_JPEG;
    world.config.jpeg_threads = 2;
    world.config.others[0] =
        (struct rendition_spec){"small", {.codec = VIDEO_CODEC_H264, .width = 320, .height = 320}};
    world.config.other_count = 1;
    struct ring_consumer *small = open_viewer_of(SMALL);
    int rc = open_armed(fail_while_opening ? n : -1);
    ck_assert_int_le(rc, 0);
    if (rc < 0)
        world.stage = NULL;
    for (unsigned i = 0; i < 3 && rc == 0; i++) {
        if (i == 0)
            wait_wanted();
        if (i == 0 && !fail_while_opening)
            atomic_store(&calls_left, n);
        show(PIXEL_RGB24, BIG_WIDTH, BIG_HEIGHT);
        step();
    }
    bool failed = atomic_exchange(&calls_left, -1) < 0;
    if (rc == 0)
        check_working(small);
    ring_consumer_close(small);
    tear_down();
    world.stage = NULL;
    return failed;
}

START_TEST(a_call_that_fails_while_opening_leaves_nothing_behind)
{
    int n = 0;

    while (live(n, true))
        n++;
    ck_assert_int_gt(n, 10);
}
END_TEST

START_TEST(a_call_that_fails_while_encoding_costs_a_frame_at_most)
{
    int n = 0;

    while (live(n, false))
        n++;
    ck_assert_int_gt(n, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encoder fault");
    TCase *cases = tcase_create("encoder fault");

    tcase_add_test(cases, a_call_that_fails_while_opening_leaves_nothing_behind);
    tcase_add_test(cases, a_call_that_fails_while_encoding_costs_a_frame_at_most);
    tcase_set_timeout(cases, 120);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
