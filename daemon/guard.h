/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate at work (safety/gate.h): runs it and carries out what it decides. Hold and emergency
 * stop go to the bus, the state of the video to the bus and to all clients. What could not be
 * published, because the bus was away, is published as soon as it is back, if it still holds.
 *
 * The control loop hears of mode and reason through the gate ring (proto/gate_state.h) as well,
 * at once and even when the bus is away.
 *
 * The epochs are counted on from the wall clock's microseconds, so that a restart begins a new one.
 * Each one's end is told to the bus, whose waiting messages die with it, and to all clients that
 * speak simcast.v2.
 *
 * A hold takes the same lane as the motion commands before it, so that it cannot overtake one;
 * a stop takes its own, because after it motion does nothing.
 *
 * Source: docs/safety.md, docs/wire.md "Safety". Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_GUARD_H
#define SIMCAST_DAEMON_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "daemon/fanout.h"
#include "proto/command.h"
#include "safety/gate.h"
#include "shm/ring.h"

/* Embed it; the fields belong to guard.c. */
struct guard {
    struct gate gate;
    struct gate_config config;
    struct bus *bus;
    struct fanout *fanout;
    bool stop_pending;
    bool hold_pending;
    bool gated; /* what was announced last */
    enum gate_mode gated_mode;
    bool announced;             /* ever */
    bool announcement_pending;  /* the bus has not heard it yet */
    unsigned repeats;           /* how often the state is still to be repeated */
    int64_t repeat_ns;          /* when next */
    struct ring_producer *ring; /* NULL: none */
    int64_t ring_ns;            /* when it was last told */
    uint64_t ring_count;
};

void guard_init(struct guard *guard, const struct gate_config *config, struct bus *bus,
                struct fanout *fanout, int64_t now_ns);

/* From now on `ring`, of kind RING_KIND_GATE, is told of each change and ten times a second. */
void guard_tell_ring(struct guard *guard, struct ring_producer *ring, int64_t now_ns);

/* gate_step, and its actions carried out. Call it with GATE_EVENT_TICK every 50 ms. */
struct gate_actions guard_step(struct guard *guard, const struct gate_event *event, int64_t now_ns);

/* The same for a command of `client`; NULL: it came by the bus. What is not the gate's passes. */
struct gate_actions guard_command(struct guard *guard, const struct client *client,
                                  const struct command *command, int64_t now_ns);

/*
 * Tells a client that just came what was announced last, if that is that the video is away, and the
 * epoch.
 */
void guard_tell(const struct guard *guard, struct client *client, int64_t now_ns);

/*
 * The bus was away and is back. What it accepted just before may be lost, so an ESTOP and the state
 * of the video are published again: at once, and each second for 3 s, because the others may come
 * back later than we do.
 */
void guard_bus_back(struct guard *guard, int64_t now_ns);

/* Tells the robot to stop, or if the bus is away just now, as soon as it is back. */
void guard_repeat_stop(struct guard *guard);

/* Publishes the zero velocity. Errors: as bus_publish. */
int guard_publish_hold(struct guard *guard);

#endif
