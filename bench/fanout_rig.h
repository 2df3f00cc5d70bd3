/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server, what feeds it, and its clients: three processes beside this one. Several rigs may
 * stand at the same time; who gets no pictures costs next to nothing, so servers are measured in
 * turns of a fraction of a second.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_FANOUT_RIG_H
#define SIMCAST_BENCH_FANOUT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "bench/fanout_feed.h"
#include "bench/fanout_load.h"
#include "bench/peer.h"

enum fanout_server {
    FANOUT_SIMCASTD,
    FANOUT_SEND_LOOP,
    FANOUT_NODE,
    FANOUT_USTREAMER,
};

struct fanout_rig_setup {
    enum fanout_server server;
    enum fanout_habit habit; /* of the clients */
    const struct fanout_album *album;
    const char *dir; /* for sockets */
    unsigned fps;
    unsigned clients;
    unsigned bytes_per_s; /* of a FANOUT_SLOW client */
    bool stamped;
};

struct fanout_rig {
    struct fanout_rig_setup setup;
    struct peer server;
    struct fanout_feed feed;
    struct fanout_load load;
    uint16_t port;
};

/* What is missing to measure that server and how to get it; NULL: nothing. */
const char *fanout_rig_missing(enum fanout_server server);

/*
 * Starts all three and feeds pictures until each client that reads got one. On failure nothing is
 * left to close. Errors: -ETIMEDOUT the server does not serve; -EMFILE; those of the clients.
 */
int fanout_rig_open(struct fanout_rig *rig, const struct fanout_rig_setup *setup);

/* Takes one that is zeroed or closed. */
void fanout_rig_close(struct fanout_rig *rig);

#define FANOUT_TURNS_MAX 16

/* What turns add up to. Zeroed by the caller at first. */
struct fanout_turns {
    unsigned count;
    double cpu_ns_per_gb[FANOUT_TURNS_MAX]; /* processor time of the server, bytes received */
    int64_t elapsed_ns;    /* from the first published to a period after the last */
    uint64_t fewest;       /* pictures at the client that got fewest */
    struct histogram last; /* published to the last byte at the last of all clients */
    struct histogram wake; /* published to the server's turning to the first client */
};

/*
 * Feeds that many pictures and waits until they have arrived, or until it is clear that some do
 * not. Errors: -ETIMEDOUT the server blocks its feed; -EBADMSG a client got wrong bytes.
 */
int fanout_rig_turn(struct fanout_rig *rig, unsigned pictures, struct fanout_turns *turns);

/* Clients that connect and never read, in `ret_load`, which the caller stops. */
int fanout_rig_stall(struct fanout_rig *rig, unsigned clients, struct fanout_load *ret_load);

/* Resident memory of the server, what it shares included, bytes; 0: unknown. */
uint64_t fanout_rig_memory(const struct fanout_rig *rig);

#endif
