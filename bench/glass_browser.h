/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A viewer page in Debian's Chromium, without a screen, that tells of each picture when it was
 * received, decoded and drawn, on this machine's CLOCK_MONOTONIC as simcastd's clock messages give
 * it (off by at most half a round trip, some 0.1 ms here). Drawn means: at the callback before the
 * display refreshes, 60 times a second.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_GLASS_BROWSER_H
#define SIMCAST_BENCH_GLASS_BROWSER_H

#include <stddef.h>
#include <stdint.h>

#include "bench/peer.h"

#define GLASS_BROWSER_LINES_BYTES 4096

struct glass_browser {
    struct peer program;
    int lines; /* for poll; -1: there is no browser */
    int stay;  /* the browser leaves when this closes */
    char bytes[GLASS_BROWSER_LINES_BYTES];
    size_t filled;
};

struct glass_drawn {
    uint64_t frame_seq;
    int64_t received_ns;
    int64_t decoded_ns;
    int64_t drawn_ns;
};

/* What is missing and how to get it; NULL: nothing. */
const char *glass_browser_missing(void);

/* The page of the simcastd at that port. Errors: -EMFILE; those of peer_start. */
int glass_browser_open(struct glass_browser *browser, uint16_t port);

/* Also after an open that failed, and when it was only ever {.lines = -1, .stay = -1}. */
void glass_browser_close(struct glass_browser *browser);

/* Never waits. Errors: -EAGAIN none was drawn since; -EPIPE the browser ended; -EPROTO. */
int glass_browser_next(struct glass_browser *browser, struct glass_drawn *ret_drawn);

#endif
