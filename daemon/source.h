/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where packets come from: the encoder's packet ring, or the legacy frame slot of a simulator
 * that encodes by itself. On `auto` the ring wins while it delivers; a legacy frame counts only
 * when the ring has been silent for a second.
 *
 * The legacy slot's file may have been lying there for days, so the first frame found in it at
 * start has an unknown age and is passed over: old pictures must never look like live ones.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_SOURCE_H
#define SIMCAST_DAEMON_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config.h"
#include "daemon/counters.h"
#include "proto/settings.h"
#include "proto/video.h"
#include "shm/ring.h"

struct source;

struct packet {
    struct video_packet_view video;
    bool keyframe;
    bool legacy;   /* from the slot: no simulation time, no stamps */
    uint64_t lost; /* frames overwritten before they were read, just before this one */
    int64_t sim_time_ns;
    int64_t stamp_ns[RING_STAGE_COUNT];
    struct ring_view ring_view; /* the source's own */
};

enum source_state { SOURCE_NONE, SOURCE_RING, SOURCE_LEGACY };

/* `counters` is borrowed. Errors: as ring_consumer_open and legacy_slot_file_open. */
int source_open(const struct config *config, struct counters *counters, struct source **ret_source);

/* A packet ring alone. Errors: as ring_consumer_open. */
int source_open_ring(const char *dir, const char *stream, struct counters *counters,
                     struct source **ret_source);

/* Takes NULL. */
void source_close(struct source *source);

/* Readable when the ring wants source_take to be called, or -1 without a ring. Borrowed. */
int source_fd(const struct source *source);

/* After how long source_take is to be called again for the slot's sake; 0: never. */
int64_t source_period_ns(const struct source *source, int64_t now_ns);

/*
 * Takes the next packet, checked; end it with source_release before the next take. With `poll`
 * the legacy slot is looked at too (its writer cannot wake anybody).
 * Errors: -EAGAIN nothing new.
 */
int source_take(struct source *source, bool poll, int64_t now_ns, struct packet *ret_packet);
void source_release(struct source *source, const struct packet *packet);

/* What flows back to the encoder; the slot has no such way (its writer listens on the bus). */
void source_want(struct source *source, bool wanted);
void source_request_keyframe(struct source *source);
void source_settings(struct source *source, const struct stream_settings *settings);

enum source_state source_state(const struct source *source, int64_t now_ns);

/* The same as "none", "ring" or "legacy"; a string constant. */
const char *source_name(const struct source *source, int64_t now_ns);

/*
 * Whether frames come without being wanted: the newest came from the slot, or the slot is the
 * only source. Stays true when they stop, for then something is wrong.
 */
bool source_runs_free(const struct source *source);

/* Why there is none, for a person; valid until the next call. */
const char *source_reason(struct source *source);

/* Sequence number of the newest packet in the ring or the slot; 0: none. */
uint64_t source_sequence(struct source *source, int64_t now_ns);

#endif
