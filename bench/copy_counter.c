/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the program's memcpy and its relatives, which the libraries that it loads use as well, and
 * the counters. One thread counts at a time.
 */
#include "bench/copy_counter.h"

#include <stdint.h>
#include <stdlib.h>

void *memcpy(void *restrict into, const void *restrict from, size_t bytes);
void *memmove(void *into, const void *from, size_t bytes);
void *mempcpy(void *restrict into, const void *restrict from, size_t bytes);
void *__memcpy_chk(void *restrict into, const void *restrict from, size_t bytes, size_t room);
void *__memmove_chk(void *into, const void *from, size_t bytes, size_t room);

static const uint8_t *watched;
static size_t watched_bytes;
static size_t copied_bytes; /* from there */
static size_t other_bytes;  /* from elsewhere */

void copy_counter_watch(const void *bytes, size_t size_bytes)
{
    watched = bytes;
    watched_bytes = size_bytes;
    copied_bytes = 0;
    other_bytes = 0;
}

size_t copy_counter_copied(void)
{
    return copied_bytes;
}

size_t copy_counter_other(void)
{
    return other_bytes;
}

static void count(const void *from, size_t bytes)
{
    const uint8_t *at = from;

    if (at >= watched && at < watched + watched_bytes)
        copied_bytes += bytes;
    else
        other_bytes += bytes;
}

/* volatile, and none of the names below: or the compiler makes calls of them out of it. */
static void *copy_counted(void *into, const void *from, size_t bytes)
{
    volatile uint8_t *to = into;
    const volatile uint8_t *at = from;

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
