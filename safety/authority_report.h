/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the authority tells the operators, as JSON: one function per subject. And the one thing
 * that it hears of others, the transport's word on the video.
 *
 * Source: docs/wire.md "Telemetry". Thread: any. Cost: each call allocates (jansson) and frees.
 */
#ifndef SIMCAST_SAFETY_AUTHORITY_REPORT_H
#define SIMCAST_SAFETY_AUTHORITY_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "safety/authority.h"

#define AUTHORITY_REPORT_BYTES 1024

/* A subject and its payload, ready for the bus. One that could not be made has 0 bytes. */
struct authority_report {
    const char *subject; /* a string constant */
    size_t bytes;
    char payload[AUTHORITY_REPORT_BYTES]; /* NUL-terminated */
};

/* telemetry.command.ack; `error_detail` NULL: it was carried out. */
void authority_report_ack(const struct command *command, const char *error_detail,
                          struct authority_report *ret_report);

/*
 * telemetry.safety.state, at each change and twice a second. `state_id` grows with each, over
 * restarts as well: begin with the wall clock's milliseconds.
 */
void authority_report_state(const struct authority *authority, uint64_t state_id, int64_t now_ns,
                            struct authority_report *ret_report);

/* telemetry.safety.cmd_timeout, when news.timed_out says so. */
void authority_report_timeout(const struct authority *authority,
                              struct authority_report *ret_report);

/* telemetry.velocity.command, five times a second. */
void authority_report_velocity(const struct authority *authority,
                               struct authority_report *ret_report);

/*
 * Reads AUTHORITY_VIDEO_GATE. What cannot be read counts as gated: to stop is the safe side.
 */
bool authority_read_gated(const char *json, size_t json_bytes);

#endif
