/* SPDX-License-Identifier: Apache-2.0 */
/* simcast: one program, many subcommands. A new one is a row of the table and a file of its own. */
#include <stdio.h>
#include <string.h>

#include <sysexits.h>

#include "base/log.h"
#include "cli/bus_command.h"
#include "cli/demo.h"
#include "cli/doctor.h"
#include "cli/hal_command.h"
#include "cli/ring_command.h"
#include "cli/source.h"
#include "cli/top.h"

static const struct subcommand {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand; returns the exit code */
} subcommands[] = {
    {"bus", "what travels on the bus: show, sub, pub, replay, setup", bus_command_main},
    {"demo", "the whole path on this machine: simulator, encoder, simcastd, bus", demo_main},
    {"doctor", "what is wrong on this machine, and what to do", doctor_main},
    {"hal", "simcast-hal: dump what passes, or any other of its options", hal_command_main},
    {"ring", "the rings of this machine: list, watch, snapshot, bench", ring_command_main},
    {"source", "a test source of pictures, also for the legacy slot", source_main},
    {"top", "how everything does, live: streams, stages, clients, gate, control loops", top_main},
};

#define SUBCOMMAND_COUNT (sizeof(subcommands) / sizeof(subcommands[0]))

static void print_help(void)
{
    puts("Usage: simcast COMMAND [OPTION]...\n"
         "Video and telemetry of a robot simulator, live in the browser.\n");
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        printf("  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
    puts("\n  simcast COMMAND --help   what a command can do\n"
         "  simcast --version");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";

    log_init("simcast", LOG_LEVEL_INFO);
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++) {
        if (strcmp(name, subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help();
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        puts("simcast " SIMCAST_VERSION);
        return 0;
    }
    log_error("there is no command '%.80s'; simcast --help names them", name);
    return EX_CONFIG;
}
