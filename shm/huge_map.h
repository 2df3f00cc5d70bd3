/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps a file where the processor can use huge pages for it. mmap(2) puts shared memory at any
 * page; only an address that lies on a 2 MiB boundary together with its file offset can be
 * mapped, or collapsed (madvise MADV_COLLAPSE), 2 MiB at a time. For the frames of a ring this
 * nearly doubles the speed of a copy (docs/ring.md).
 *
 * Thread: any. Cost: two system calls; populates the pages.
 */
#ifndef SIMCAST_SHM_HUGE_MAP_H
#define SIMCAST_SHM_HUGE_MAP_H

#include <stddef.h>

/*
 * Maps `bytes` of `fd` from its start, shared, with `protection`. On success the caller owns the
 * mapping and ends it with munmap(*ret_memory, bytes). Errors: what mmap said.
 */
int huge_map(int fd, size_t bytes, int protection, void **ret_memory);

/* Asks for huge pages behind a writable mapping. A kernel that refuses costs only speed. */
void huge_map_collapse(void *memory, size_t bytes);

#endif
