/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sender's loop and the receiver's bookkeeping. The sender is a child process, the receiver
 * the sender's child; what they found lies in shared memory and is read after they have ended.
 */
#include "bench/delivery.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bench/peer.h"

#define READY_MS 5000
#define LAST_PICTURE_MS 1000
#define LAST_SPUN_MS 10 /* a polling receiver may have skipped some, so not all need arrive */
#define RECEIVER_END_MS 2000
#define OVERHEAD_MS 20000  /* of both processes, at most */
#define FEWEST_ARRIVALS 20 /* one of so many */
#define RANDOM_GAP_MAX 5   /* times the average */

/* ---- receiver ------------------------------------------------------------------------------ */

static int64_t own_cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * NS_PER_S + used.tv_nsec;
}

void delivery_ready(struct delivery *delivery)
{
    atomic_store_explicit(&delivery->shared->ready, 1, memory_order_release);
}

void delivery_arrived(struct delivery *delivery, int64_t stamp_ns)
{
    int64_t now_ns = clock_now_ns();
    struct delivery_shared *shared = delivery->shared;
    uint32_t arrivals = atomic_load_explicit(&shared->arrivals, memory_order_relaxed) + 1;

    if (arrivals > delivery->warm_up)
        histogram_record(&shared->latency, now_ns - stamp_ns);
    if (arrivals == delivery->warm_up) {
        shared->receiver_cpu_ns = -own_cpu_ns();
        shared->receiver_wall_ns = -now_ns;
    }
    if (arrivals == delivery->warm_up + delivery->pictures) {
        shared->receiver_cpu_ns += own_cpu_ns();
        shared->receiver_wall_ns += now_ns;
    }
    atomic_store_explicit(&shared->arrivals, arrivals, memory_order_release);
}

bool delivery_over(const struct delivery *delivery)
{
    return atomic_load_explicit(&delivery->shared->over, memory_order_acquire) != 0;
}

static int receive(void *context)
{
    struct delivery *delivery = context;

    peer_keep_half(1);
    int error = delivery->courier->receive(delivery);
    uint32_t arrivals = atomic_load_explicit(&delivery->shared->arrivals, memory_order_relaxed);

    /* Pictures were skipped: the span ends here instead. */
    if (arrivals >= delivery->warm_up && arrivals < delivery->warm_up + delivery->pictures) {
        delivery->shared->receiver_cpu_ns += own_cpu_ns();
        delivery->shared->receiver_wall_ns += clock_now_ns();
    }
    return error < 0;
}

/* ---- sender -------------------------------------------------------------------------------- */

struct schedule {
    const struct delivery *delivery;
    int64_t due_ns;
    uint64_t random;
};

/* Uniform in (0, 1]; xorshift64*. */
static double uniform(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * UINT64_C(0x2545f4914f6cdd1d) >> 11) + 1) * 0x1p-53;
}

static void wait_until_due(struct schedule *schedule)
{
    enum delivery_rhythm rhythm = schedule->delivery->rhythm;
    int64_t gap_ns = schedule->delivery->gap_ns;

    if (rhythm == DELIVERY_RANDOM)
        gap_ns = (int64_t)((double)gap_ns * fmin(-log(uniform(&schedule->random)), RANDOM_GAP_MAX));
    schedule->due_ns += gap_ns;
    if (rhythm == DELIVERY_SPIN) {
        while (clock_now_ns() < schedule->due_ns)
            ;
        return;
    }
    struct timespec due = {schedule->due_ns / NS_PER_S, schedule->due_ns % NS_PER_S};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static int send_pictures(struct delivery *delivery, const void *picture)
{
    struct schedule schedule = {delivery, clock_now_ns(), delivery->seed};

    for (unsigned i = 0; i < delivery->warm_up + delivery->pictures; i++) {
        void *canvas = delivery->courier->canvas(delivery);
        if (canvas)
            memcpy(canvas, picture, delivery->picture_bytes);
        wait_until_due(&schedule);
        int error = canvas ? delivery->courier->send(delivery) : 0;
        if (error < 0)
            return error;
    }
    return 0;
}

static int send_all(struct delivery *delivery)
{
    uint32_t all = delivery->warm_up + delivery->pictures;
    unsigned char *picture = malloc(delivery->picture_bytes);

    if (!picture)
        return -ENOMEM;
    for (size_t i = 0; i < delivery->picture_bytes; i++)
        picture[i] = (unsigned char)(i * 7);
    int error = delivery->courier->open(delivery);
    if (error == 0 && !peer_await(&delivery->shared->ready, 1, READY_MS))
        error = -ETIMEDOUT;
    if (error == 0)
        error = send_pictures(delivery, picture);
    free(picture);
    if (error < 0)
        return error;
    peer_await(&delivery->shared->arrivals, all,
               delivery->rhythm == DELIVERY_SPIN ? LAST_SPUN_MS : LAST_PICTURE_MS);
    uint32_t arrivals = atomic_load_explicit(&delivery->shared->arrivals, memory_order_acquire);
    return arrivals < delivery->warm_up + delivery->pictures / FEWEST_ARRIVALS ? -ETIMEDOUT : 0;
}

/*
 * The sender is a process, too: whatever threads and global state its library leaves behind are
 * gone after the run. It starts the receiver before the library starts threads.
 */
static int send_and_receive(void *context)
{
    struct delivery *delivery = context;
    const struct courier *courier = delivery->courier;
    struct peer receiver = {0};
    int error = courier->prepare ? courier->prepare(delivery) : 0;

    peer_keep_half(0);
    if (error == 0)
        error = peer_start(&receiver, receive, delivery);
    if (error == 0)
        error = send_all(delivery);
    atomic_store_explicit(&delivery->shared->over, 1, memory_order_release);
    courier->close(delivery);
    int end = peer_join(&receiver, RECEIVER_END_MS);
    delivery->shared->error = error < 0 ? error : end;
    return 0;
}

static int run(struct delivery *delivery)
{
    struct peer sender = {0};
    int64_t gaps_ns = (int64_t)(delivery->warm_up + delivery->pictures) * delivery->gap_ns;
    int error = peer_start(&sender, send_and_receive, delivery);

    if (error == 0)
        error = peer_join(&sender, (int)(gaps_ns / NS_PER_MS) * RANDOM_GAP_MAX + OVERHEAD_MS);
    return error < 0 ? error : delivery->shared->error;
}

int delivery_run(struct delivery *delivery, struct delivery_result *ret_result)
{
    struct delivery_shared *shared = peer_share(sizeof(*shared));

    if (!shared)
        return -ENOMEM;
    delivery->state = NULL;
    delivery->shared = shared;
    int error = run(delivery);
    if (error == 0) {
        ret_result->latency = shared->latency;
        ret_result->receiver_core_percent =
            shared->receiver_wall_ns > 0
                ? 100.0 * (double)shared->receiver_cpu_ns / (double)shared->receiver_wall_ns
                : 0;
    }
    peer_unshare(shared, sizeof(*shared));
    delivery->shared = NULL;
    return error;
}
