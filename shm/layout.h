/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte that two processes share, and nothing else. docs/ring.md draws the same picture.
 *
 * The frame memory (one sealed memfd, read-only for consumers):
 *
 *   page 0                    struct ring_header
 *   page 1 + k * slot_pages   slot k: struct ring_slot in its first page, then the payload
 *
 * With memory RING_MEMORY_CUDA a slot is its first page alone, and the payload of slot k lies at
 * k * device_slot_bytes of one GPU allocation, which is handed over beside the frame memory.
 *
 * The lease page (one sealed memfd per consumer, written by both sides): struct ring_leases.
 */
#ifndef SIMCAST_SHM_LAYOUT_H
#define SIMCAST_SHM_LAYOUT_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/ring.h"

#define RING_MAGIC UINT64_C(0x31474e4952434d53) /* "SMCRING1" */
#define RING_LAYOUT_VERSION 1u
#define RING_PAGE_BYTES 4096u
#define RING_INDEX_ENTRIES 64u /* a power of two, at least RING_SLOTS_MAX */

/*
 * An index entry says where a sequence number lies: seq << 8 | keyframe << 7 | slot. 0: empty.
 * Stored last by the producer (release), after the slot's generation.
 */
#define RING_ENTRY_SEQ_SHIFT 8
#define RING_ENTRY_KEYFRAME 0x80u
#define RING_ENTRY_SLOT_MASK 0x7fu

struct ring_header {
    uint64_t magic;
    uint32_t version;
    uint32_t kind;
    uint32_t slot_count;
    uint32_t memory;     /* enum ring_memory: where payloads lie */
    uint64_t slot_bytes; /* from one slot to the next; a multiple of the page */
    uint64_t payload_bytes_max;
    uint64_t epoch; /* CLOCK_REALTIME ns when the producer opened the ring */
    char stream[RING_STREAM_BYTES];
    uint8_t device_uuid[16];    /* the GPU that payloads lie on; 0 in host memory */
    uint64_t device_slot_bytes; /* there from one payload to the next; 0 in host memory */
    uint8_t pad0[24];
    alignas(64) _Atomic uint64_t newest; /* entry of the newest frame */
    uint8_t pad1[56];
    _Atomic uint64_t index[RING_INDEX_ENTRIES]; /* entry of seq at seq % RING_INDEX_ENTRIES */
};

/*
 * generation: 2 * seq while the slot holds frame seq; odd while the producer owns it; 0 empty.
 * The rest may be read only while the slot is pinned and the generation was 2 * seq after the pin.
 */
struct ring_slot {
    _Atomic uint64_t generation;
    uint8_t pad0[56];
    struct ring_frame frame;
    uint8_t pad1[80];
    uint8_t user[RING_USER_BYTES];
};

#define RING_PAYLOAD_OFFSET RING_PAGE_BYTES /* from the slot's start */

/*
 * A lease word: pins << 8 | slot + 1 while the consumer pins that slot, else 0. `pins` counts the
 * consumer's pins, so that no two pins look the same. The producer may replace the low byte of a
 * word that is too old by RING_LEASE_REVOKED; from then on it ignores the pin.
 */
#define RING_LEASE_PINS_SHIFT 8
#define RING_LEASE_SLOT_MASK 0x7fu
#define RING_LEASE_REVOKED 0x80u

struct ring_leases {
    _Atomic uint32_t waiting; /* 1: write my pipe after the next publish */
    uint8_t pad0[60];
    _Atomic uint64_t words[RING_CONSUMER_LEASES_MAX];
    /* What the consumer says of itself, for `ring_inspect`; nothing depends on it. */
    _Atomic uint64_t seq;     /* last frame acquired */
    _Atomic uint64_t frames;  /* acquired so far */
    _Atomic uint64_t lost;    /* missed so far */
    _Atomic uint64_t spin_ns; /* processor time given to spinning for frames */
};

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
              "atomics in shared memory must be lock-free");
static_assert(sizeof(struct ring_frame) == 112, "layout");
static_assert(offsetof(struct ring_frame, stamp_ns) == 72, "layout");
static_assert(offsetof(struct ring_header, memory) == 20, "layout");
static_assert(offsetof(struct ring_header, device_uuid) == 80, "layout");
static_assert(offsetof(struct ring_header, device_slot_bytes) == 96, "layout");
static_assert(offsetof(struct ring_header, newest) == 128, "layout");
static_assert(offsetof(struct ring_header, index) == 192, "layout");
static_assert(sizeof(struct ring_header) <= RING_PAGE_BYTES, "layout");
static_assert(offsetof(struct ring_slot, frame) == 64, "layout");
static_assert(offsetof(struct ring_slot, user) == 256, "layout");
static_assert(sizeof(struct ring_slot) <= RING_PAYLOAD_OFFSET, "layout");
static_assert(offsetof(struct ring_leases, words) == 64, "layout");
static_assert(offsetof(struct ring_leases, seq) == 128, "layout");
static_assert(sizeof(struct ring_leases) <= RING_PAGE_BYTES, "layout");
static_assert(RING_SLOTS_MAX <= RING_LEASE_SLOT_MASK &&
                  RING_SLOTS_MAX <= RING_ENTRY_SLOT_MASK + 1 &&
                  RING_SLOTS_MAX <= RING_INDEX_ENTRIES,
              "every slot fits an entry, every published slot the index");

static inline uint64_t ring_entry_make(uint64_t seq, bool keyframe, uint32_t slot)
{
    return seq << RING_ENTRY_SEQ_SHIFT | (keyframe ? RING_ENTRY_KEYFRAME : 0) | slot;
}

static inline uint64_t ring_entry_seq(uint64_t entry)
{
    return entry >> RING_ENTRY_SEQ_SHIFT;
}

static inline uint32_t ring_entry_slot(uint64_t entry)
{
    return (uint32_t)(entry & RING_ENTRY_SLOT_MASK);
}

/* The slot that a lease word pins, or -1. Any word is a valid argument. */
static inline int ring_lease_slot(uint64_t word)
{
    return (word & RING_LEASE_REVOKED) ? -1 : (int)(word & RING_LEASE_SLOT_MASK) - 1;
}

static inline uint64_t ring_generation_of(uint64_t seq)
{
    return seq * 2;
}

#endif
