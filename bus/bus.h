/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message bus: subjects with dots, payloads of bytes, publish and subscribe. Two kinds
 * behind one interface, chosen by the URL:
 *
 *   nats://host:4222       a NATS server (nats.c). Reconnects for ever, waits for a server that
 *                          is not there yet, buffers nothing while it is away.
 *   ipc:///dir             local ZeroMQ sockets <dir>/bus.in and <dir>/bus.out. Exactly one
 *                          process, simcastd, opens the bus with `serve` and forwards between
 *                          all others; when it dies the others reconnect by themselves.
 *
 * What a bus publishes does not come back to its own subscriptions.
 *
 * Stop travels alone: BUS_LANE_STOP has its own connection, so that no queue of motion or
 * telemetry is ever in front of it.
 *
 * Thread: publish, poll and close from the one thread that opened it. Messages arrive in a
 * mailbox that the opener reads, whatever thread the library uses.
 */
#ifndef SIMCAST_BUS_BUS_H
#define SIMCAST_BUS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus;

enum bus_lane {
    BUS_LANE_NORMAL,
    BUS_LANE_STOP,
};

enum bus_state {
    BUS_CONNECTING, /* never connected yet, or lost and trying */
    BUS_CONNECTED,
};

#define BUS_SUBSCRIPTIONS_MAX 8

struct bus_config {
    const char *url;
    const char *name; /* who we are, for the server's logs */
    bool serve;       /* ipc only: bind and forward; ignored for nats */
    /* Patterns with "*" and a trailing ">" as NATS reads them; NULL-terminated. */
    const char *subscriptions[BUS_SUBSCRIPTIONS_MAX + 1];
    size_t mailbox_bytes; /* bound of undelivered messages; 0: 4 MiB */
};

struct bus_counters {
    uint64_t published;
    uint64_t received;
    uint64_t dropped_out; /* published while the bus was away, or refused by it */
    uint64_t dropped_in;  /* the mailbox was full */
    uint64_t reconnects;
};

struct bus_message {
    const char *subject; /* NUL-terminated */
    const char *payload; /* payload_bytes bytes, then a NUL that is not counted */
    size_t payload_bytes;
};

/*
 * Opens the bus; a server that is not there is waited for, not an error. Strings in `config` are
 * copied. On success the caller owns *ret_bus.
 * Errors: -EINVAL a URL of neither kind, -EADDRINUSE `serve` and another process serves there,
 * -ENOMEM, -EACCES, or what the system said when an ipc socket could not be bound.
 */
int bus_open(const struct bus_config *config, struct bus **ret_bus);

/* Takes NULL. Flushes what was published for at most 200 ms, then closes. */
void bus_close(struct bus *bus);

/*
 * Copies the payload and returns at once. Errors: -EPIPE the bus is away (the message is
 * dropped: nothing old is ever replayed), -EMSGSIZE over 1 MiB, -EAGAIN the lane is full.
 */
int bus_publish(struct bus *bus, enum bus_lane lane, const struct bus_message *message);

/* Readable while messages wait; level-triggered. Borrowed. */
int bus_fd(const struct bus *bus);

/*
 * Takes the oldest message; its strings are valid until the next bus_take or bus_close.
 * Errors: -EAGAIN none.
 */
int bus_take(struct bus *bus, struct bus_message *ret_message);

enum bus_state bus_state(const struct bus *bus);
void bus_counters(const struct bus *bus, struct bus_counters *ret_counters);

/* Whether `subject` matches a pattern with "*" (one token) and a trailing ">" (one or more). */
bool bus_subject_matches(const char *pattern, const char *subject);

#endif
