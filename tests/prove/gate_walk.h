/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random walks of the gate beside its model (gate_model.h), with an injected clock. After every
 * event both must agree, and what docs/safety.md guarantees must hold. Needs the gate, the model
 * and nothing else, so that mutants of the gate can be built with it quickly.
 *
 * Thread: the caller's. Cost: some tens of nanoseconds per event.
 */
#ifndef SIMCAST_TESTS_PROVE_GATE_WALK_H
#define SIMCAST_TESTS_PROVE_GATE_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "safety/gate.h"
#include "tests/prove/gate_model.h"

/* What happened; a walk that never opens or never closes the gate proves nothing. */
struct gate_walk_tally {
    uint64_t events;
    uint64_t passed; /* motion */
    uint64_t refused;
    uint64_t holds;
    uint64_t estops; /* the gate's own */
    uint64_t cleared;
    uint64_t epochs; /* that ended */
};

/*
 * Walks `events` events from a fresh gate of that kind and adds to `tally`. Returns NULL, or what
 * the gate did wrong at event number tally->events, where the walk ended.
 */
const char *gate_walk(struct gate_kind kind, uint64_t seed, uint64_t events,
                      struct gate_walk_tally *tally);

#endif
