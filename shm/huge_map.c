/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps no state. */
#include "shm/huge_map.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; the C library of Debian 12 does not know it */
#endif

int huge_map(int fd, size_t bytes, int protection, void **ret_memory)
{
    size_t room_bytes = bytes + HUGE_PAGE_BYTES;
    char *room =
        mmap(NULL, room_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED)
        return -errno;
    size_t before = (HUGE_PAGE_BYTES - (uintptr_t)room % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
    char *place = room + before;
    void *memory = mmap(place, bytes, protection, MAP_SHARED | MAP_POPULATE | MAP_FIXED, fd, 0);
    if (memory == MAP_FAILED) {
        int error = -errno;
        munmap(room, room_bytes);
        return error;
    }
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    if (before > 0)
        munmap(room, before);
    if (room_bytes > before + mapped)
        munmap(place + mapped, room_bytes - before - mapped);
    *ret_memory = memory;
    return 0;
}

void huge_map_collapse(void *memory, size_t bytes)
{
    madvise(memory, bytes, MADV_COLLAPSE);
}
