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
 * Over plain http. Errors: -ECONNREFUSED nobody listens, -ETIMEDOUT no answer in time, -EPROTO not
 * an answer of simcastd; others from the system.
 */
int health_get(uint16_t port, struct health *ret_health);

/*
 * The same over TLS, whoever the certificate vouches for, and for how many days it does so yet
 * (negative: it ended). The caller ignores SIGPIPE. Errors: as above, -EPROTO also no TLS.
 */
int health_get_tls(uint16_t port, struct health *ret_health, int *ret_days_left);

/* Parts of these: reads a whole answer; a socket to the port whose calls end within the patience.
 */
int health_parse(const char *answer, struct health *ret_health);
int health_connect(uint16_t port);

#endif
