/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that a benchmark ran on, and how much of it others used meanwhile.
 *
 * Thread: any. Cost: reads a few files in /proc.
 */
#ifndef SIMCAST_BENCH_MACHINE_H
#define SIMCAST_BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_TEXT_BYTES 96

struct machine {
    char cpu[MACHINE_TEXT_BYTES]; /* the processor's own name, or the architecture's */
    char kernel[MACHINE_TEXT_BYTES];
    char architecture[MACHINE_TEXT_BYTES];
    char tcp_congestion_control[MACHINE_TEXT_BYTES];
    unsigned cores; /* that we may run on */
    uint64_t memory_bytes;
};

/* What cannot be found out is "unknown" or 0. */
void machine_describe(struct machine *ret_machine);

/* A moment to count processor time from. Nanoseconds, summed over all cores. */
struct machine_load {
    int64_t at_ns;
    int64_t all_ns;   /* processor time of everybody, time stolen by the hypervisor included */
    int64_t bench_ns; /* of this, ours: this process and its children that ended */
    bool known;       /* false: the kernel does not say */
};

void machine_load_now(struct machine_load *ret_load);

/*
 * What everybody but us used since `then`, in percent of one core; 0 when the kernel does not
 * say. Children count as ours once they were waited for.
 */
double machine_load_others_percent(const struct machine_load *then);

#endif
