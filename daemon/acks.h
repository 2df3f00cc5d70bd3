/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the robot takes to answer: remembers commands that passed and looks for their
 * telemetry.command.ack. What is not answered within a second or is crowded out by newer ones is
 * forgotten.
 *
 * Thread: the loop. Cost: no allocation but jansson's for an acknowledgement.
 */
#ifndef SIMCAST_DAEMON_ACKS_H
#define SIMCAST_DAEMON_ACKS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/command.h"

#define ACKS_SUBJECT "telemetry.command.ack"
#define ACKS_WAITING 256

/* Zero it; the fields belong to acks.c. */
struct acks {
    struct {
        enum command_action action;
        uint64_t cmd_seq;
        int64_t received_ns; /* 0: answered, or never used */
    } waiting[ACKS_WAITING];
    size_t next;
};

/* A command that came at `now_ns` passed on. Without a cmd_seq nobody can tell its answer. */
void acks_await(struct acks *acks, const struct command *command, int64_t now_ns);

/* Returns the time since the command came that this payload answers, or -1: it answers none. */
int64_t acks_take(struct acks *acks, const char *payload, size_t payload_bytes, int64_t now_ns);

#endif
