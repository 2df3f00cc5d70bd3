/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door thread owns the seats; the writing thread follows their pointers between enter() and
 * leave(). Neither side can fail here but in seat_create.
 *
 * Waking: a write to a pipe with a sleeper behind it costs the writer several microseconds.
 * Writing to each of 16 sleepers was measured against handing all of them to the door thread
 * (one write) and against a chain in which each consumer wakes the next; docs/ring.md has the
 * figures.
 */
#include "shm/seats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sched.h>

/*
 * enter() and seats_take() are a handshake on two variables in opposite order, so both need one
 * total order (seq_cst): either the writer sees the empty seat, or the door thread sees the
 * writer inside and waits for leave().
 */
static void enter(struct seats *seats)
{
    atomic_store_explicit(&seats->writer_inside, 1, memory_order_seq_cst);
}

static void leave(struct seats *seats)
{
    /* Pairs with the load in seats_take: our looks happen before the seat is destroyed. */
    atomic_store_explicit(&seats->writer_inside, 0, memory_order_release);
}

static struct seat *seat_at(struct seats *seats, unsigned i)
{
    return atomic_load_explicit(&seats->taken[i], memory_order_seq_cst);
}

/*
 * seq_cst like the seats: a writer that saw an old limit after its odd mark, or after `newest`,
 * would miss a consumer that attached and pinned, or slept, meanwhile. An acquire load may be
 * satisfied before the store that stands above it.
 */
static unsigned limit_of(struct seats *seats)
{
    return atomic_load_explicit(&seats->limit, memory_order_seq_cst);
}

uint64_t seats_pinned(struct seats *seats)
{
    uint64_t pinned = 0;

    enter(seats);
    unsigned limit = limit_of(seats);
    for (unsigned i = 0; i < limit; i++) {
        struct seat *seat = seat_at(seats, i);
        for (unsigned k = 0; seat && k < seat->lease_count; k++) {
            /* Pairs with the pin and with the release in the consumer. */
            int slot = ring_lease_slot(
                atomic_load_explicit(&seat->leases->words[k], memory_order_seq_cst));
            if (slot >= 0 && slot < (int)seats->slot_count)
                pinned |= UINT64_C(1) << slot;
        }
    }
    leave(seats);
    return pinned;
}

static bool sleeps(const struct seat *seat)
{
    return atomic_load_explicit(&seat->leases->waiting, memory_order_seq_cst) != 0;
}

static void wake(const struct seat *seat)
{
    atomic_store_explicit(&seat->leases->waiting, 0, memory_order_seq_cst);
    /* A full pipe is readable, too. */
    ssize_t wrote = write(seat->wake_fd, "", 1);
    (void)wrote;
}

void seats_wake(struct seats *seats)
{
    struct seat *sleeper = NULL;
    unsigned sleepers = 0;

    enter(seats);
    unsigned limit = limit_of(seats);
    for (unsigned i = 0; i < limit && sleepers < 2; i++) {
        struct seat *seat = seat_at(seats, i);
        if (seat && sleeps(seat)) {
            sleeper = seat;
            sleepers++;
        }
    }
    if (sleepers == 1)
        wake(sleeper);
    leave(seats);
    if (sleepers > 1 && !atomic_exchange_explicit(&seats->crowd_told, 1, memory_order_seq_cst))
        eventfd_write(seats->crowd_fd, 1);
}

void seats_wake_all(struct seats *seats)
{
    /* Before the look: a frame published after it tells us again. */
    atomic_store_explicit(&seats->crowd_told, 0, memory_order_seq_cst);
    for (unsigned i = 0; i < RING_LEASES_MAX; i++) {
        struct seat *seat = seat_at(seats, i);
        if (seat && sleeps(seat))
            wake(seat);
    }
}

int seats_put(struct seats *seats, struct seat *seat)
{
    for (unsigned i = 0; i < RING_LEASES_MAX; i++) {
        if (seat_at(seats, i))
            continue;
        /* Pairs with seat_at: the seat is complete. */
        atomic_store_explicit(&seats->taken[i], seat, memory_order_seq_cst);
        if (atomic_load_explicit(&seats->limit, memory_order_relaxed) <= i)
            atomic_store_explicit(&seats->limit, i + 1, memory_order_seq_cst);
        return 0;
    }
    return -EBUSY;
}

void seats_take(struct seats *seats, struct seat *seat)
{
    for (unsigned i = 0; i < RING_LEASES_MAX; i++) {
        if (seat_at(seats, i) == seat)
            atomic_store_explicit(&seats->taken[i], NULL, memory_order_seq_cst);
    }
    while (atomic_load_explicit(&seats->writer_inside, memory_order_seq_cst))
        sched_yield();
}

unsigned seats_revoke(struct seats *seats, struct seat *seat, int64_t age_ns_max, int64_t now_ns)
{
    unsigned revoked = 0;

    for (unsigned k = 0; k < seat->lease_count; k++) {
        _Atomic uint64_t *place = &seat->leases->words[k];
        uint64_t word = atomic_load_explicit(place, memory_order_relaxed);
        int slot = ring_lease_slot(word);
        if (word != seat->seen_words[k] || slot < 0 || slot >= (int)seats->slot_count) {
            seat->seen_words[k] = word;
            seat->seen_ns[k] = now_ns;
            continue;
        }
        uint64_t without =
            (word >> RING_LEASE_PINS_SHIFT) << RING_LEASE_PINS_SHIFT | RING_LEASE_REVOKED;
        if (now_ns - seat->seen_ns[k] > age_ns_max &&
            atomic_compare_exchange_strong_explicit(place, &word, without, memory_order_seq_cst,
                                                    memory_order_relaxed))
            revoked++;
    }
    seat->revoked += revoked;
    return revoked;
}

unsigned seat_pins(const struct seat *seat, unsigned slot_count)
{
    unsigned pins = 0;

    for (unsigned k = 0; k < seat->lease_count; k++) {
        int slot =
            ring_lease_slot(atomic_load_explicit(&seat->leases->words[k], memory_order_relaxed));
        pins += slot >= 0 && slot < (int)slot_count;
    }
    return pins;
}

/* A page that nobody can shrink under us. Its descriptor goes to *ret_fd, the caller's. */
static int lease_page_create(struct ring_leases **ret_leases, int *ret_fd)
{
    int fd = memfd_create("simcast-leases", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *page = MAP_FAILED;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, RING_PAGE_BYTES) == 0 && fallocate(fd, 0, 0, RING_PAGE_BYTES) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        page =
            mmap(NULL, RING_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (page == MAP_FAILED) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_leases = page;
    *ret_fd = fd;
    return 0;
}

static int wake_pipe_create(struct seat *seat)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    fcntl(fds[1], F_SETPIPE_SZ, 1); /* a page; the default is of no harm but to the user's limit */
    seat->wake_read_fd = fds[0];
    seat->wake_fd = fds[1];
    return 0;
}

int seat_create(unsigned lease_count, struct seat **ret_seat, int *ret_lease_fd)
{
    struct seat *seat = calloc(1, sizeof(*seat));

    if (!seat)
        return -ENOMEM;
    seat->lease_count = lease_count;
    seat->wake_fd = -1;
    seat->wake_read_fd = -1;
    int error = wake_pipe_create(seat);
    if (error == 0)
        error = lease_page_create(&seat->leases, ret_lease_fd);
    if (error < 0) {
        seat_destroy(seat);
        return error;
    }
    *ret_seat = seat;
    return 0;
}

void seat_destroy(struct seat *seat)
{
    if (!seat)
        return;
    if (seat->leases)
        munmap(seat->leases, RING_PAGE_BYTES);
    if (seat->wake_fd >= 0)
        close(seat->wake_fd);
    if (seat->wake_read_fd >= 0)
        close(seat->wake_read_fd);
    free(seat);
}
