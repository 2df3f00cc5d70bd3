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

#include "shm/cuda_memory.h"
#include "shm/cuda_pin.h"
#include "shm/handoff.h"
#include "shm/layout.h"

/* What the consumer wants of every attachment. */
struct attachment_terms {
    unsigned leases;
    bool accept_cuda;
    bool pin_for_cuda;
    int cuda_device; /* for pin_for_cuda */
};

struct attachment {
    const struct ring_header *header; /* read-only mapping of mapping_bytes */
    struct ring_leases *leases;
    int wake_fd; /* readable: a frame came while we slept */
    unsigned lease_count;
    unsigned views; /* held now */
    bool orphan;    /* its link is gone: the last view's release destroys it */
    /* Read once from the header and checked; the header's own fields are not trusted again. */
    size_t mapping_bytes;
    size_t slot_bytes;
    size_t payload_bytes_max;
    uint32_t slot_count;
    uint64_t epoch;
    enum ring_memory memory;
    size_t device_slot_bytes;
    const char
        *payloads; /* slot k's is at k * payload_stride; a GPU's address when memory says so */
    size_t payload_stride;
    struct cuda_memory device;
    struct cuda_pin pin;
};

/*
 * Maps what the producer sent. Takes the descriptors, also on failure.
 * Errors: -EPROTO not a ring, lengths that contradict each other, or memory that its owner could
 * still shrink; -EPROTONOSUPPORT another layout version; -EOPNOTSUPP GPU memory that the terms
 * do not accept; -ENOMEM; what mmap said, what cuda_memory_import said. When there is more to
 * say than the number, *ret_why is a sentence, valid until the next failure on this thread.
 */
int attachment_create(const int fds[HANDOFF_FDS], const struct attachment_terms *terms,
                      struct attachment **ret_attachment, const char **ret_why);

/* Takes NULL. The link lets go: destroyed now, or when the last view is released. */
void attachment_orphan(struct attachment *attachment);

/* Count a view in and out; the last view out destroys an orphan. */
void attachment_view(struct attachment *attachment);
void attachment_unview(struct attachment *attachment);

/* Forgets the wake-ups that came. */
void attachment_hush(const struct attachment *attachment);

/* Slot k, for k below slot_count. */
const struct ring_slot *attachment_slot(const struct attachment *attachment, uint32_t slot);
const void *attachment_payload(const struct attachment *attachment, uint32_t slot);

#endif
