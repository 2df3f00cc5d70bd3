/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loops measure of themselves. Each loop fills its own between stats_lock and
 * stats_unlock, a handful of instructions; the reader copies all at once. The lock inherits
 * priority, so that a reader cannot keep a real-time loop waiting behind other work.
 *
 * Thread: any.
 */
#ifndef SIMCAST_HAL_STATS_H
#define SIMCAST_HAL_STATS_H

#include <pthread.h>
#include <stdint.h>

#include "base/histogram.h"

struct stats_values {
    struct histogram period;   /* from one wake-up of the HAL loop to the next */
    struct histogram jitter;   /* how late it woke */
    struct histogram latency;  /* observation sent to its action applied */
    struct histogram reaction; /* state published to the action that answers it applied */
    struct histogram step;     /* the policy's time for one observation */
    uint64_t periods;
    uint64_t overruns;      /* periods that began after the next one was due */
    uint64_t observations;  /* sent to the inference */
    uint64_t missed;        /* of these, replaced by newer ones before it saw them */
    uint64_t dropped;       /* not even sent: the inference held too many */
    uint64_t actions;       /* applied */
    uint64_t late;          /* periods that ended without their action: the last one was kept */
    uint64_t stale;         /* actions refused: their observation was too old */
    uint64_t refused;       /* commands of a control program that were not whole */
    uint64_t policy_errors; /* steps that failed */
    uint64_t stands;        /* periods in which it just stood */
    uint64_t mode;          /* enum gate_mode that was obeyed last */
};

struct stats {
    pthread_mutex_t lock;
    struct stats_values values; /* guarded by lock */
};

void stats_init(struct stats *stats);
void stats_fini(struct stats *stats);
void stats_lock(struct stats *stats);
void stats_unlock(struct stats *stats);

/* Copies everything (some 20 KB). */
void stats_read(struct stats *stats, struct stats_values *ret_values);

#endif
