/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the actions of `simcast bus` read their command lines: each has a help and rows of its own,
 * and all have the options that say which bus, and how to log in there.
 *
 * Thread: one, before others start.
 */
#ifndef SIMCAST_CLI_BUS_OPTIONS_H
#define SIMCAST_CLI_BUS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"
#include "bus/bus.h"

/* Which bus: --bus, --ipc-dir, --timeout. */
struct bus_options {
    const char *ipc_dir;
    const char *url;    /* NULL: the local bus in ipc_dir */
    uint32_t timeout_s; /* for the first connection; 0: for ever */
};

/* Subjects to hear, as bus_link_open takes them. */
struct bus_patterns {
    const char *words[BUS_SUBSCRIPTIONS_MAX + 1]; /* NULL-terminated */
    unsigned count;
};

struct bus_action {
    const char *name;        /* "simcast bus show" */
    const char *before;      /* as in struct option_program */
    const char *after;       /* likewise */
    struct option_group own; /* what only this action has; no rows: only operands */
    /* Stores an operand in own.into; NULL: operands go to `patterns`, or none are taken. */
    bool (*operand)(void *into, const char *word);
    struct bus_patterns *patterns; /* NULL: none are taken */
    struct bus_options *options;
};

struct bus_options bus_options_defaults(void);

/*
 * Reads all of it. Patterns of which none is given become all telemetry and commands. Anything but
 * OPTION_GO ends the program, by 0 when OPTION_DONE, else by EX_CONFIG: what is wrong was said.
 */
enum option_result bus_options_read(const struct bus_action *action, int argc, char **argv);

#endif
