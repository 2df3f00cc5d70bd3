/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What simcastd is made of. The rooms that look at several parts (pages, reception, reload) borrow
 * this struct; the parts themselves know nothing of it.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_PARTS_H
#define SIMCAST_DAEMON_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "daemon/access.h"
#include "daemon/auth.h"
#include "daemon/config.h"
#include "daemon/counters.h"
#include "daemon/fanout.h"
#include "daemon/listen.h"
#include "daemon/loop.h"
#include "daemon/metrics.h"
#include "daemon/pages.h"
#include "daemon/relay.h"
#include "daemon/source.h"
#include "daemon/streams.h"
#include "daemon/web_files.h"
#include "daemon/ws.h"

#define PARTS_PATTERNS_MAX 7

/* The telemetry that clients get: telemetry.subjects, cut apart. */
struct shown {
    char text[CONFIG_TEXT_BYTES];
    const char *patterns[PARTS_PATTERNS_MAX + 1]; /* into `text`; NULL-terminated */
};

/* In the order of their creation, each part needing only those before it. */
struct parts {
    const struct config *config;
    struct counters counters;
    struct metrics metrics;
    struct auth *auth; /* NULL: no tokens */
    struct access access;
    struct listeners listeners;
    struct source *source;
    struct shown shown;
    struct bus *bus;
    struct fanout *fanout;
    struct ring_producer *gate_ring; /* NULL: it could not be opened */
    struct relay *relay;
    struct web_files *files; /* NULL: no viewer is installed */
    struct loop *loop;
    struct ws *ws;
    struct streams *streams;
    struct pages pages;

    int64_t started_ns;
    bool stopping; /* nobody is let in any more */
};

/*
 * Opens all of them; says what went wrong. Errors: -EINVAL a setting names something that is not
 * there; anything else. Call parts_close in either case.
 */
int parts_open(struct parts *parts, const struct config *config, int64_t now_ns);

void parts_close(struct parts *parts);

/* Certificate and key as the settings name them. */
struct ws_tls parts_tls(const struct parts *parts);

#endif
