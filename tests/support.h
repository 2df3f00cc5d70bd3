/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several unit tests need: a directory of their own, bounded waiting for a condition, a
 * random generator whose seed is printed, and a count of open descriptors.
 */
#ifndef SIMCAST_TESTS_SUPPORT_H
#define SIMCAST_TESTS_SUPPORT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <dirent.h>

#include "base/clock.h"

#define SUPPORT_PATH_BYTES 64

/* Evaluates the condition until it is true, every millisecond, for at most `seconds`. */
#define WAIT_UNTIL(condition, seconds)                                                             \
    __extension__({                                                                                \
        int64_t give_up_ns_ = clock_now_ns() + (int64_t)((seconds)*1e9);                           \
        bool met_ = (condition);                                                                   \
        while (!met_ && clock_now_ns() < give_up_ns_) {                                            \
            poll(NULL, 0, 1);                                                                      \
            met_ = (condition);                                                                    \
        }                                                                                          \
        met_;                                                                                      \
    })

/* Creates an empty directory and returns its name in the caller's buffer. */
static inline const char *support_dir_make(char path[SUPPORT_PATH_BYTES])
{
    snprintf(path, SUPPORT_PATH_BYTES, "/tmp/simcast-test-XXXXXX");
    if (!mkdtemp(path))
        abort();
    return path;
}

static inline unsigned support_count_entries(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);

    if (!dir)
        abort();
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static inline unsigned support_count_fds(void)
{
    return support_count_entries("/proc/self/fd");
}

/* SIMCAST_SEED repeats a run. */
static inline uint64_t support_seed(const char *test)
{
    const char *given = getenv("SIMCAST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)clock_wall_ns();

    printf("%s: seed %llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return seed | 1;
}

/* xorshift64*, good enough to shake tests with. */
static inline uint64_t support_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

#endif
