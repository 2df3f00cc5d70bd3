/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a producer hands its ring to a consumer: messages on a SOCK_SEQPACKET unix socket, so that
 * one send is one message.
 *
 *   consumer -> producer   hello     who I am, which layout I read, how many leases I want
 *   producer -> consumer   welcome   status, and on success three descriptors by SCM_RIGHTS:
 *                                    frame memory, this consumer's lease page, its pipe; and
 *                                    a fourth when payloads lie on a GPU: their memory
 *   consumer -> producer   demand    whenever it changes: wanted, keyframe please, settings
 *
 * After the welcome the producer sends nothing more; a hang-up says that the peer is gone.
 *
 * Instead of a hello, anybody may send an inquiry; the producer answers with one struct ring_info
 * and hangs up.
 *
 * Thread: any; functions here keep no state. Cost: one system call each.
 */
#ifndef SIMCAST_SHM_HANDOFF_H
#define SIMCAST_SHM_HANDOFF_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "shm/ring.h"

#define HANDOFF_MAGIC UINT32_C(0x31484d53)         /* "SMH1" */
#define HANDOFF_INQUIRY_MAGIC UINT32_C(0x31494d53) /* "SMI1" */
#define HANDOFF_FDS 4
#define HANDOFF_FDS_HOST 3 /* without HANDOFF_FD_DEVICE, which is -1 then */

enum handoff_fd { HANDOFF_FD_FRAMES, HANDOFF_FD_LEASES, HANDOFF_FD_WAKE, HANDOFF_FD_DEVICE };

struct handoff_hello {
    uint32_t magic;   /* HANDOFF_MAGIC, or HANDOFF_INQUIRY_MAGIC: leases is then ignored */
    uint32_t version; /* RING_LAYOUT_VERSION */
    uint32_t kind;    /* enum ring_kind */
    uint32_t leases;
};

struct handoff_welcome {
    uint32_t magic;
    uint32_t version;
    int32_t status; /* 0, or -EPROTONOSUPPORT another layout, -EBUSY no leases left, ... */
    uint32_t leases;
};

struct handoff_demand {
    uint32_t magic;
    uint32_t wanted;            /* 0 or 1 */
    uint32_t keyframe_requests; /* this connection's count so far */
    uint32_t settings_changes;  /* likewise */
    struct stream_settings settings;
};

static_assert(sizeof(struct handoff_hello) == 16, "layout");
static_assert(sizeof(struct handoff_welcome) == 16, "layout");
static_assert(sizeof(struct handoff_demand) == 56, "layout");
static_assert(sizeof(struct ring_consumer_info) == 56, "layout");
static_assert(sizeof(struct ring_info) == 64 + RING_LEASES_MAX * 56, "layout");

/* Fills the address of a stream's socket. Errors: -EINVAL, -ENAMETOOLONG. */
int handoff_address(const char *dir, const char *stream, enum ring_kind kind,
                    struct sockaddr_un *ret_address);

/* Connects without blocking. On success the caller owns *ret_fd. Errors: what connect said. */
int handoff_connect(const struct sockaddr_un *address, int *ret_fd);

/* Closes those that are not -1. */
void handoff_close_fds(const int fds[HANDOFF_FDS]);

/*
 * Sends one message without blocking; `fds` (borrowed) may be NULL. Errors: -EAGAIN the peer
 * does not read just now, -EPIPE it is gone, or what sendmsg said.
 */
int handoff_send(int socket_fd, const void *message, size_t message_bytes, const int *fds,
                 unsigned fd_count);

/*
 * Receives one message of exactly message_bytes without blocking. Descriptors that came with it
 * go into ret_fds (-1 where none came) and belong to the caller on success; pass NULL to refuse
 * them. Errors: -EAGAIN none yet, -EPIPE hang-up, -EPROTO a message of another size or with
 * unexpected descriptors (all closed).
 */
int handoff_receive(int socket_fd, void *message, size_t message_bytes, int ret_fds[HANDOFF_FDS]);

#endif
