/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What moving the bytes costs when nobody is told about it: memcpy into as many buffers as the
 * ring has slots, in memory of the same kind, so that caches and pages are as they are there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/yardsticks.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static int64_t copy_pictures(char *buffers, unsigned buffer_count, const char *picture,
                             size_t picture_bytes, unsigned pictures)
{
    int64_t began_ns = clock_now_ns();

    for (unsigned i = 0; i < pictures; i++)
        memcpy(buffers + i % buffer_count * picture_bytes, picture, picture_bytes);
    return clock_now_ns() - began_ns;
}

int yardstick_memcpy(size_t picture_bytes, unsigned buffers, unsigned pictures, int64_t *ret_ns)
{
    size_t bytes = picture_bytes * buffers;
    char *picture = malloc(picture_bytes);
    int fd = memfd_create("simcast-bench", MFD_CLOEXEC);
    void *memory = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    int error = picture && memory != MAP_FAILED ? 0 : -ENOMEM;
    if (error == 0) {
        madvise(memory, bytes, MADV_COLLAPSE);
        memset(picture, 7, picture_bytes);
        copy_pictures(memory, buffers, picture, picture_bytes, buffers); /* warms up */
        *ret_ns = copy_pictures(memory, buffers, picture, picture_bytes, pictures);
    }
    if (memory != MAP_FAILED)
        munmap(memory, bytes);
    if (fd >= 0)
        close(fd);
    free(picture);
    return error;
}
