/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A consumer's link to whichever producer serves its stream now: connects, attaches, notices the
 * hang-up, tries again every 50 ms, and carries demand to it. One epoll descriptor stands for the
 * wake-up, the connection and the retry timer.
 *
 * Internal to shm/. Thread: the consumer's.
 */
#ifndef SIMCAST_SHM_LINK_H
#define SIMCAST_SHM_LINK_H

#include "shm/attachment.h"
#include "shm/handoff.h"

#define LINK_REASON_BYTES 512

struct link {
    struct sockaddr_un address;
    enum ring_kind kind;
    struct attachment_terms terms;
    int epoll_fd;
    int timer_fd;
    int socket_fd; /* -1: not connected */
    enum ring_link state;
    struct attachment *attachment; /* NULL unless state is RING_ATTACHED */
    struct handoff_demand demand;  /* told on every attachment, and by link_tell */
    bool demand_unsent;
    bool pin_warned;
    int64_t serviced_ns; /* when link_service last ran */
    uint32_t fork_generation;
    char reason[LINK_REASON_BYTES];
};

/* Opens the caller's `link` and tries to attach. Errors: -EMFILE; the link is then closed. */
int link_init(struct link *link, const struct sockaddr_un *address, enum ring_kind kind,
              const struct attachment_terms *terms);

/* Frees everything but attachments whose views are still held (attachment_unview frees those). */
void link_fini(struct link *link);

/*
 * Does what is due: connects, attaches, clears the wake-up, notices a hang-up, sends demand that
 * could not be sent. Returns true when a new attachment was made. Cost: a few system calls.
 */
bool link_service(struct link *link);

/* Sends link->demand, now or as soon as possible. */
void link_tell(struct link *link);

#endif
