/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connected viewer: decides which frames it gets and when.
 *
 * It starts on a keyframe, and only after its first message or a short delay, because a proxy in
 * front of some clients loses bytes that arrive together with the 101 answer. At most one frame
 * is in flight: while its socket holds a tail, frames pass it by. So it sees a gap in frame_seq
 * only right before a keyframe (every JPEG is one).
 *
 * A client over plain HTTP gets frames of one codec alone. It is hung up on when the codec changes,
 * after its one picture, and when no frame came in time.
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
#include "daemon/source.h"
#include "daemon/ws.h"

#define CLIENT_ADDRESS_BYTES 64

struct client {
    struct ws_peer *peer;
    enum client_kind kind;
    bool ready;   /* may be sent to */
    bool in_step; /* it has frame last_seq, so last_seq + 1 makes sense to it */
    bool started; /* it ever got a frame */
    bool ended;   /* it gets nothing more; its connection is being closed */
    uint32_t id;  /* never used twice */
    char address[CLIENT_ADDRESS_BYTES]; /* for a person; "": unknown */
    int64_t connected_ns;
    int64_t waiting_ns; /* since when it lacks a keyframe; 0: it does not */
    uint64_t last_seq;
    unsigned last_codec;
    uint64_t missed;       /* frames that passed it by since the last one it got */
    uint64_t frames;       /* it got, ever */
    uint64_t frame_bytes;  /* their payloads' sum */
    uint64_t missed_total; /* that it did not get, ever */
    bool tells_display;    /* it ever told which frame it shows */
    uint64_t displayed_seq;
    int64_t displayed_ns; /* when that frame came here */
    struct outbox outbox;
    size_t index; /* its place in the fan-out's list */
    bool held;    /* it gets nothing yet; see fanout_hold */
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
void client_fini(struct client *client);

/* From now on it may be sent to; what was queued goes out. */
void client_set_ready(struct client *client, int64_t now_ns, struct counters *counters);

/* Offers a frame; the client takes it or counts it as missed. */
void client_offer(struct client *client, const struct packet *packet, int64_t now_ns,
                  struct counters *counters);

/* Of a client over plain HTTP that still waits for its first frame: says so and hangs up. */
void client_give_up(struct client *client);

/* To a WebSocket: sends now if it may, else queues; the oldest queued message is dropped when there
 * is no room. */
void client_send(struct client *client, struct message *message, struct counters *counters);

/* Its socket took all: the queue goes on. */
void client_drained(struct client *client, struct counters *counters);

#endif
