/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message bus: subjects with dots, payloads of bytes, publish and subscribe. Two kinds
 * behind one interface, chosen by the URL:
 *
 *   nats://host:4222       a NATS server (nats.c), or several, comma-separated, of which the
 *                          first that answers is taken; tls:// with TLS. Reconnects for ever,
 *                          waits for a server that is not there yet, buffers nothing while it is
 *                          away.
 *   ipc:///dir             local ZeroMQ sockets in /dir. Exactly one process, simcastd, opens
 *                          the bus with `serve` and forwards between all others; when it dies
 *                          the others reconnect by themselves.
 *
 * What a bus publishes does not come back to its own subscriptions, and nothing that was
 * published before a connection was lost is sent after it is back.
 *
 * Stop travels alone: BUS_LANE_STOP has its own connection, so that no queue of motion or
 * telemetry is ever in front of it, and its own mailbox, which bus_take empties first.
 *
 * Source: docs/bus.md. Thread: publish, take and close from the one thread that opened it.
 * Messages arrive in mailboxes that the opener reads, whatever thread the library uses.
 */
#ifndef SIMCAST_BUS_BUS_H
#define SIMCAST_BUS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/access.h"

struct bus;

enum bus_lane {
    BUS_LANE_NORMAL,
    BUS_LANE_STOP,
    BUS_LANE_COUNT,
};

enum bus_state {
    BUS_CONNECTING, /* never connected yet, or lost and trying */
    BUS_CONNECTED,  /* both lanes */
};

#define BUS_SUBSCRIPTIONS_MAX 12
#define BUS_SUBJECT_BYTES_MAX 255
#define BUS_PAYLOAD_BYTES_MAX (1u << 20)
#define BUS_STOP_PAYLOAD_BYTES_MAX (1u << 16)

struct bus_config {
    const char *url;  /* may hold "user:password@", see bus_url_show */
    const char *name; /* who we are, for the server's logs; NULL: "simcast" */
    bool serve;       /* ipc only: bind and forward; ignored for nats */
    /*
     * Patterns with "*" and a trailing ">" as NATS reads them; NULL-terminated. Where two of them
     * overlap, NATS delivers what matches both twice.
     */
    const char *subscriptions[BUS_SUBSCRIPTIONS_MAX + 1];
    /*
     * A pattern of what must never wait behind other messages, such as "command.genesis.estop":
     * it arrives through the stop connection and bus_take returns it first. Subscribed in
     * addition to the above and delivered once. NULL: none.
     */
    const char *stop_subscription;
    size_t mailbox_bytes; /* bound of undelivered messages; 0: 4 MiB, at least 64 KiB */
};

struct bus_counters {
    uint64_t published;     /* handed to the connection */
    uint64_t received;      /* put into the mailbox */
    uint64_t dropped_out;   /* published while the bus was away, or refused by it */
    uint64_t dropped_in;    /* the mailbox was full */
    uint64_t slow_episodes; /* times that dropped_in began to grow after 10 s of rest */
    uint64_t refused;       /* violations of permissions that the server told of */
    uint64_t reconnects;    /* of the normal lane */
    uint64_t stop_reconnects;
};

/*
 * A message of an epoch is good only as long as that epoch lasts (bus_end_epochs), and carries
 * beside its payload, which stays as it is, the epoch and when it was published.
 */
struct bus_message {
    const char *subject; /* NUL-terminated */
    const char *payload; /* payload_bytes bytes, then a NUL that is not counted */
    size_t payload_bytes;
    uint64_t epoch;  /* 0: of none; or its sender is no simcast program */
    bool lasts;      /* is sent even when its epoch has ended. Ignored in what is taken */
    int64_t sent_ns; /* taken, of an epoch: CLOCK_MONOTONIC when it was published. 0: on another
                      * machine, so that nobody can tell. Ignored by bus_publish */
};

/*
 * Opens the bus; a server that is not there is waited for, not an error. Strings in `config` are
 * copied. On success the caller owns *ret_bus. Does not block on the network.
 * Errors: -EINVAL a URL of neither kind or a pattern that is none, -EADDRINUSE `serve` and another
 * living process serves there, -ENOMEM, -EACCES, -ENOENT, -ENAMETOOLONG or what else the system
 * said when an ipc socket could not be made there.
 */
int bus_open(const struct bus_config *config, struct bus **ret_bus);

/*
 * Takes NULL. Sends what was published for at most 200 ms, then closes. An attempt to connect to
 * a NATS server that is under way is waited for: at most 1 s plus the look-up of its name.
 */
void bus_close(struct bus *bus);

/*
 * Copies the message and returns at once; the library's thread sends it. The payload may be
 * without the final NUL. Errors: -EPIPE the bus is away (the message is dropped: nothing old is
 * ever replayed), -EMSGSIZE over BUS_PAYLOAD_BYTES_MAX or, on the stop lane,
 * BUS_STOP_PAYLOAD_BYTES_MAX, -EAGAIN the lane is full, -EINVAL not a subject: 1 to 255 printable
 * bytes without spaces and wildcards, no empty token.
 */
int bus_publish(struct bus *bus, enum bus_lane lane, const struct bus_message *message);

/*
 * Normal messages of epochs before this one that still wait to be sent are dropped, but for those
 * that last.
 */
void bus_end_epochs(struct bus *bus, uint64_t before);

/* Readable while messages wait; level-triggered. Borrowed: do not read or close it. */
int bus_fd(const struct bus *bus);

/*
 * Takes the oldest message of the stop lane, or else the oldest other one; its strings are valid
 * until the next bus_take or bus_close. Errors: -EAGAIN none.
 */
int bus_take(struct bus *bus, struct bus_message *ret_message);

enum bus_state bus_state(const struct bus *bus);
/* Why the bus is not connected, for a person; "" while it is, or before the first attempt ended. */
void bus_trouble(struct bus *bus, char *ret_text, size_t text_bytes);
void bus_counters(const struct bus *bus, struct bus_counters *ret_counters);

/* Writes the URL without user and password, cut to the buffer: what may be logged. */
void bus_url_show(const char *url, char *ret_text, size_t text_bytes);

/* Whether `subject` matches a pattern with "*" (one token) and a trailing ">" (one or more). */
bool bus_subject_matches(const char *pattern, const char *subject);

#endif
