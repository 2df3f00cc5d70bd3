/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the robot walks, seen from outside: looks at its state ring and its action ring, takes no
 * part. The way counts from the first look at which the robot was told to move.
 *
 * Thread: one. Cost: a look is two copies of some hundred bytes.
 */
#ifndef SIMCAST_CLI_WALK_H
#define SIMCAST_CLI_WALK_H

#include <stdbool.h>
#include <stdint.h>

struct walk;

struct walk_result {
    double distance_m; /* as the crow flies, from where the first command reached it */
    uint64_t falls;    /* times that it went from its feet to its side */
    uint64_t actions;  /* that simcast-hal wrote */
};

/* Neither ring need exist yet. Errors: as ring_consumer_open. */
int walk_open(const char *ipc_dir, const char *stream, struct walk **ret_walk);

/* Takes NULL. */
void walk_close(struct walk *walk);

/* Call it some times a second. */
void walk_look(struct walk *walk);

/* What all looks saw. Borrowed; changes with each look. */
const struct walk_result *walk_seen(const struct walk *walk);

#endif
