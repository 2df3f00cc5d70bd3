/* SPDX-License-Identifier: Apache-2.0 */
/* The table of `simcast ring`'s actions. */
#include "cli/ring_command.h"

#include <stdio.h>
#include <string.h>

#include <sysexits.h>

#include "base/log.h"

static const struct action {
    const char *name;
    int (*run)(int argc, char **argv);
} actions[] = {
    {"list", ring_list_main},
    {"watch", ring_watch_main},
    {"snapshot", ring_snapshot_main},
    {"bench", ring_bench_main},
};

static const char help[] =
    "Usage: simcast ring ACTION [OPTION]...\n"
    "Looks at the rings that carry frames and packets between the programs on this machine.\n"
    "\n"
    "  list                 who produces what, for whom, how fast, in how much memory\n"
    "  watch NAME           the same of one stream, live\n"
    "  snapshot NAME FILE   its next picture as .png, .jpg, .npy or .h264\n"
    "  bench                how fast the ring is on this machine\n"
    "\n"
    "  simcast ring ACTION --help   what an action can do\n";

int ring_command_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(name, actions[i].name) == 0)
            return actions[i].run(argc - 1, argv + 1);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        fputs(help, stdout);
        return 0;
    }
    log_error("ring: there is no action '%.80s'; simcast ring --help names them", name);
    return EX_CONFIG;
}
