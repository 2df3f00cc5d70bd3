/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Safety layer 3, the last word on what the robot does: the gate with the simulator's limits,
 * and the velocity that it leaves. In HOLD the velocity halves with each tick until it is below
 * AUTHORITY_STILL, then is zero; in ESTOP it is zero at once and the policy is off.
 *
 * Source: docs/wire.md "Safety". Thread: the owner's. Cost: no I/O, no clock, no allocation.
 */
#ifndef SIMCAST_SIM_AUTHORITY_H
#define SIMCAST_SIM_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/command.h"
#include "safety/gate.h"

#define AUTHORITY_TICK_NS INT64_C(20000000)
#define AUTHORITY_STILL 0.01 /* m/s and rad/s */

/* Read the fields; only the functions below write them. */
struct authority {
    struct gate gate;
    double velocity[3]; /* forward m/s, left m/s, turn rad/s: what the robot may do now */
    bool decaying;      /* HOLD took the velocity away, not all of it yet */
    uint64_t cmd_seq;   /* newest set_cmd_vel applied; 0: none */
};

/* What a call changed, so that it can be told to the operators. */
struct authority_news {
    bool accepted;            /* a command may be carried out */
    enum gate_reason refused; /* why not */
    bool changed;             /* mode or reason are new: tell safety.state */
    bool timed_out;           /* the mode is new because no command came: tell cmd_timeout */
};

void authority_init(struct authority *authority, int64_t now_ns);

/*
 * Judges set_cmd_vel, set_alpha, set_skill, estop and estop_clear, and applies the velocity of
 * the first; accepts every other action. The transport gate's own hold and stop are obeyed.
 */
struct authority_news authority_command(struct authority *authority, const struct command *command,
                                        int64_t now_ns);

/* The transport gate said whether operators can see. */
struct authority_news authority_peer(struct authority *authority, bool gated, int64_t now_ns);

/* Call every AUTHORITY_TICK_NS. */
struct authority_news authority_tick(struct authority *authority, int64_t now_ns);

/* Forgets the velocity, as when the robot is put back to its start. */
void authority_still(struct authority *authority);

#endif
