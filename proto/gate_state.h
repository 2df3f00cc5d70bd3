/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the transport gate decided, 40 bytes: the payload of the gate ring <stream>.gate, written
 * by simcastd, read by simcast-hal. It needs no bus, so a stop arrives when the bus is gone.
 *
 * simcastd repeats it GATE_STATE_NS_MAX / 5 at the latest, so a reader that sees only an older
 * one knows that its writer hangs.
 *
 * Fixed-width and naturally aligned, so it is shared as it is (little-endian hosts).
 */
#ifndef SIMCAST_PROTO_GATE_STATE_H
#define SIMCAST_PROTO_GATE_STATE_H

#include <assert.h>
#include <stdint.h>

#define GATE_STATE_MAGIC 0x31534147 /* "GAS1" */
#define GATE_STATE_NS_MAX INT64_C(500000000)

struct gate_state {
    uint32_t magic;    /* GATE_STATE_MAGIC */
    uint32_t mode;     /* enum gate_mode */
    uint32_t reason;   /* enum gate_reason */
    uint32_t reserved; /* 0 */
    int64_t since_ns;  /* CLOCK_MONOTONIC: when mode or reason last changed */
    int64_t told_ns;   /* CLOCK_MONOTONIC: when this was written */
    uint64_t count;    /* of what was written */
};

static_assert(sizeof(struct gate_state) == 40, "gate_state is shared memory");

#endif
