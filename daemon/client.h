/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connected viewer: who it is, what it watches (subscription.h), and the messages that wait for
 * it.
 *
 * It is sent to only after its first message or a short delay, because a proxy in front of some
 * clients loses bytes that arrive together with the 101 answer.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_CLIENT_H
#define SIMCAST_DAEMON_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/auth.h"
#include "daemon/counters.h"
#include "daemon/http_stream.h"
#include "daemon/outbox.h"
#include "daemon/subscription.h"
#include "daemon/ws.h"

#define CLIENT_ADDRESS_BYTES 64
#define CLIENT_SUBSCRIPTIONS_MAX 16

struct client {
    struct ws_peer *peer;
    enum client_kind kind;
    bool ready; /* may be sent to */
    bool ended; /* it gets nothing more; its connection is being closed */
    bool held;  /* it gets nothing yet; see fanout_hold */
    unsigned subscription_count;
    uint32_t id;                        /* never used twice */
    size_t index;                       /* its place in the fan-out's list */
    char address[CLIENT_ADDRESS_BYTES]; /* for a person; "": unknown */
    int64_t connected_ns;
    int64_t busy_ns; /* since when it was not seen to take all it was sent; 0: it does */
    struct outbox outbox;
    struct pacing *pacing;                                        /* NULL: telemetry as it comes */
    struct subscription *subscriptions[CLIENT_SUBSCRIPTIONS_MAX]; /* the audiences' */
    bool tells_display;                                           /* it ever told what it shows */
    int64_t displayed_ns; /* when the newest frame that it showed came here; 0: unknown */
    int64_t limited_ns;   /* when it was last told that its velocity was cut; 0: never */
    /* access.c's: */
    enum auth_role role; /* AUTH_NONE: no tokens are in use, or none was shown yet */
    char name[AUTH_NAME_BYTES];
    char token[AUTH_TOKEN_BYTES];
    double allowance; /* commands that it may send now */
    int64_t allowance_ns;
};

/* Embed it. Errors: -ENOMEM. */
int client_init(struct client *client, struct ws_peer *peer, enum client_kind kind,
                size_t queue_messages);

/*
 * From now on it gets at most so much telemetry of one subject. Errors: -ENOMEM. Cost: 1.5 KiB.
 */
int client_pace(struct client *client, unsigned telemetry_per_s);

/* It watches nothing any more. */
void client_fini(struct client *client);

/* What it watches of this stream, or NULL. */
struct subscription *client_subscription(const struct client *client, uint16_t stream);

/* A subscription ends. For audience.c. */
void client_forget(struct client *client, const struct subscription *subscription);

/* Of all that it watches now, together. */
struct client_totals {
    uint64_t frames;      /* it got, ever */
    uint64_t frame_bytes; /* their payloads' sum */
    uint64_t missed;      /* that it did not get, ever */
    bool in_step;         /* with all of it */
};

void client_totals(const struct client *client, struct client_totals *ret_totals);

/* From now on it may be sent to; what was queued goes out. */
void client_set_ready(struct client *client, int64_t now_ns, struct counters *counters);

/*
 * It shows a frame of the default camera that came here at this time; 0: a frame that we do not
 * know, or of another camera. What is older than the last is no news: that picture goes on ageing.
 */
void client_shows(struct client *client, int64_t arrived_ns);

/* Whether it ever got a frame of what it watches. */
bool client_started(const struct client *client);

/* Of a client over plain HTTP: hangs up as soon as all was taken. */
void client_end(struct client *client);

/* Of a client over plain HTTP that still waits for its first frame: says so and hangs up. */
void client_give_up(struct client *client);

/* To a WebSocket: sends now if it may, else queues (outbox.h). */
void client_send(struct client *client, struct message *message, struct counters *counters);

/* The same for telemetry that all get, as fast as client_pace lets it; and what may go now. */
void client_tell(struct client *client, struct message *message, int64_t now_ns,
                 struct counters *counters);
void client_tick(struct client *client, int64_t now_ns, struct counters *counters);

/* Its socket took all: the queue goes on. */
void client_drained(struct client *client, struct counters *counters);

#endif
