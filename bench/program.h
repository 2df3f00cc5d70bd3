/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other programs as peers, and what they use of the processor.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_PROGRAM_H
#define SIMCAST_BENCH_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/peer.h"

/* Descriptors for the program's stdin and stdout; -1: /dev/null. stderr is ours. */
struct program_pipes {
    int input;
    int output;
};

/*
 * Starts argv[0], an absolute path; argv ends with NULL. Errors: those of peer_start. A program
 * that cannot be executed ends with exit code 127.
 */
int program_start(struct peer *peer, const char *const argv[], struct program_pipes pipes);

/* Finds a program as a shell does. Returns whether it is there; ret_path is its absolute path. */
bool program_find(const char *name, char *ret_path, size_t path_bytes);

/* Processor time that all threads of a running program used so far; 0: it is gone. */
int64_t program_cpu_ns(const struct peer *peer);

/* Resident memory of a running program, what it shares with others included; 0: it is gone. */
uint64_t program_memory_bytes(const struct peer *peer);

/* The path of a program of this build, from the top ("encoder/simcast-encoder"). */
void program_path(const char *name, char *ret_path, size_t path_bytes);

#endif
