/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the program's memcpy and its relatives, which the libraries that it loads use as well, and
 * the counters. Any thread counts, from before main on. Cannot fail; copying is slow.
 */
#include "bench/copy_counter.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define WATCHED_MAX 64

void *memcpy(void *restrict into, const void *restrict from, size_t bytes);
void *memmove(void *into, const void *from, size_t bytes);
void *mempcpy(void *restrict into, const void *restrict from, size_t bytes);
void *__memcpy_chk(void *restrict into, const void *restrict from, size_t bytes, size_t room);
void *__memmove_chk(void *into, const void *from, size_t bytes, size_t room);

static struct watched {
    uintptr_t begin;
    uintptr_t end;
} watched[WATCHED_MAX];
static atomic_uint watched_count; /* released when its pieces are there */
static atomic_size_t copied_bytes;
static atomic_size_t other_bytes;

void copy_counter_watch(const void *bytes, size_t size_bytes)
{
    atomic_store(&watched_count, 0);
    copy_counter_watch_also(bytes, size_bytes);
    atomic_store(&copied_bytes, 0);
    atomic_store(&other_bytes, 0);
}

bool copy_counter_watch_also(const void *bytes, size_t size_bytes)
{
    unsigned count = atomic_load(&watched_count);

    if (count == WATCHED_MAX)
        return false;
    watched[count].begin = (uintptr_t)bytes;
    watched[count].end = (uintptr_t)bytes + size_bytes;
    atomic_store_explicit(&watched_count, count + 1, memory_order_release);
    return true;
}

size_t copy_counter_copied(void)
{
    return atomic_load(&copied_bytes);
}

size_t copy_counter_other(void)
{
    return atomic_load(&other_bytes);
}

static bool is_watched(const void *from)
{
    unsigned count = atomic_load_explicit(&watched_count, memory_order_acquire);
    uintptr_t at = (uintptr_t)from;

    for (unsigned i = 0; i < count; i++) {
        if (at >= watched[i].begin && at < watched[i].end)
            return true;
    }
    return false;
}

/* volatile, and none of the names below: or the compiler makes calls of them out of it. */
static void *copy_counted(void *into, const void *from, size_t bytes)
{
    volatile uint8_t *to = into;
    const volatile uint8_t *at = from;

    atomic_fetch_add_explicit(is_watched(from) ? &copied_bytes : &other_bytes, bytes,
                              memory_order_relaxed);
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
    return copy_counted(into, from, bytes);
}

void *memcpy(void *restrict into, const void *restrict from, size_t bytes)
{
    return copy_counted(into, from, bytes);
}

void *mempcpy(void *restrict into, const void *restrict from, size_t bytes)
{
    return (uint8_t *)copy_counted(into, from, bytes) + bytes;
}

/* What Debian's libraries call instead: they are built with _FORTIFY_SOURCE. */
void *__memcpy_chk(void *restrict into, const void *restrict from, size_t bytes, size_t room)
{
    if (bytes > room)
        abort();
    return copy_counted(into, from, bytes);
}

void *__memmove_chk(void *into, const void *from, size_t bytes, size_t room)
{
    if (bytes > room)
        abort();
    return copy_counted(into, from, bytes);
}
