/* SPDX-License-Identifier: Apache-2.0 */
/* The table of `simcast bus`'s actions. */
#include "cli/bus_command.h"

#include <stdio.h>
#include <string.h>

#include <sysexits.h>

#include "base/log.h"

static const struct action {
    const char *name;
    int (*run)(int argc, char **argv);
} actions[] = {
    {"show", bus_show_main},     {"sub", bus_sub_main},     {"pub", bus_pub_main},
    {"replay", bus_replay_main}, {"setup", bus_setup_main},
};

static const char help[] =
    "Usage: simcast bus [ACTION] [OPTION]...\n"
    "Looks at the bus that carries commands and telemetry, and talks on it.\n"
    "\n"
    "  show [PATTERN]...    subjects, their rates and last values, live; this is what\n"
    "                       simcast bus alone does\n"
    "  sub [PATTERN]...     each message as it comes; --record keeps them in a file\n"
    "  pub SUBJECT PAYLOAD  publishes one message\n"
    "  replay FILE          publishes a recording again, with its timing\n"
    "  setup                prepares a NATS server's JetStream to keep what travels\n"
    "\n"
    "A PATTERN is a subject in which * stands for one word and > at the end for all that follow.\n"
    "  simcast bus ACTION --help   what an action can do\n";

int bus_command_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    log_init("simcast", LOG_LEVEL_WARNING); /* that the bus connects is no news to a person */
    if (argc == 1)
        return bus_show_main(argc, argv);
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(name, actions[i].name) == 0)
            return actions[i].run(argc - 1, argv + 1);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        fputs(help, stdout);
        return 0;
    }
    log_error("bus: there is no action '%.80s'; simcast bus --help names them", name);
    return EX_CONFIG;
}
