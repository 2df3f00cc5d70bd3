/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between clients and the bus: commands from clients through the gate to the bus,
 * telemetry from the bus to all clients. Commands that others publish on the bus are watched:
 * foreign motion while the gate is closed is answered with a zero velocity.
 *
 * A command that is refused is answered to its sender with telemetry.command.ack and counted; the
 * connection stays. A velocity over the limits is cut, its sender told so once a second
 * (telemetry.command.limited).
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_RELAY_H
#define SIMCAST_DAEMON_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"
#include "daemon/arrivals.h"
#include "daemon/demand.h"
#include "daemon/fanout.h"
#include "daemon/guard.h"
#include "daemon/source.h"
#include "safety/limits.h"

struct relay;

struct access;
struct metrics;

/* All pointers are borrowed. */
struct relay_config {
    struct bus *bus;
    struct fanout *fanout;
    struct source *source;
    struct access *access; /* NULL: everybody may do everything */
    struct counters *counters;
    struct ring_producer *gate_ring; /* NULL: none */
    struct metrics *metrics; /* how long commands take to be acknowledged; NULL: not of interest */
    struct gate_config gate; /* `lease` is set while tokens are in use */
    struct limits limits;    /* speed_max alone counts here */
    int64_t keyframe_coalesce_ns;
    int64_t keyframe_timeout_ns;
    size_t telemetry_bytes_max;
    const char *const *shown; /* patterns of what clients get, NULL-terminated; NULL: all */
};

/* Errors: -ENOMEM. */
int relay_create(const struct relay_config *config, int64_t now_ns, struct relay **ret_relay);

/* Takes NULL. */
void relay_destroy(struct relay *relay);

/* A client came, left, or may now be sent to. */
void relay_client_joined(struct relay *relay, struct client *client, int64_t now_ns);
void relay_clients_changed(struct relay *relay, int64_t now_ns);
void relay_client_ready(struct relay *relay, int64_t now_ns);

/*
 * The codec that somebody new has to put up with, because others watch it or its source cannot be
 * told; VIDEO_CODEC_NONE: any will do, the encoder is asked for it when the client is there.
 */
enum video_codec relay_fixed_codec(const struct relay *relay);

/* What the stream is encoded as now; VIDEO_CODEC_NONE: nothing came yet. */
enum video_codec relay_codec(const struct relay *relay);

/* One message of a client, type byte first. */
void relay_client_message(struct relay *relay, struct client *client, const uint8_t *bytes,
                          size_t size, int64_t now_ns);

/* Takes all that waits on the bus, at most 256 messages, so that video is not held up. */
void relay_bus_readable(struct relay *relay, int64_t now_ns);

/* A packet passes. `broke`: fanout_packet said that the stream broke off before it. */
void relay_packet(struct relay *relay, const struct packet *packet, bool broke, int64_t now_ns);

/*
 * Other renditions of the default camera: whether somebody watches one, and that a frame of one
 * passes that is watched. To the gate they are frames of the camera while nobody watches the
 * default rendition; else that one must flow itself, for an operator may be looking at it.
 */
void relay_renditions_watched(struct relay *relay, bool watched, int64_t now_ns);
void relay_rendition(struct relay *relay, int64_t now_ns);

/* When the last frames of the default stream came, and whether it is wanted. */
const struct arrivals *relay_arrivals(const struct relay *relay);
bool relay_wanted(const struct relay *relay);

/* Every 50 ms, and once a second. */
void relay_tick(struct relay *relay, int64_t now_ns);
void relay_second(struct relay *relay);

/* For /health. */
const struct gate *relay_gate(const struct relay *relay);

#endif
