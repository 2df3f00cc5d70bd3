/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Safety layer 3, the last word on what the robot does: the gate with the simulator's limits,
 * and the velocity that it leaves. For any simulator or robot that is driven over the bus:
 *
 *   authority_init once; authority_take for each message of COMMAND_SUBJECT_WILDCARD and
 *   AUTHORITY_VIDEO_GATE; authority_tick once per control step; then obey `velocity`, and keep the
 *   policy off while the gate's mode is GATE_ESTOP. What is to be told to the operators is written
 *   by safety/authority_report.h.
 *
 * In HOLD the velocity halves with each tick until it is below AUTHORITY_STILL, then is zero; in
 * ESTOP it is zero at once.
 *
 * Source: docs/safety.md. Thread: the owner's. Cost: no I/O, no clock; authority_take allocates
 * (jansson) and frees.
 */
#ifndef SIMCAST_SAFETY_AUTHORITY_H
#define SIMCAST_SAFETY_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/command.h"
#include "safety/gate.h"
#include "safety/limits.h"

#define AUTHORITY_TICK_NS INT64_C(20000000) /* a good period for authority_tick */
#define AUTHORITY_STILL 0.01                /* m/s and rad/s */
#define AUTHORITY_VIDEO_GATE "telemetry.safety.video_gate"

struct authority_config {
    struct gate_config gate;
    struct limits limits;
};

/* 200 ms to HOLD, 2 s to ESTOP, no deadman, no limits. */
extern const struct authority_config authority_config_default;

/* Embed it. Read the fields; only the functions below write them. */
struct authority {
    struct authority_config config;
    struct gate gate;
    double velocity[LIMITS_AXES]; /* forward m/s, left m/s, turn rad/s: what the robot may do now */
    double target[LIMITS_AXES];   /* what was commanded, within the limit of speed */
    double accel[LIMITS_AXES];
    bool decaying;     /* HOLD took the velocity away, not all of it yet */
    uint64_t cmd_seq;  /* newest set_cmd_vel applied; 0: none */
    uint64_t accepted; /* commands */
    uint64_t refused;
    int64_t tick_ns; /* the last one */
};

/* What a call changed, so that it can be told to the operators. */
struct authority_news {
    bool accepted;            /* a command may be carried out */
    enum gate_reason refused; /* why not */
    const char *detail;       /* the same for a person, a string constant; NULL: accepted */
    bool limited;             /* its velocity was cut to the limit of speed */
    bool changed;             /* mode or reason are new: tell safety.state */
    bool timed_out;           /* the mode is new because no command came: tell cmd_timeout */
};

/* A message as the bus brought it. */
struct authority_message {
    const char *subject;
    const char *payload;
    size_t payload_bytes;
    uint64_t epoch;  /* that the transport stamped it with; 0: it has no stamp */
    int64_t sent_ns; /* on the clock of `now_ns`; 0: unknown, as from another machine */
};

/* Copies *config; NULL: authority_config_default. */
void authority_init(struct authority *authority, const struct authority_config *config,
                    int64_t now_ns);

/*
 * Judges a message. Returns 0 for a command: *ret_command is to be carried out when it is accepted
 * and comes from a client, and *ret_news says what is to be told. Errors: -EAGAIN not a command,
 * but heard: *ret_news is filled. -ENOTSUP a subject that is not ours: nothing is filled. -EPROTO,
 * -EMSGSIZE, -ERANGE a malformed command, as command_parse_as: *ret_command is filled as
 * command_identify does, and news.detail says what is wrong.
 */
int authority_take(struct authority *authority, const struct authority_message *message,
                   int64_t now_ns, struct command *ret_command, struct authority_news *ret_news);

/*
 * For who parses by himself: judges set_cmd_vel, set_alpha, set_skill, estop and estop_clear, and
 * applies the velocity of the first; accepts every other action. The transport gate's own hold and
 * stop are obeyed. Of `stamp`, epoch and sent_ns count; NULL: it has none.
 */
struct authority_news authority_command(struct authority *authority, const struct command *command,
                                        const struct authority_message *stamp, int64_t now_ns);

/* The transport gate said whether operators can see, in this epoch (0: unknown). */
struct authority_news authority_peer(struct authority *authority, bool gated, uint64_t epoch,
                                     int64_t now_ns);

/* The connection to the bus was lost, or is back. A repeat changes nothing. */
struct authority_news authority_bus(struct authority *authority, bool connected, int64_t now_ns);

/* Call once per control step, about every AUTHORITY_TICK_NS or more often. */
struct authority_news authority_tick(struct authority *authority, int64_t now_ns);

/* Forgets the velocity, as when the robot is put back to its start. */
void authority_still(struct authority *authority);

#endif
