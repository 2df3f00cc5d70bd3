/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one mutex. Where priority cannot be inherited, the lock is a plain one. */
#include "hal/stats.h"

#include <string.h>

void stats_init(struct stats *stats)
{
    pthread_mutexattr_t attributes;

    memset(stats, 0, sizeof(*stats));
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (pthread_mutex_init(&stats->lock, &attributes) != 0)
        pthread_mutex_init(&stats->lock, NULL);
    pthread_mutexattr_destroy(&attributes);
}

void stats_fini(struct stats *stats)
{
    pthread_mutex_destroy(&stats->lock);
}

void stats_lock(struct stats *stats)
{
    pthread_mutex_lock(&stats->lock);
}

void stats_unlock(struct stats *stats)
{
    pthread_mutex_unlock(&stats->lock);
}

void stats_read(struct stats *stats, struct stats_values *ret_values)
{
    stats_lock(stats);
    *ret_values = stats->values;
    stats_unlock(stats);
}
