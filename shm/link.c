/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the epoll set, the retry timer, the connection and the attachment. A producer that is
 * gone, silent or wrong makes the link DETACHED or REFUSED, says why in `reason`, and is asked
 * again after 50 ms.
 */
#include "shm/link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/fork_guard.h"

#define RETRY_NS (50 * NS_PER_MS)

static void watch(const struct link *link, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* The socket was closed by the fork guard; the epoll set is shared with the parent. */
static bool is_parents(const struct link *link)
{
    return link->fork_generation != fork_guard_generation();
}

static void hang_up(struct link *link)
{
    if (link->socket_fd < 0 || is_parents(link))
        return;
    fork_guard_close(link->socket_fd); /* also leaves the epoll set */
    link->socket_fd = -1;
}

/* Views that are still held keep the old memory mapped; the last release unmaps it. */
static void drop_attachment(struct link *link)
{
    struct attachment *attachment = link->attachment;

    link->attachment = NULL;
    if (!attachment)
        return;
    if (!is_parents(link))
        epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, attachment->wake_fd, NULL);
    attachment_orphan(attachment);
}

static void detach(struct link *link, enum ring_link state, const char *reason)
{
    struct itimerspec in_a_while = {.it_value.tv_nsec = RETRY_NS};

    drop_attachment(link);
    hang_up(link);
    link->state = state;
    snprintf(link->reason, sizeof(link->reason), "%s", reason);
    timerfd_settime(link->timer_fd, 0, &in_a_while, NULL);
}

static const char *meaning_of(int status)
{
    if (status == -EPROTONOSUPPORT)
        return "it speaks another ring version; run the same simcast version on both sides";
    if (status == -EBUSY)
        return "all its leases are taken; raise the producer's leases_max or stop a consumer";
    if (status == -EPROTO)
        return "its memory is not a ring";
    return "it gave no reason that this version knows";
}

static void refused(struct link *link, const char *why)
{
    char reason[LINK_REASON_BYTES];

    snprintf(reason, sizeof(reason), "the producer at %s cannot be used: %s",
             link->address.sun_path, why);
    detach(link, RING_REFUSED, reason);
}

static void say_hello(struct link *link)
{
    struct handoff_hello hello = {
        .magic = HANDOFF_MAGIC,
        .version = RING_LAYOUT_VERSION,
        .kind = link->kind,
        .leases = link->terms.leases,
    };
    char reason[LINK_REASON_BYTES];

    fork_guard_hold();
    int error = handoff_connect(&link->address, &link->socket_fd);
    if (error == 0)
        fork_guard_add(link->socket_fd);
    fork_guard_let_go();
    if (error == 0)
        error = handoff_send(link->socket_fd, &hello, sizeof(hello), NULL, 0);
    if (error < 0) {
        snprintf(reason, sizeof(reason), "no producer listens at %s (%s)", link->address.sun_path,
                 strerror(-error));
        detach(link, RING_DETACHED, reason);
        return;
    }
    watch(link, link->socket_fd);
}

static int check_welcome(const struct link *link, const struct handoff_welcome *welcome)
{
    if (welcome->magic != HANDOFF_MAGIC)
        return -EPROTO;
    if (welcome->status != 0)
        return welcome->status;
    return welcome->leases == link->terms.leases ? 0 : -EPROTO;
}

static void warn_of_pin(struct link *link)
{
    const char *why = link->attachment->pin.reason;

    if (why[0] != '\0' && !link->pin_warned) {
        log_warning("the frames from %s are not pinned, copies to the GPU are slower: %s",
                    link->address.sun_path, why);
        link->pin_warned = true;
    }
}

static bool take_welcome(struct link *link)
{
    struct handoff_welcome welcome;
    int fds[HANDOFF_FDS];
    struct attachment *attachment;
    const char *why = NULL;
    int error = handoff_receive(link->socket_fd, &welcome, sizeof(welcome), fds);

    if (error == -EAGAIN)
        return false;
    if (error < 0) {
        detach(link, RING_DETACHED, "the producer hung up while being asked");
        return false;
    }
    error = check_welcome(link, &welcome);
    if (error < 0)
        handoff_close_fds(fds);
    else
        error = attachment_create(fds, &link->terms, &attachment, &why);
    if (error < 0) {
        refused(link, why ? why : meaning_of(error));
        return false;
    }
    link->attachment = attachment;
    link->state = RING_ATTACHED;
    link->reason[0] = '\0';
    watch(link, attachment->wake_fd);
    warn_of_pin(link);
    link_tell(link);
    return true;
}

static void check_attached(struct link *link)
{
    char unexpected;

    attachment_hush(link->attachment);
    ssize_t got = recv(link->socket_fd, &unexpected, 1, MSG_DONTWAIT);
    if (got >= 0 || (errno != EAGAIN && errno != EINTR))
        detach(link, RING_DETACHED, "the producer is gone");
    else if (link->demand_unsent)
        link_tell(link);
}

bool link_service(struct link *link)
{
    uint64_t expired;

    link->serviced_ns = clock_now_ns();
    if (is_parents(link))
        return false;
    if (link->state == RING_ATTACHED) {
        check_attached(link);
        return false;
    }
    if (link->socket_fd < 0 &&
        read(link->timer_fd, &expired, sizeof(expired)) == (ssize_t)sizeof(expired))
        say_hello(link);
    return link->socket_fd >= 0 && take_welcome(link);
}

void link_tell(struct link *link)
{
    if (is_parents(link))
        return; /* the descriptor's number may be another one's by now */
    if (link->state != RING_ATTACHED) {
        link->demand_unsent = true;
        return;
    }
    int error = handoff_send(link->socket_fd, &link->demand, sizeof(link->demand), NULL, 0);
    link->demand_unsent = error == -EAGAIN;
}

int link_init(struct link *link, const struct sockaddr_un *address, enum ring_kind kind,
              const struct attachment_terms *terms)
{
    *link = (struct link){
        .address = *address,
        .kind = kind,
        .terms = *terms,
        .socket_fd = -1,
        .demand.magic = HANDOFF_MAGIC,
        .fork_generation = fork_guard_generation(),
    };
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    link->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (link->epoll_fd < 0 || link->timer_fd < 0) {
        link_fini(link);
        return -EMFILE;
    }
    watch(link, link->timer_fd);
    say_hello(link);
    return 0;
}

void link_fini(struct link *link)
{
    if (link->epoll_fd >= 0)
        drop_attachment(link);
    hang_up(link);
    if (link->timer_fd >= 0)
        close(link->timer_fd);
    if (link->epoll_fd >= 0)
        close(link->epoll_fd);
}
