/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps no state; runs on the producer's door thread and on consumers' threads. */
#include "shm/handoff.h"

#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctype.h>

static const char *const kind_suffixes[RING_KIND_COUNT] = {
    [RING_KIND_FRAMES] = "frames",   [RING_KIND_PACKETS] = "packets", [RING_KIND_STATE] = "state",
    [RING_KIND_ACTIONS] = "actions", [RING_KIND_GATE] = "gate",
};

static bool stream_name_is_valid(const char *stream)
{
    size_t length = stream ? strnlen(stream, RING_STREAM_BYTES) : 0;

    if (length == 0 || length == RING_STREAM_BYTES)
        return false;
    unsigned pluses = 0;
    for (size_t i = 0; i < length; i++) {
        if (stream[i] == '+')
            pluses++;
        else if (!isalnum((unsigned char)stream[i]) && stream[i] != '-' && stream[i] != '_')
            return false;
    }
    return pluses <= 1 && stream[0] != '+' && stream[length - 1] != '+';
}

int ring_socket_path(const char *dir, const char *stream, enum ring_kind kind, char *ret_path,
                     size_t path_bytes)
{
    if (!stream_name_is_valid(stream) || (unsigned)kind >= RING_KIND_COUNT)
        return -EINVAL;
    int used = snprintf(ret_path, path_bytes, "%s/%s.%s", dir ? dir : RING_DIR_DEFAULT, stream,
                        kind_suffixes[kind]);
    return used < 0 || (size_t)used >= path_bytes ? -ENAMETOOLONG : 0;
}

int handoff_address(const char *dir, const char *stream, enum ring_kind kind,
                    struct sockaddr_un *ret_address)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error = ring_socket_path(dir, stream, kind, address.sun_path, sizeof(address.sun_path));

    if (error == 0)
        *ret_address = address;
    return error;
}

int handoff_connect(const struct sockaddr_un *address, int *ret_fd)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

void handoff_close_fds(const int fds[HANDOFF_FDS])
{
    for (unsigned i = 0; i < HANDOFF_FDS; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

int handoff_send(int socket_fd, const void *message, size_t message_bytes, const int *fds,
                 unsigned fd_count)
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * HANDOFF_FDS)] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = message_bytes};
    struct msghdr envelope = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd_count > 0) {
        envelope.msg_control = control;
        envelope.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&envelope);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }
    if (sendmsg(socket_fd, &envelope, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    return 0;
}

/* Collects the descriptors that came along; returns how many, closing those over the limit. */
static unsigned collect_fds(struct msghdr *envelope, int fds[HANDOFF_FDS])
{
    unsigned count = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(envelope); part; part = CMSG_NXTHDR(envelope, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t arrived = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < arrived; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (count < HANDOFF_FDS)
                fds[count++] = fd;
            else
                close(fd);
        }
    }
    return count;
}

int handoff_receive(int socket_fd, void *message, size_t message_bytes, int ret_fds[HANDOFF_FDS])
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * HANDOFF_FDS)];
    int fds[HANDOFF_FDS] = {-1, -1, -1, -1};
    struct iovec part = {.iov_base = message, .iov_len = message_bytes};
    struct msghdr envelope = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    ssize_t got = recvmsg(socket_fd, &envelope, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (got < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    unsigned fd_count = collect_fds(&envelope, fds);
    bool wrong = (size_t)got != message_bytes || (envelope.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
                 (fd_count > 0 && !ret_fds);
    if (wrong) {
        for (unsigned i = 0; i < fd_count; i++)
            close(fds[i]);
        return got == 0 && fd_count == 0 ? -EPIPE : -EPROTO;
    }
    if (ret_fds)
        memcpy(ret_fds, fds, sizeof(fds));
    return 0;
}
