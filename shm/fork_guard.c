/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a process-wide table of descriptors under a mutex, which fork takes so that the child
 * finds the table whole.
 */
#include "shm/fork_guard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define GUARDED_MAX 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int guarded[GUARDED_MAX];
static unsigned guarded_count;
static _Atomic uint32_t generation;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (unsigned i = 0; i < guarded_count; i++)
        close(guarded[i]);
    guarded_count = 0;
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}

static void install(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

void fork_guard_hold(void)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
}

void fork_guard_let_go(void)
{
    pthread_mutex_unlock(&lock);
}

void fork_guard_add(int fd)
{
    if (fd >= 0 && guarded_count < GUARDED_MAX)
        guarded[guarded_count++] = fd;
}

void fork_guard_close(int fd)
{
    fork_guard_hold();
    for (unsigned i = 0; i < guarded_count; i++) {
        if (guarded[i] == fd) {
            guarded[i] = guarded[--guarded_count];
            break;
        }
    }
    close(fd);
    fork_guard_let_go();
}

uint32_t fork_guard_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}
