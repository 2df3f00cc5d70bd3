/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second, simpler gate to judge safety/gate.c by: it remembers plain facts and derives each
 * answer from the words of docs/safety.md. It shares no code with the gate and has none of its
 * structure; a mistake has to be made twice to go unnoticed.
 *
 * Thread: the owner's. Cost: no I/O, no clock, no allocation.
 */
#ifndef SIMCAST_TESTS_PROVE_GATE_MODEL_H
#define SIMCAST_TESTS_PROVE_GATE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "safety/gate.h"

/* Which gate. */
struct gate_kind {
    bool video;  /* layer 2; else layer 3 */
    bool strict; /* with a deadman of 300 ms, and at layer 2 with a lease */
};

struct model {
    struct gate_kind kind;
    bool stopped;
    bool watched;
    bool frame_since_watched;
    bool started;
    bool gated;
    bool told_to_hold;
    bool has_seq;
    uint64_t seq;
    uint64_t epoch;
    uint64_t holder;
    bool bus_away;
    int64_t held; /* the deadman: when last, -1 released */
    int64_t now;
    int64_t watched_since;
    int64_t frame;    /* newest ever, -1 none */
    int64_t codec;    /* newest change, -1 none */
    int64_t velocity; /* -1: timers rest */
};

/* With the limits of docs/safety.md. */
void model_init(struct model *m, struct gate_kind kind, int64_t now);

/* Lets time pass and applies the event; returns whether the event's command passes. */
bool model_step(struct model *m, const struct gate_event *event, int64_t at);

/* Whether motion may pass now. `stopped` tells ESTOP from HOLD. */
bool model_open(const struct model *m);

#endif
