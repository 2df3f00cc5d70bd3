/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clients in one process of their own, which do nothing but receive and check
 * (fanout_stream.h), so that what they use of the processor is not the server's.
 *
 * Thread: one, which must have started no others (it forks). All numbers are in memory that both
 * processes see; they grow while the clients run.
 */
#ifndef SIMCAST_BENCH_FANOUT_LOAD_H
#define SIMCAST_BENCH_FANOUT_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "bench/fanout_stream.h"
#include "bench/peer.h"

#define FANOUT_CLIENTS_MAX 1200
#define FANOUT_SEEN_MAX 4096 /* pictures looked back upon */

/* How they behave. */
enum fanout_habit {
    FANOUT_EAGER,   /* read all that comes */
    FANOUT_SLOW,    /* one client that reads bytes_per_s; with default buffers */
    FANOUT_STALLED, /* connect and never read again */
};

struct fanout_load_setup {
    enum fanout_protocol protocol;
    enum fanout_habit habit;
    const struct fanout_album *album;
    uint16_t port;
    bool stamped; /* asks simcastd for FRAME_INFO */
    unsigned clients;
    unsigned bytes_per_s;
};

/* A picture on its way to all clients. */
struct fanout_seen {
    uint64_t seq;
    int64_t published_ns;
    int64_t last_ns; /* its last byte at the last client so far */
    int64_t sent_ns; /* when the server turned to the first client; 0: it does not say */
    uint32_t clients;
};

struct fanout_tally {
    _Atomic uint32_t joined; /* clients whose request was answered */
    _Atomic uint32_t served; /* of these, who got a picture already */
    _Atomic int32_t error;   /* of fanout_stream_take or the connection; 0: all is well */
    _Atomic uint64_t bytes;
    _Atomic uint64_t delivered; /* pictures, over all clients; releases what is below */
    /* Set by the measuring side: ages are recorded. */
    _Atomic bool counting;
    _Atomic uint32_t pictures[FANOUT_CLIENTS_MAX]; /* by client */
    struct fanout_seen seen[FANOUT_SEEN_MAX];      /* by seq modulo its size */
    struct histogram ages; /* published to last byte, of every picture at every client */
};

struct fanout_load {
    struct peer peer;
    struct fanout_load_setup setup;
    struct fanout_tally *tally;
};

/*
 * Starts the process; it connects, which fanout_load_await waits for. On success the caller ends
 * it with fanout_load_stop. Errors: -ENOMEM, -EAGAIN.
 */
int fanout_load_start(struct fanout_load *load, const struct fanout_load_setup *setup);

/* Errors: -ETIMEDOUT; what went wrong in the process. */
int fanout_load_await(const struct fanout_load *load, int timeout_ms);

/* What went wrong since the start, or 0. */
int fanout_load_error(const struct fanout_load *load);

/* Takes one that is zeroed or stopped. */
void fanout_load_stop(struct fanout_load *load);

#endif
