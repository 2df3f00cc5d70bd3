/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of a measurement: a real process with memory that it shares with us. It ends
 * with us, whatever ends us.
 *
 * Thread: one; start peers before anything that starts threads (a ring's producer, ZeroMQ).
 */
#ifndef SIMCAST_BENCH_PEER_H
#define SIMCAST_BENCH_PEER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
    pid_t pid; /* of a child of ours that was not waited for yet, or 0 */
};

/* Memory that peers started afterwards share with us; zeroed. NULL: none to be had. */
void *peer_share(size_t bytes);

/* Takes NULL. */
void peer_unshare(void *shared, size_t bytes);

/*
 * Forks; the child calls body(context), whose return value is its exit code, and never comes
 * back. Errors: -EAGAIN, -ENOMEM.
 */
int peer_start(struct peer *peer, int (*body)(void *context), void *context);

/*
 * Sends a signal to the peer; after SIGSTOP it waits until the peer has stopped. Errors: -ESRCH
 * there is none; -EPIPE it ended instead of stopping.
 */
int peer_signal(const struct peer *peer, int signal);

/*
 * Waits for the peer's end, for at most timeout_ms, then kills it. Returns 0 when it ended by
 * itself with exit code 0, -ETIMEDOUT when it was killed, -EPIPE for any other end. A peer that
 * was never started or is waited for already gives 0.
 */
int peer_join(struct peer *peer, int timeout_ms);

/*
 * Keeps the calling process on the first (0) or second (1) half of the cores that the benchmark
 * may run on. With one core it changes nothing. Children inherit it until they choose again.
 */
void peer_keep_half(unsigned half);

/* Waits until the counter, which another process raises, is at least that high. Polls. */
bool peer_await(const _Atomic uint32_t *counter, uint32_t at_least, int timeout_ms);

#endif
