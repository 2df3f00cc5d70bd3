/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a fan-out can be: epoll, one send() per client and picture, nothing else. Takes
 * the same packets from the same kind of ring as simcastd and sends the same bytes; who has not
 * taken a picture yet does not get the next one.
 *
 * Thread: one process of its own.
 */
#ifndef SIMCAST_BENCH_YARDSTICK_SEND_LOOP_H
#define SIMCAST_BENCH_YARDSTICK_SEND_LOOP_H

#include <stdint.h>

struct send_loop_setup {
    const char *dir;
    const char *stream;
    uint16_t port;
};

/* For peer_start, with a struct send_loop_setup. Runs until it is killed; returns 1 on failure. */
int send_loop_run(void *setup);

#endif
