/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may come in, byte by byte, before libwebsockets sees it. libwebsockets 4.1.6 takes unmasked
 * frames, answers pings without end, lets whoever says nothing keep others out, and has no hook for
 * bytes as they come. It gets them through two functions alone, recv(2) and SSL_read(3), so
 * inbound.c defines both, and the dynamic linker gives libwebsockets ours: on descriptors that are
 * watched they read and judge, on all others and other threads they only read.
 *
 *   - A connection that has not asked for anything within INBOUND_PATIENCE_NS is hung up on. When
 *     there are more of them than may be, the one that waits longest makes room, so a flood keeps
 *     nobody out who speaks at once. It is the same for the next request of one that stays.
 *   - Nothing is read beyond the head of a request before that was answered. A head that is too
 *     long, or that libwebsockets would misread (daemon/head.h), is cut, and inbound_refusal says
 *     what to answer.
 *   - Of a WebSocket only frames pass that may (daemon/frames.h), and not more of them in a second
 *     than INBOUND_BYTES_PER_S and INBOUND_CONTROLS_PER_S.
 *
 * Source: docs/deployment.md "Limits". Thread: the loop; one in a process.
 */
#ifndef SIMCAST_DAEMON_INBOUND_H
#define SIMCAST_DAEMON_INBOUND_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "daemon/counters.h"
#include "daemon/frames.h"

#define INBOUND_PATIENCE_NS (5 * NS_PER_S)
#ifdef SIMCAST_ECHO /* daemon/echo.h */
#define INBOUND_BYTES_PER_S UINT32_MAX
#define INBOUND_CONTROLS_PER_S UINT32_MAX
#else
#define INBOUND_BYTES_PER_S (512u * 1024)
#define INBOUND_CONTROLS_PER_S 100u
#endif

struct inbound_config {
    struct counters *counters; /* borrowed */
    unsigned waiting_max;      /* connections that have not asked for anything yet */
    size_t message_bytes_max;  /* of a WebSocket message; longer ones close with 1009 */
};

/* Errors: -ENOMEM. */
int inbound_open(const struct inbound_config *config);
void inbound_close(void);

/* A connection was accepted: it is to send a request. Errors: -ENOMEM, -EMFILE. */
int inbound_watch(int fd);

/* What is told of a WebSocket, while libwebsockets reads it. */
struct inbound_events {
    frames_ping ping;
    /* Nothing passes any more; close it with this status. */
    void (*fault)(void *data, unsigned status);
};

/*
 * The request was answered: frames follow, or, of a stream over HTTP, nothing that we look at.
 * `events` is borrowed.
 */
void inbound_is_websocket(int fd, const struct inbound_events *events, void *data);
void inbound_is_stream(int fd);

/* The descriptor is closed, or will be at once. One that is not watched is fine. */
void inbound_forget(int fd);

/*
 * libwebsockets made a request of the head that came: from here on its own time-outs hold. Until
 * then the connection counts among those that wait, also when its head looked whole; and to its end
 * when the request must be refused.
 */
void inbound_asked(int fd);

/* The status that the request at hand must be refused with (400, 431), or 0. */
unsigned inbound_refusal(int fd);

/* Counts a request whose headers have a fault that only their reader sees. Returns 400. */
unsigned inbound_malformed(void);

/* To be called every 50 ms or so: hangs up on those who waited too long. */
void inbound_tick(int64_t now_ns);

#endif
