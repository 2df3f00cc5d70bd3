/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All connected viewers, and the audience of the default stream, which a viewer joins unless it
 * asks for another. Nothing is queued per client but small messages, so nobody's slowness costs the
 * others anything.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_FANOUT_H
#define SIMCAST_DAEMON_FANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/audience.h"
#include "daemon/client.h"

struct fanout;

struct fanout_config {
    int64_t ready_delay_ns;   /* a silent client is served after this */
    int64_t patience_ns;      /* a client over plain HTTP gets a frame within this, or an error */
    size_t queue_messages;    /* per client */
    unsigned telemetry_per_s; /* of one subject to one client; 0: no limit */
    struct counters *counters;
};

/* Errors: -ENOMEM. */
int fanout_create(const struct fanout_config *config, struct fanout **ret_fanout);

/* Takes NULL. All clients must have left. */
void fanout_destroy(struct fanout *fanout);

/* The new client belongs to the fan-out and watches the default stream; NULL without memory. */
struct client *fanout_join(struct fanout *fanout, struct ws_peer *peer, enum client_kind kind,
                           int64_t now_ns);

/* The same, but it watches `audience`; NULL: nothing yet. */
struct client *fanout_join_audience(struct fanout *fanout, struct ws_peer *peer,
                                    enum client_kind kind, struct audience *audience,
                                    int64_t now_ns);

/* It leaves all that it watches. */
void fanout_leave(struct fanout *fanout, struct client *client);

/* Those who watch the default stream. Borrowed. */
struct audience *fanout_audience(struct fanout *fanout);

/* The client spoke. Returns whether this made it ready, so that it needs a keyframe. */
bool fanout_heard(struct fanout *fanout, struct client *client, int64_t now_ns);

/*
 * Call it every 50 ms. Serves silent clients whose delay is over, sends telemetry that was held
 * back, ends those whose patience is; returns how many became ready who watch the default stream.
 */
unsigned fanout_tick(struct fanout *fanout, int64_t now_ns);

/* A packet of the default stream; as audience_packet, and counted. */
bool fanout_packet(struct fanout *fanout, const struct packet *packet, int64_t now_ns);

void fanout_drained(struct fanout *fanout, struct client *client);

/* Nobody gets anything more but the rest of what is on the way. */
void fanout_quiet(struct fanout *fanout);

/*
 * To all, held back where it comes too fast; or to one, at once. Errors: -EMSGSIZE too long
 * (counted), -ENOMEM.
 */
int fanout_telemetry(struct fanout *fanout, const char *subject, const char *payload,
                     size_t payload_bytes);
int fanout_telemetry_to(struct fanout *fanout, struct client *client, const char *subject,
                        const char *payload);

/* Answers a v2 client's CLOCK message. Errors: -EPROTO malformed, or not v2; -ENOMEM. */
int fanout_clock(struct fanout *fanout, struct client *client, const uint8_t *request,
                 size_t request_bytes, int64_t now_ns);

/* The new client gets nothing, and does not count as one, until it is admitted. */
void fanout_hold(struct fanout *fanout, struct client *client);
void fanout_admit(struct fanout *fanout, struct client *client);

unsigned fanout_clients(const struct fanout *fanout);

/* Those that are held included. */
unsigned fanout_connections(const struct fanout *fanout);

/* The client at a place, 0 to fanout_connections - 1; valid until the next join or leave. */
struct client *fanout_client(const struct fanout *fanout, unsigned at);

/* Of the default stream; see audience.h. */
unsigned fanout_watchers(const struct fanout *fanout);
enum video_codec fanout_codec_needed(const struct fanout *fanout);
bool fanout_serves_http(const struct fanout *fanout);

#endif
