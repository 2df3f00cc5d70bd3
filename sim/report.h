/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's telemetry as JSON, but for what the authority tells: one function per subject.
 * Numbers are always numbers and texts always strings; clients rely on it.
 *
 * Source: docs/wire.md "Telemetry". Thread: any. Cost: each call allocates (jansson) and frees.
 */
#ifndef SIMCAST_SIM_REPORT_H
#define SIMCAST_SIM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/robot_state.h"
#include "safety/gate.h"

#define REPORT_BYTES_MAX 2048

/* A subject and its payload, ready for the bus. A report that could not be made has 0 bytes. */
struct report {
    const char *subject; /* a string constant */
    size_t bytes;
    char payload[REPORT_BYTES_MAX]; /* NUL-terminated */
};

/* Of the current episode, which begins at start and at each reset. */
struct report_episode {
    double steps_per_s;
    double total_reward;
    uint64_t length; /* steps */
    bool policy_loaded;
};

/* Each term is at most 1 per second when all goes well. */
struct report_reward {
    double velocity; /* how well the commanded velocity is kept */
    double turn;     /* the same for turning */
    double upright;
};

void report_policies(const char *active, struct report *ret_report);
void report_robot(const struct robot_state *state, bool fallen, struct report *ret_report);
void report_metrics(const struct robot_state *state, const struct report_episode *episode,
                    struct report *ret_report);
void report_rewards(const struct report_reward *reward, struct report *ret_report);
void report_observation(const struct robot_state *state, struct report *ret_report);

/* What the state is worth against its own command. */
struct report_reward report_judge(const struct robot_state *state);

#endif
