/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producer: owns the frame memory and decides which slot is written next. Runs on the
 * caller's one writing thread; the door (shm/door.c) has the only other one. Nothing here waits
 * for a consumer, and nothing that a consumer does can make a call fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "shm/cuda_memory.h"
#include "shm/cuda_pin.h"
#include "shm/door.h"
#include "shm/fork_guard.h"
#include "shm/handoff.h"
#include "shm/huge_map.h"
#include "shm/layout.h"
#include "shm/ring.h"

#define LEASES_DEFAULT 8
#define SPARE_SLOTS 2 /* the newest, and one to write while every lease is out */

#define RESERVE_BYTES (64 * 1024)

struct ring_producer {
    struct door *door;
    struct seats *seats; /* the door's */
    uint32_t fork_generation;
    struct ring_header *header; /* the whole mapping */
    size_t mapping_bytes;
    int frames_fd;
    char *payloads; /* slot k's is at k * payload_stride; a GPU's address on a cuda ring */
    size_t payload_stride;
    struct cuda_memory device;
    struct cuda_pin pin;
    uint64_t seq;    /* of the newest published frame */
    uint32_t newest; /* its slot; meaningless while seq is 0 */
    bool loan_out;
    uint64_t pinned_hint;              /* what the last scan saw */
    uint64_t slot_seq[RING_SLOTS_MAX]; /* 0: empty */
};

static struct ring_slot *slot_at(const struct ring_producer *producer, uint32_t slot)
{
    char *base = (char *)producer->header + RING_PAGE_BYTES;

    return (struct ring_slot *)(base + slot * producer->header->slot_bytes);
}

/* ---- loan, publish, abandon ---------------------------------------------------------------- */

/* The oldest slot that is neither the newest frame nor in `excluded`; -1: none. */
static int oldest_slot(const struct ring_producer *producer, uint64_t excluded)
{
    int found = -1;

    for (uint32_t i = 0; i < producer->header->slot_count; i++) {
        if ((producer->seq > 0 && i == producer->newest) || (excluded >> i & 1))
            continue;
        if (found < 0 || producer->slot_seq[i] < producer->slot_seq[found])
            found = (int)i;
    }
    return found;
}

/*
 * Marks the slot as being written, then looks whether somebody pinned it before the mark. The
 * consumer does the reverse: pins, then looks at the mark. Both pairs are seq_cst, so at least
 * one side sees the other; docs/ring.md has the argument.
 */
static bool claim(struct ring_producer *producer, uint32_t slot)
{
    struct ring_slot *memory = slot_at(producer, slot);
    uint64_t before = ring_generation_of(producer->slot_seq[slot]);

    atomic_store_explicit(&memory->generation, before | 1, memory_order_seq_cst);
    producer->pinned_hint = seats_pinned(producer->seats);
    if (!(producer->pinned_hint >> slot & 1))
        return true;
    atomic_store_explicit(&memory->generation, before, memory_order_seq_cst);
    return false;
}

int ring_loan(struct ring_producer *producer, struct ring_loan *ret_loan)
{
    bool hint_is_old = true;

    if (producer->loan_out)
        return -EBUSY;
    if (producer->fork_generation != fork_guard_generation())
        return -ESTALE;
    for (;;) {
        int slot = oldest_slot(producer, producer->pinned_hint);
        if (slot < 0) {
            if (!hint_is_old)
                return -EBUSY;
            producer->pinned_hint = seats_pinned(producer->seats);
            hint_is_old = false;
            continue;
        }
        if (!claim(producer, (uint32_t)slot))
            continue;
        struct ring_slot *memory = slot_at(producer, (uint32_t)slot);
        producer->loan_out = true;
        *ret_loan = (struct ring_loan){
            .payload = producer->payloads + (size_t)slot * producer->payload_stride,
            .payload_bytes_max = producer->header->payload_bytes_max,
            .user = memory->user,
            .slot = (uint32_t)slot,
            .memory = producer->header->memory,
        };
        return 0;
    }
}

void ring_abandon(struct ring_producer *producer, const struct ring_loan *loan)
{
    if (producer->fork_generation != fork_guard_generation())
        return; /* the loan is the parent's */
    producer->slot_seq[loan->slot] = 0;
    atomic_store_explicit(&slot_at(producer, loan->slot)->generation, 0, memory_order_release);
    producer->loan_out = false;
}

int64_t ring_publish(struct ring_producer *producer, const struct ring_loan *loan,
                     const struct ring_frame *frame)
{
    struct ring_header *header = producer->header;
    struct ring_slot *memory = slot_at(producer, loan->slot);
    uint64_t seq = producer->seq + 1;
    enum ring_stage stage =
        header->kind == RING_KIND_PACKETS ? RING_STAGE_PACKET_PUBLISHED : RING_STAGE_PUBLISHED;

    if (producer->fork_generation != fork_guard_generation())
        return -ESTALE;
    if (frame->payload_bytes > header->payload_bytes_max || frame->user_bytes > RING_USER_BYTES) {
        ring_abandon(producer, loan);
        return -EMSGSIZE;
    }
    uint64_t entry = ring_entry_make(seq, frame->flags & RING_FRAME_KEYFRAME, loan->slot);
    memory->frame = *frame;
    memory->frame.seq = seq;
    memory->frame.stamp_ns[stage] = clock_now_ns();
    /* Pairs with the load after the pin in the consumer: the slot's contents are complete. */
    atomic_store_explicit(&memory->generation, ring_generation_of(seq), memory_order_release);
    atomic_store_explicit(&header->index[seq % RING_INDEX_ENTRIES], entry, memory_order_release);
    /* seq_cst: ordered before seats_wake's look at `waiting`, see arm() in the consumer. */
    atomic_store_explicit(&header->newest, entry, memory_order_seq_cst);
    producer->slot_seq[loan->slot] = seq;
    producer->seq = seq;
    producer->newest = loan->slot;
    producer->loan_out = false;
    PROBE5(ring_publish, header->stream, header->kind, seq, frame->frame_id, frame->payload_bytes);
    seats_wake(producer->seats);
    return (int64_t)seq;
}

void ring_producer_demand(struct ring_producer *producer, struct ring_demand *ret_demand)
{
    door_demand(producer->door, ret_demand);
}

int ring_producer_demand_fd(const struct ring_producer *producer)
{
    return door_demand_fd(producer->door);
}

const char *ring_producer_pin_reason(const struct ring_producer *producer)
{
    return producer->pin.reason;
}

const char *ring_cuda_reason(void)
{
    return cuda_driver_reason();
}

/* ---- open and close ------------------------------------------------------------------------ */

struct geometry {
    unsigned slot_count;
    size_t slot_bytes;
    size_t mapping_bytes;
    size_t device_slot_bytes; /* 0: payloads lie in the slots */
    unsigned leases_max;
};

static int plan(const struct ring_producer_config *config, struct geometry *ret_geometry)
{
    unsigned leases_max = config->leases_max ? config->leases_max : LEASES_DEFAULT;

    if ((unsigned)config->memory > RING_MEMORY_CUDA ||
        (config->memory == RING_MEMORY_CUDA && config->pin_for_cuda) || config->lease_ns_max < 0 ||
        leases_max > RING_LEASES_MAX || config->history > RING_SLOTS_MAX ||
        leases_max + SPARE_SLOTS + config->history > RING_SLOTS_MAX ||
        config->payload_bytes_max == 0 || config->payload_bytes_max > SIZE_MAX / 4 / RING_SLOTS_MAX)
        return -EINVAL;
    size_t room = (config->payload_bytes_max + RING_PAGE_BYTES - 1) / RING_PAGE_BYTES;
    room *= RING_PAGE_BYTES;
    struct geometry geometry = {
        .slot_count = leases_max + SPARE_SLOTS + config->history,
        .slot_bytes = RING_PAYLOAD_OFFSET,
        .leases_max = leases_max,
    };
    if (config->memory == RING_MEMORY_CUDA)
        geometry.device_slot_bytes = room;
    else
        geometry.slot_bytes += room;
    geometry.mapping_bytes = RING_PAGE_BYTES + geometry.slot_count * geometry.slot_bytes;
    *ret_geometry = geometry;
    return 0;
}

/* In pieces: fallocate undoes its work and gives up when a signal comes, as profilers send. */
static int reserve(int fd, size_t bytes)
{
    size_t done = 0;

    if (ftruncate(fd, (off_t)bytes) < 0)
        return -errno;
    while (done < bytes) {
        size_t piece = bytes - done < RESERVE_BYTES ? bytes - done : RESERVE_BYTES;
        if (fallocate(fd, 0, (off_t)done, (off_t)piece) == 0)
            done += piece;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/*
 * Reserves all memory now: a lack of it is an error here and never a SIGBUS later. After the
 * seals nobody can resize it, and nobody but this mapping can write to it.
 */
static int create_memory(struct ring_producer *producer, size_t mapping_bytes)
{
    producer->frames_fd = memfd_create("simcast-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (producer->frames_fd < 0)
        return -errno;
    int error = reserve(producer->frames_fd, mapping_bytes);
    if (error < 0)
        return error == -ENOMEM ? -ENOSPC : error;
    void *memory;
    error = huge_map(producer->frames_fd, mapping_bytes, PROT_READ | PROT_WRITE, &memory);
    if (error < 0)
        return error;
    producer->header = memory;
    producer->mapping_bytes = mapping_bytes;
    huge_map_collapse(memory, mapping_bytes);
    if (fcntl(producer->frames_fd, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
        return -errno;
    return 0;
}

static int create_payloads(struct ring_producer *producer,
                           const struct ring_producer_config *config,
                           const struct geometry *geometry)
{
    if (config->memory == RING_MEMORY_CUDA) {
        int error = cuda_memory_create(config->cuda_device,
                                       geometry->slot_count * geometry->device_slot_bytes,
                                       &producer->device);
        if (error < 0)
            return error;
        producer->payloads = (char *)(uintptr_t)producer->device.address;
        producer->payload_stride = geometry->device_slot_bytes;
        return 0;
    }
    producer->payloads = (char *)producer->header + RING_PAGE_BYTES + RING_PAYLOAD_OFFSET;
    producer->payload_stride = geometry->slot_bytes;
    if (config->pin_for_cuda && !cuda_pin_init(&producer->pin, config->cuda_device,
                                               producer->header, producer->mapping_bytes, false))
        log_warning("the frames of '%s' are not pinned, copies from the GPU are slower: %s",
                    config->stream, producer->pin.reason);
    return 0;
}

static void fill_header(const struct ring_producer *producer,
                        const struct ring_producer_config *config, const struct geometry *geometry)
{
    struct ring_header *header = producer->header;

    assert(header); /* of create_memory */
    header->version = RING_LAYOUT_VERSION;
    header->kind = config->kind;
    header->slot_count = geometry->slot_count;
    header->memory = config->memory;
    header->device_slot_bytes = geometry->device_slot_bytes;
    memcpy(header->device_uuid, producer->device.device.uuid.bytes, sizeof(header->device_uuid));
    header->slot_bytes = geometry->slot_bytes;
    header->payload_bytes_max = config->payload_bytes_max;
    header->epoch = (uint64_t)clock_wall_ns();
    memcpy(header->stream, config->stream, strlen(config->stream) + 1);
    header->magic = RING_MAGIC;
}

int ring_producer_open(const struct ring_producer_config *config,
                       struct ring_producer **ret_producer)
{
    struct door_config door_config = {.lease_ns_max = config->lease_ns_max};
    struct geometry geometry = {0};
    int error = handoff_address(config->dir, config->stream, config->kind, &door_config.address);

    if (error == 0)
        error = plan(config, &geometry);
    if (error < 0)
        return error;
    struct ring_producer *producer = calloc(1, sizeof(*producer));
    if (!producer)
        return -ENOMEM;
    producer->frames_fd = -1;
    producer->fork_generation = fork_guard_generation();
    error = create_memory(producer, geometry.mapping_bytes);
    if (error == 0)
        error = create_payloads(producer, config, &geometry);
    if (error == 0) {
        fill_header(producer, config, &geometry);
        door_config.header = producer->header;
        door_config.frames_fd = producer->frames_fd;
        door_config.device_fd = config->memory == RING_MEMORY_CUDA ? producer->device.fd : -1;
        door_config.leases_max = geometry.leases_max;
        error = door_open(&door_config, &producer->door);
    }
    if (error < 0) {
        ring_producer_close(producer);
        return error;
    }
    producer->seats = door_seats(producer->door);
    *ret_producer = producer;
    return 0;
}

void ring_producer_close(struct ring_producer *producer)
{
    if (!producer)
        return;
    door_close(producer->door);
    cuda_pin_fini(&producer->pin);
    cuda_memory_fini(&producer->device);
    if (producer->header)
        munmap(producer->header, producer->mapping_bytes);
    if (producer->frames_fd >= 0)
        close(producer->frames_fd);
    free(producer);
}
