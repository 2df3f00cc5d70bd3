/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What simcastd counts. One struct, owned by the server and written by everybody on the loop
 * thread; all counters only grow.
 */
#ifndef SIMCAST_DAEMON_COUNTERS_H
#define SIMCAST_DAEMON_COUNTERS_H

#include <stdint.h>

struct counters {
    uint64_t frames_broadcast;  /* packets offered to the clients, once each */
    uint64_t frame_bytes;       /* their payloads' sum */
    uint64_t frames_delivered;  /* frame x client */
    uint64_t client_lag;        /* frame x client that a started client did not get */
    uint64_t packets_malformed; /* refused by the source's checks */
    uint64_t packets_lost;      /* overwritten before they were read */

    uint64_t clients_accepted;
    uint64_t clients_refused;      /* wrong origin or host */
    uint64_t clients_unauthorized; /* no token, or a wrong one */
    uint64_t clients_over_limit;   /* too many of them */
    uint64_t clients_expelled;     /* talked too much, or their token was taken back */
    uint64_t clients_stalled;      /* took nothing for too long */
    uint64_t messages_ignored;     /* text, or a type that nobody knows */
    uint64_t messages_too_long;    /* closed with 1009 */
    uint64_t protocol_errors; /* frames that no client may send, closed with 1002 or 1007; heads */
    uint64_t requests_too_long;      /* refused with 431 */
    uint64_t handshakes_late;        /* said nothing in time */
    uint64_t handshakes_crowded_out; /* others came; see limits.handshakes */

    uint64_t commands_passed;
    uint64_t commands_refused;   /* answered to the sender with a reason */
    uint64_t commands_forbidden; /* of these: by role or lease */
    uint64_t commands_over_rate; /* of these */
    uint64_t commands_limited;   /* velocities cut to the limits */
    uint64_t commands_malformed_on_bus;
    uint64_t motion_countered; /* foreign motion answered with a zero command */

    uint64_t telemetry_sent;       /* message x client */
    uint64_t telemetry_too_long;   /* subject or payload over the limit */
    uint64_t telemetry_dropped;    /* a slow client's queue was full; message x client */
    uint64_t telemetry_superseded; /* a newer one of its subject came before it could be sent */
    uint64_t keyframe_requests;
};

#endif
