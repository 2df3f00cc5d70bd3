/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-bench-hal-copies DIR: runs the whole control loop with three cameras and counts the
 * bytes of pictures that memcpy and its relatives copy, in this program and in the libraries it
 * loads, which use its memcpy. Prints "PICTURES COPIED". Exit code 1: the loop did not work, or
 * the counting did not.
 *
 * Pictures are watched by where they lie: every mapping of a ring's memory that is large enough
 * to hold one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "hal/game_loop.h"

#define PICTURE_BYTES_MIN (320UL * 240 * 3) /* the game loop's smallest */
#define RANGES_MAX 64
#define ATTACH_NS (700 * NS_PER_MS)
#define COUNT_NS NS_PER_S

void *memcpy(void *restrict into, const void *restrict from, size_t bytes);
void *memmove(void *into, const void *from, size_t bytes);
void *__memcpy_chk(void *restrict into, const void *restrict from, size_t bytes, size_t room);
void *__memmove_chk(void *into, const void *from, size_t bytes, size_t room);

static struct range {
    uintptr_t begin;
    uintptr_t end;
} ranges[RANGES_MAX];
static atomic_uint range_count; /* released when the ranges are there; 0: nothing is counted */
static atomic_size_t copied_bytes;

static void count(const void *from, size_t bytes)
{
    unsigned known = atomic_load_explicit(&range_count, memory_order_acquire);
    uintptr_t at = (uintptr_t)from;

    for (unsigned i = 0; i < known; i++) {
        if (at >= ranges[i].begin && at < ranges[i].end)
            atomic_fetch_add_explicit(&copied_bytes, bytes, memory_order_relaxed);
    }
}

/* volatile: or the compiler makes a call of memmove of it, and so of itself. */
static void *copy_bytes(void *into, const void *from, size_t bytes)
{
    volatile unsigned char *to = into;
    const volatile unsigned char *at = from;

    count(from, bytes);
    if ((uintptr_t)into < (uintptr_t)from) {
        for (size_t i = 0; i < bytes; i++)
            to[i] = at[i];
    } else {
        for (size_t i = bytes; i > 0; i--)
            to[i - 1] = at[i - 1];
    }
    return into;
}

void *memmove(void *into, const void *from, size_t bytes)
{
    return copy_bytes(into, from, bytes);
}

void *memcpy(void *restrict into, const void *restrict from, size_t bytes)
{
    return copy_bytes(into, from, bytes);
}

void *__memcpy_chk(void *restrict into, const void *restrict from, size_t bytes, size_t room)
{
    if (bytes > room)
        abort();
    return copy_bytes(into, from, bytes);
}

void *__memmove_chk(void *into, const void *from, size_t bytes, size_t room)
{
    if (bytes > room)
        abort();
    return copy_bytes(into, from, bytes);
}

/* Finds all rings' memory that can hold a picture. */
static unsigned watch_pictures(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    unsigned found = 0;

    while (maps && found < RANGES_MAX && fgets(line, sizeof(line), maps)) {
        struct range range;
        if (sscanf(line, "%lx-%lx", &range.begin, &range.end) == 2 && strstr(line, "memfd:") &&
            range.end - range.begin >= PICTURE_BYTES_MIN)
            ranges[found++] = range;
    }
    if (maps)
        fclose(maps);
    atomic_store_explicit(&range_count, found, memory_order_release);
    return found;
}

struct game {
    struct hal_config config;
    int stop_fd;
    int error;
};

static void *play(void *argument)
{
    struct game *game = argument;

    game->error = game_loop_run(&game->config, 0, game->stop_fd);
    return NULL;
}

static void sleep_ns(int64_t duration_ns)
{
    struct timespec duration = {duration_ns / NS_PER_S, duration_ns % NS_PER_S};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, NULL);
}

/* A byte copied from each watched range must be counted, or nothing was counted before either. */
static bool counting_works(unsigned found)
{
    size_t before = atomic_load(&copied_bytes);
    void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;
    char byte;

    for (unsigned i = 0; i < found; i++)
        copy(&byte, (const void *)ranges[i].begin, 1);
    return found > 0 && atomic_load(&copied_bytes) - before == found;
}

int main(int argc, char **argv)
{
    struct game game = {.config = {.stream = "robot",
                                   .policy = "trot",
                                   .cameras = {"left", "right", "depth"},
                                   .rate_hz = 200,
                                   .action_ns_max = 50 * NS_PER_MS,
                                   .patience = 10,
                                   .hal_thread.cpu = -1,
                                   .inference_thread.cpu = -1}};
    pthread_t thread;

    if (argc != 2)
        return EXIT_FAILURE;
    log_init("simcast-bench-hal-copies", LOG_LEVEL_ERROR);
    game.config.dir = argv[1];
    game.stop_fd = eventfd(0, EFD_CLOEXEC);
    int result_fd = dup(STDOUT_FILENO);
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (dup2(null_fd, STDOUT_FILENO) < 0 || pthread_create(&thread, NULL, play, &game) != 0)
        return EXIT_FAILURE;
    sleep_ns(ATTACH_NS);
    unsigned found = watch_pictures();
    sleep_ns(COUNT_NS);
    size_t copied = atomic_load(&copied_bytes);
    bool works = counting_works(found);
    eventfd_write(game.stop_fd, 1);
    pthread_join(thread, NULL);
    /* Three cameras, mapped by their producer and by the loop. */
    if (game.error < 0 || !works || found < 6)
        return EXIT_FAILURE;
    dprintf(result_fd, "%u %zu\n", found / 2, copied);
    return EXIT_SUCCESS;
}
