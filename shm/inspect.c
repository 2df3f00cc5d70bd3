/* SPDX-License-Identifier: Apache-2.0 */
/* One question to a producer's door and its answer; keeps nothing. Runs on any thread. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "shm/handoff.h"
#include "shm/layout.h"
#include "shm/ring.h"

#define ANSWER_MS_MAX 1000

static int ask(int fd, struct ring_info *ret_info)
{
    struct handoff_hello inquiry = {.magic = HANDOFF_INQUIRY_MAGIC};
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    struct ring_info info;
    int error = handoff_send(fd, &inquiry, sizeof(inquiry), NULL, 0);

    if (error < 0)
        return error;
    int ready = poll(&answer, 1, ANSWER_MS_MAX);
    if (ready <= 0)
        return ready < 0 ? -errno : -ETIMEDOUT;
    error = handoff_receive(fd, &info, sizeof(info), NULL);
    if (error == 0 && info.consumer_count > RING_LEASES_MAX)
        error = -EPROTO;
    if (error == 0)
        *ret_info = info;
    return error == -EPIPE ? -EPROTO : error;
}

int ring_inspect(const char *dir, const char *stream, enum ring_kind kind,
                 struct ring_info *ret_info)
{
    struct sockaddr_un address;
    int fd = -1;
    int error = handoff_address(dir, stream, kind, &address);

    if (error == 0)
        error = handoff_connect(&address, &fd);
    if (error < 0)
        return error;
    error = ask(fd, ret_info);
    close(fd);
    return error;
}
