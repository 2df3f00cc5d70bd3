/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks simcastd on this machine how it is: GET /health.
 *
 * Thread: any. Cost: blocks for at most a quarter of a second.
 */
#ifndef SIMCAST_CLI_HEALTH_H
#define SIMCAST_CLI_HEALTH_H

#include <stdint.h>

#define HEALTH_TEXT_BYTES 32

struct health {
    unsigned clients;
    char gate[HEALTH_TEXT_BYTES];        /* "ARMED", "HOLD", "ESTOP" */
    char gate_reason[HEALTH_TEXT_BYTES]; /* why it is not armed */
};

/*
 * Errors: -ECONNREFUSED nobody listens, -ETIMEDOUT no answer in time, -EPROTO not an answer of
 * simcastd; others from the system.
 */
int health_get(uint16_t port, struct health *ret_health);

#endif
