/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producer's door: a thread that accepts consumers on the ring's socket, attaches them,
 * hears what they ask for, notices their hang-ups, and answers inquiries. What the writing thread
 * needs of the consumers stands in the door's `seats`.
 *
 * Internal to shm/.
 */
#ifndef SIMCAST_SHM_DOOR_H
#define SIMCAST_SHM_DOOR_H

#include <stdint.h>
#include <sys/un.h>

#include "shm/ring.h"
#include "shm/seats.h"

struct door;

struct door_config {
    struct sockaddr_un address;       /* handoff_address */
    const struct ring_header *header; /* the ring's; borrowed, must outlive the door */
    int frames_fd;                    /* handed to each consumer; borrowed likewise */
    int device_fd;                    /* likewise, the GPU memory; -1: none */
    unsigned leases_max;
    int64_t lease_ns_max; /* 0: pins are never revoked */
};

/*
 * Binds the socket (replacing one that a dead producer left) and starts the thread.
 * Errors: -EADDRINUSE a living producer listens there, -EMFILE, -ENOMEM, -EAGAIN no thread, or
 * what mkdir, bind and listen said.
 */
int door_open(const struct door_config *config, struct door **ret_door);

/*
 * Takes NULL. Ends the thread, hangs up on every consumer, removes the socket. In a child after
 * fork(2): frees the memory and leaves the parent's door alone.
 */
void door_close(struct door *door);

/* For the writing thread. */
struct seats *door_seats(struct door *door);

/* Thread: any. */
void door_demand(struct door *door, struct ring_demand *ret_demand);

int door_demand_fd(const struct door *door);

#endif
