/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two kinds of bus share, private to this folder. A driver runs its own threads; they
 * meet the opener in mailboxes, one per lane and direction, and in `link`.
 *
 * A lane's link counts its ups and downs: odd is connected. A message is tagged with the link
 * under which it was published and is dropped if the link has changed before it is sent, so
 * nothing outlives the connection that it was meant for.
 *
 * Thread: stated at each function; the driver's threads never touch the caller's side.
 */
#ifndef SIMCAST_BUS_CORE_H
#define SIMCAST_BUS_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mailbox.h"
#include "bus/bus.h"

#define BUS_SENDER_BYTES 8
#define BUS_CLOCK_BYTES 8
#define BUS_CLOSE_FLUSH_MS 200

#define BUS_REFUSALS_TOLD 32
#define BUS_TROUBLE_BYTES 512

/* Index of bus->files. */
enum bus_file { BUS_FILE_LOGIN, BUS_FILE_CA, BUS_FILE_CERT, BUS_FILE_KEY, BUS_ACCESS_FILES };

struct bus_driver {
    /* Starts the driver's threads; on success sets bus->driver_state. Errors: as bus_open. */
    int (*start)(struct bus *bus);
    /* Ends them after bus->quit_fd became readable. Not called when start failed. */
    void (*stop)(struct bus *bus);
};

extern const struct bus_driver bus_nats_driver;
extern const struct bus_driver bus_local_driver;

struct bus {
    const struct bus_driver *driver;
    void *driver_state;

    /* Constant after bus_open. */
    char *url;
    char *shown_url; /* without user and password */
    char *name;
    bool serve;
    char *patterns[BUS_SUBSCRIPTIONS_MAX];
    unsigned pattern_count;
    char *stop_pattern;            /* or NULL */
    char *files[BUS_ACCESS_FILES]; /* paths; NULL: not used */
    uint8_t sender[BUS_SENDER_BYTES];
    char clock[BUS_CLOCK_BYTES + 1]; /* names this machine's CLOCK_MONOTONIC since it was booted */

    int quit_fd;  /* eventfd, readable for ever once the bus closes */
    int inbox_fd; /* epoll over both inboxes */
    struct mailbox *outbox[BUS_LANE_COUNT];
    struct mailbox *inbox[BUS_LANE_COUNT];

    _Atomic uint32_t link[BUS_LANE_COUNT];
    _Atomic uint64_t epoch; /* messages of older ones are outdated */
    _Atomic uint64_t published;
    _Atomic uint64_t received;
    _Atomic uint64_t dropped_out;
    _Atomic uint64_t dropped_in;
    _Atomic uint64_t reconnects[BUS_LANE_COUNT];
    _Atomic uint64_t slow_episodes;
    _Atomic uint64_t refused;
    _Atomic int64_t slow_ns; /* the newest loss; 0: none */

    pthread_mutex_t told_lock; /* of the two below */
    char trouble[BUS_TROUBLE_BYTES];
    uint32_t refused_told[BUS_REFUSALS_TOLD]; /* hashes, so that one cause is logged once */
};

/* Starts a thread that no signal is delivered to. `name` has at most 15 bytes. Errors: -EAGAIN. */
int bus_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg);

/* Driver's thread of that lane. Marks it connected, from when bus_publish accepts. Logs it. */
void bus_link_up(struct bus *bus, enum bus_lane lane);
/* Driver's thread of that lane. What is still in the outbox is dropped. Idempotent. Logs it. */
void bus_link_down(struct bus *bus, enum bus_lane lane, const char *why);

/*
 * Driver's thread of that lane. The next message to send now; outdated ones are dropped. It stays
 * valid until the next call. Errors: -EAGAIN none.
 */
int bus_next_out(struct bus *bus, enum bus_lane lane, struct bus_message *ret_message);
/* Counts what became of it. */
void bus_sent(struct bus *bus, bool accepted);

/* Any thread. Whether somebody subscribed to it here; `ret_lane` says whose inbox it is for. */
bool bus_wants(const struct bus *bus, const char *subject, enum bus_lane *ret_lane);
/* Any thread. Puts it into the lane's inbox or counts it as dropped. */
void bus_deliver(struct bus *bus, enum bus_lane lane, const struct bus_message *message);

/* Any thread. Counts messages that were lost because we take too slowly; logs it once in a while.
 */
void bus_slow(struct bus *bus, uint64_t lost);
/* Any thread. Keeps for bus_trouble why there is no connection; "": there is one. */
void bus_note_trouble(struct bus *bus, const char *why);

/* Tells texts apart; never mind that two may meet. */
uint32_t bus_hash(const char *text);

/* Any thread. The server does not permit something; logs a new cause. */
void bus_refused(struct bus *bus, const char *why);

/*
 * Completes what the process was told from the environment and the credential directory; the caller
 * frees the paths, also after an error. Errors: -ENOKEY one cannot be read, which is logged.
 */
int bus_access_find(char *ret_files[BUS_ACCESS_FILES]);

/* Whether this program was given the URL in its argument list. */
bool bus_url_is_argument(const char *url);

/* Whether it is a comma-separated list of "[scheme://][user[:password]@]host[:port][/]". */
bool bus_url_is_valid(const char *url);

/* 1 to BUS_SUBJECT_BYTES_MAX printable bytes, no space, no wildcard, no empty token. */
bool bus_subject_is_valid(const char *subject);

#endif
