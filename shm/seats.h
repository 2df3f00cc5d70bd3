/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumers of a ring as its writing thread sees them: which slots they pin, and who sleeps.
 * The door thread puts consumers in and takes them out; the writing thread looks. The two never
 * wait for each other but for one case: taking a consumer out waits while the writing thread is
 * in the middle of a look, which takes microseconds.
 *
 * Internal to shm/.
 */
#ifndef SIMCAST_SHM_SEATS_H
#define SIMCAST_SHM_SEATS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/layout.h"

struct seat {
    struct ring_leases *leases; /* mapped; the consumer writes here what it likes */
    unsigned lease_count;       /* agreed; our own memory */
    int wake_fd;                /* a byte in here wakes the consumer; never blocks us */
    int wake_read_fd; /* the consumer's end; ours is open so that a write finds a reader */
    /* For seats_revoke, the door thread's. */
    uint64_t seen_words[RING_CONSUMER_LEASES_MAX];
    int64_t seen_ns[RING_CONSUMER_LEASES_MAX];
    uint64_t revoked;
};

/* Embed it, zeroed. */
struct seats {
    unsigned slot_count;
    int crowd_fd; /* written when more than one sleeps; the door thread then calls seats_wake_all */
    alignas(64) _Atomic uint32_t writer_inside;
    _Atomic uint32_t limit; /* seats at and above are empty */
    _Atomic uint32_t crowd_told;
    _Atomic(struct seat *) taken[RING_LEASES_MAX];
};

/*
 * Makes the two pages' worth of things that a consumer gets: its lease page, whose descriptor
 * goes to *ret_lease_fd and the caller, and the end of a pipe that
 * wakes it. A pipe, because its two ends have flags of their own: whatever the consumer does to
 * its end, a write to ours does not block. Errors: -ENOMEM, -EMFILE, what
 * memfd_create and mmap said.
 */
int seat_create(unsigned lease_count, struct seat **ret_seat, int *ret_lease_fd);

/* Takes NULL. The seat must be out. */
void seat_destroy(struct seat *seat);

/* Slots that the seat pins now. Thread: any while the seat exists. */
unsigned seat_pins(const struct seat *seat, unsigned slot_count);

/* Thread: the door's. Errors: -EBUSY. */
int seats_put(struct seats *seats, struct seat *seat);
/* Thread: the door's. Afterwards no other thread looks at the seat. */
void seats_take(struct seats *seats, struct seat *seat);
/* Thread: the door's. Wakes everyone who sleeps. */
void seats_wake_all(struct seats *seats);
/*
 * Thread: the door's. Revokes pins that have been the same for longer than age_ns_max. Returns
 * how many.
 */
unsigned seats_revoke(struct seats *seats, struct seat *seat, int64_t age_ns_max, int64_t now_ns);

/*
 * Thread: the writer's. Bit k set: some consumer pins slot k. At most as many bits as leases
 * were agreed, whatever consumers write into their pages. Cost: one line per consumer.
 */
uint64_t seats_pinned(struct seats *seats);

/*
 * Thread: the writer's. Wakes whoever sleeps: one sleeper directly; more of them through the
 * door thread, so that publishing costs one system call however many there are.
 */
void seats_wake(struct seats *seats);

#endif
