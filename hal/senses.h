/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HAL loop knows of the robot and of the gates, from the rings that carry it: the
 * simulator's state with its safety layer's mode (<stream>.state), and simcastd's gate
 * (<stream>.gate). Neither needs the bus.
 *
 * The stricter of the two is obeyed. No fresh state is a HOLD. simcastd need not run; but once
 * its gate was seen, its absence or silence is a HOLD until it is back.
 *
 * Thread: the HAL loop's. Cost: some hundred nanoseconds; a system call every 50 ms for each
 * ring whose producer is away.
 */
#ifndef SIMCAST_HAL_SENSES_H
#define SIMCAST_HAL_SENSES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/robot_state.h"
#include "safety/gate.h"

#define SENSES_STATE_NS_MAX INT64_C(100000000) /* a state older than this is none */

struct senses;

struct sense {
    struct robot_state state;
    int64_t state_ns;    /* when it was published, CLOCK_MONOTONIC; 0: there is none */
    int64_t interval_ns; /* how often states are published; 0: unknown */
    bool moved_on;       /* it is of another instant than the last one */
    enum gate_mode mode; /* what to obey */
    const char *why;     /* who says so, for the log; a string constant */
};

/* The rings need not exist yet. Errors: those of ring_consumer_open. */
int senses_open(const char *dir, const char *stream, struct senses **ret_senses);

/* Takes NULL. */
void senses_close(struct senses *senses);

/*
 * Sleeps until there may be a newer state or word of the gate; senses_look tells. Errors:
 * -ETIMEDOUT until_ns is over.
 */
int senses_wait(struct senses *senses, int64_t until_ns);

/* Looks at both rings. Never waits. */
void senses_look(struct senses *senses, int64_t now_ns, struct sense *ret_sense);

#endif
