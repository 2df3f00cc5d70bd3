/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What moving the bytes costs when nobody is told about it: memcpy into as many places as the
 * ring has slots, in memory of the same kind, so that caches and pages are as they are there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/yardsticks.h"
#include "shm/huge_map.h"

int yardstick_memcpy_open(struct yardstick_memcpy *copier, size_t picture_bytes, unsigned places)
{
    size_t bytes = picture_bytes * places;
    int fd = memfd_create("simcast-bench", MFD_CLOEXEC);
    void *memory = NULL;
    int error = fd < 0 || ftruncate(fd, (off_t)bytes) < 0 ? -ENOMEM : 0;

    *copier = (struct yardstick_memcpy){.picture_bytes = picture_bytes, .place_count = places};
    if (error == 0)
        error = huge_map(fd, bytes, PROT_READ | PROT_WRITE, &memory);
    if (fd >= 0)
        close(fd);
    if (error < 0)
        return error;
    huge_map_collapse(memory, bytes);
    copier->places = memory;
    return 0;
}

void yardstick_memcpy_copy(struct yardstick_memcpy *copier, const void *picture)
{
    memcpy(copier->places + copier->next * copier->picture_bytes, picture, copier->picture_bytes);
    copier->next = (copier->next + 1) % copier->place_count;
}

void yardstick_memcpy_close(struct yardstick_memcpy *copier)
{
    if (copier->places)
        munmap(copier->places, copier->picture_bytes * copier->place_count);
    copier->places = NULL;
}
