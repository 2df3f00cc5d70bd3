/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording of the bus: lines of JSON. The first is {"recording":"simcast bus","version":1}; each
 * other is a message:
 *
 *   {"t":1.250000,"time":"2026-01-31T12:00:00.250000Z","subject":"telemetry.x","payload":"..."}
 *
 * t is in seconds from the first message. A payload that is not UTF-8 stands as "payload_hex".
 *
 * Thread: one. Cost: allocates per message.
 */
#ifndef SIMCAST_CLI_RECORDING_H
#define SIMCAST_CLI_RECORDING_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bus/bus.h"

#define RECORDING_REASON_BYTES 160

/* Errors: -EIO the file cannot be written; errno is in it as the system left it. */
int recording_begin(FILE *file);
int recording_write(FILE *file, int64_t since_first_ns, const struct bus_message *message);

struct recording;

/* Errors: from the system, -EPROTO not a recording. */
int recording_open(const char *path, struct recording **ret_recording);
/* Takes NULL. */
void recording_close(struct recording *recording);

/*
 * The next message and its time; valid until the next call. Errors: -ENODATA the end, -EPROTO a
 * line that is none; ret_reason names it.
 */
int recording_next(struct recording *recording, int64_t *ret_since_first_ns,
                   struct bus_message *ret_message, char ret_reason[RECORDING_REASON_BYTES]);

#endif
