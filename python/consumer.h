/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type Consumer, a ring's reading side, and the views that it makes.
 *
 * The ring's calls are for one thread at a time: while a thread waits without the GIL, a lease
 * that another thread gives back is only noted down.
 *
 * Thread: with the GIL held.
 */
#ifndef SIMCAST_PYTHON_CONSUMER_H
#define SIMCAST_PYTHON_CONSUMER_H

#include <stdbool.h>

#include <Python.h>

#include "shm/ring.h"

struct consumer {
    PyObject ob_base;
    struct ring_consumer *ring; /* NULL: closed */
    unsigned forks;
    enum ring_kind kind;
    bool closing; /* closed as soon as nobody waits and no view holds a lease */
    bool waiting; /* a thread is in ring_consumer_wait without the GIL */
    unsigned views;
    unsigned long long revoked; /* leases that the producer had taken back */
    unsigned noted;             /* bit k: lease k goes back when the waiting thread returns */
};

/* Opened by a parent process: its lease page and its connection are to be left alone. */
bool consumer_is_forked(const struct consumer *consumer);

/* Ends a lease that a view held, now or when the waiting thread returns. */
void consumer_give_back(struct consumer *consumer, unsigned lease);

/* A new View, which takes the lease; on failure it has gone back, and an exception is set. */
PyObject *view_create(struct consumer *consumer, const struct ring_view *ring_view);

#endif
