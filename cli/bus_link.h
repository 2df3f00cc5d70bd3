/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the actions of `simcast bus` share: their common options, the connection, and waiting for a
 * message, a signal or a moment.
 *
 * Thread: one. SIGINT and SIGTERM are blocked from bus_link_open on and taken by bus_link_next.
 */
#ifndef SIMCAST_CLI_BUS_LINK_H
#define SIMCAST_CLI_BUS_LINK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"
#include "bus/bus.h"

struct bus_link_options {
    const char *ipc_dir;
    const char *url;    /* NULL: the local bus in ipc_dir */
    uint32_t timeout_s; /* for the first connection */
};

/* Defaults, and the two groups of rows: --ipc-dir, --bus and --timeout; --bus-login and others. */
struct bus_link_options bus_link_defaults(void);
extern const struct option_row bus_link_rows[];
#define BUS_LINK_ROWS 3
#define BUS_LINK_GROUPS(options) {bus_link_rows, BUS_LINK_ROWS, (options)}, BUS_ACCESS_GROUP

struct bus_link {
    struct bus *bus;
    int signal_fd;
    char shown_url[PATH_MAX + 8];
};

/*
 * Opens the bus and waits until it is connected. `patterns` is NULL-terminated, of at most
 * BUS_SUBSCRIPTIONS_MAX; NULL: none. Returns 0, or an exit code after saying why; a signal while it
 * waits is 1. On 0 the caller ends it with bus_link_close.
 */
int bus_link_open(const struct bus_link_options *options, const char *const *patterns,
                  struct bus_link *ret_link);
void bus_link_close(struct bus_link *link);

enum bus_link_event { BUS_LINK_MESSAGE, BUS_LINK_DUE, BUS_LINK_QUIT };

/* Waits until due_ns (CLOCK_MONOTONIC; INT64_MAX: for ever). The message is valid until the next.
 */
enum bus_link_event bus_link_next(struct bus_link *link, int64_t due_ns,
                                  struct bus_message *ret_message);

/* Publishes and waits until the bus has sent it or dropped it. Errors: as bus_publish, -EPIPE. */
int bus_link_publish(struct bus_link *link, const struct bus_message *message);

#endif
