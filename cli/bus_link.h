/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of an action of `simcast bus`, and waiting for a message, a signal or a moment.
 *
 * Thread: one. SIGINT and SIGTERM are blocked from bus_link_open on and taken by bus_link_next.
 */
#ifndef SIMCAST_CLI_BUS_LINK_H
#define SIMCAST_CLI_BUS_LINK_H

#include <limits.h>
#include <stdint.h>

#include "bus/bus.h"
#include "cli/bus_options.h"

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
int bus_link_open(const struct bus_options *options, const char *const *patterns,
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
