/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-bench-hal-copies DIR: runs the whole control loop with three cameras and counts the
 * bytes of pictures that memcpy and its relatives copy (copy_counter.h). Prints "PICTURES COPIED".
 * Exit code 1: the loop did not work, or the counting did not.
 *
 * Pictures are watched by where they lie: every mapping of a ring's memory that is large enough
 * to hold one.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "bench/copy_counter.h"
#include "hal/game_loop.h"

#define PICTURE_BYTES_MIN (320UL * 240 * 3) /* the game loop's smallest */
#define PICTURES_MAX 64
#define ATTACH_NS (700 * NS_PER_MS)
#define COUNT_NS NS_PER_S

static const void *pictures[PICTURES_MAX]; /* where each mapping begins */

/* Finds all rings' memory that can hold a picture. */
static unsigned watch_pictures(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    unsigned found = 0;

    while (maps && found < PICTURES_MAX && fgets(line, sizeof(line), maps)) {
        uintptr_t begin;
        uintptr_t end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) != 2 || !strstr(line, "memfd:") ||
            end - begin < PICTURE_BYTES_MIN)
            continue;
        pictures[found] = (const void *)begin;
        if (!copy_counter_watch_also(pictures[found], end - begin))
            break;
        found++;
    }
    if (maps)
        fclose(maps);
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
    size_t before = copy_counter_copied();
    void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;
    char byte;

    for (unsigned i = 0; i < found; i++)
        copy(&byte, pictures[i], 1);
    return found > 0 && copy_counter_copied() - before == found;
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
    size_t copied = copy_counter_copied();
    bool works = counting_works(found);
    eventfd_write(game.stop_fd, 1);
    pthread_join(thread, NULL);
    /* Three cameras, mapped by their producer and by the loop. */
    if (game.error < 0 || !works || found < 6)
        return EXIT_FAILURE;
    dprintf(result_fd, "%u %zu\n", found / 2, copied);
    return EXIT_SUCCESS;
}
