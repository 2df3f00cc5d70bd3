/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fork(2) copies descriptors. A child that kept a ring's sockets would hide the death of its
 * parent from everybody, for the hang-up comes only when the last copy is closed. So every socket
 * of a ring is registered here, and a child closes them right after the fork. (Programs that
 * exec need no help: all descriptors are close-on-exec.)
 *
 * Internal to shm/. Thread: any.
 */
#ifndef SIMCAST_SHM_FORK_GUARD_H
#define SIMCAST_SHM_FORK_GUARD_H

#include <stdint.h>

/*
 * No fork happens between the two. Open a descriptor and add it in between, so that no child is
 * born that has it and does not know; and call nothing there that may wait.
 */
void fork_guard_hold(void);
void fork_guard_let_go(void);

/* While held. Ignores -1. Beyond 256 registered descriptors more are not guarded. */
void fork_guard_add(int fd);

/* Closes a descriptor that was added. Not while held. */
void fork_guard_close(int fd);

/* Grows by one in each child. Differs from the remembered value: we are in a child. */
uint32_t fork_guard_generation(void);

#endif
