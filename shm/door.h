/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producer's door: the unix socket, the consumers that came in through it, and what they ask
 * for. A thread of its own accepts, attaches and notices hang-ups; the producer's writing thread
 * asks which slots are pinned and wakes sleepers. The two never wait for each other: attached
 * consumers stand in an array of atomic pointers, and the door frees a consumer only while the
 * writing thread is outside.
 *
 * Internal to shm/.
 */
#ifndef SIMCAST_SHM_DOOR_H
#define SIMCAST_SHM_DOOR_H

#include <stdint.h>
#include <sys/un.h>

#include "shm/ring.h"

struct door;

struct door_config {
    struct sockaddr_un address; /* handoff_address */
    enum ring_kind kind;
    int frames_fd; /* handed to each consumer; borrowed, must outlive the door */
    unsigned leases_max;
    unsigned slot_count;
};

/*
 * Binds the socket (replacing one that a dead producer left) and starts the thread.
 * Errors: -EADDRINUSE a living producer listens there, -EMFILE, -ENOMEM, -EAGAIN no thread, or
 * what mkdir, bind and listen said.
 */
int door_open(const struct door_config *config, struct door **ret_door);

/* Takes NULL. Ends the thread, hangs up on every consumer, removes the socket. */
void door_close(struct door *door);

/*
 * Bit k set: some consumer pins slot k. At most leases_max bits, whatever consumers write into
 * their pages. Thread: the writing thread. Cost: one line per attached consumer.
 */
uint64_t door_pinned(struct door *door);

/* Wakes every consumer that said it sleeps. Thread: the writing thread. */
void door_wake(struct door *door);

/* Thread: any. */
void door_demand(struct door *door, struct ring_demand *ret_demand);

int door_demand_fd(const struct door *door);

#endif
