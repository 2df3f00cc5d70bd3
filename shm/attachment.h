/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A consumer's hold on one life of a producer: the read-only frame memory and the lease page, as
 * they came through the door, checked. It outlives the connection while views are held.
 *
 * Internal to shm/. Thread: the consumer's.
 */
#ifndef SIMCAST_SHM_ATTACHMENT_H
#define SIMCAST_SHM_ATTACHMENT_H

#include <stdbool.h>

#include "shm/handoff.h"
#include "shm/layout.h"

struct attachment {
    const struct ring_header *header; /* read-only mapping of mapping_bytes */
    struct ring_leases *leases;
    int wake_fd;
    unsigned lease_count;
    unsigned views; /* held now */
    bool orphan;    /* its link is gone: the last view's release destroys it */
    /* Read once from the header and checked; the header's own fields are not trusted again. */
    size_t mapping_bytes;
    size_t slot_bytes;
    size_t payload_bytes_max;
    uint32_t slot_count;
    uint64_t epoch;
};

/*
 * Maps what the producer sent. Takes the three descriptors, also on failure.
 * Errors: -EPROTO not a ring, lengths that contradict each other, or memory that its owner could
 * still shrink; -EPROTONOSUPPORT another layout version; -ENOMEM; what mmap said.
 */
int attachment_create(const int fds[HANDOFF_FDS], unsigned lease_count,
                      struct attachment **ret_attachment);

/* Takes NULL. The link lets go: destroyed now, or when the last view is released. */
void attachment_orphan(struct attachment *attachment);

/* Count a view in and out; the last view out destroys an orphan. */
void attachment_view(struct attachment *attachment);
void attachment_unview(struct attachment *attachment);

/* Slot k, for k below slot_count. */
const struct ring_slot *attachment_slot(const struct attachment *attachment, uint32_t slot);

#endif
