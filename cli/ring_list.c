/* SPDX-License-Identifier: Apache-2.0 */
/* Two looks at every ring, half a second apart, and a table. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <getopt.h>
#include <sysexits.h>

#include "base/log.h"
#include "cli/ring_command.h"
#include "cli/ring_survey.h"
#include "cli/ring_table.h"
#include "cli/values.h"

#define WINDOW_MS 500

enum { FLAG_JSON = 1, FLAG_IPC_DIR, FLAG_HELP };

static const struct option flags[] = {
    {"json", no_argument, NULL, FLAG_JSON},
    {"ipc-dir", required_argument, NULL, FLAG_IPC_DIR},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static const char help[] =
    "Usage: simcast ring list [OPTION]...\n"
    "Lists the rings of this machine: who produces which picture how fast, in how much memory,\n"
    "and who consumes it. Looking does not make anybody render.\n"
    "\n"
    "  --json          one line of JSON\n"
    "  --ipc-dir DIR   where the rings are (SIMCAST_IPC_DIR, " RING_DIR_DEFAULT ")\n"
    "\n"
    "WANTS    whether the consumer asks for frames now; if none does, nothing is rendered\n"
    "LAG      frames that the producer is ahead of it\n"
    "LEASES   frames that it holds now, of those that it may hold at once\n"
    "LOST     frames that it missed; a consumer of the newest frame means to miss some\n"
    "REVOKED  leases that it held too long\n"
    "SPIN     processor time that it spends to see frames sooner\n";

static int tell(const struct survey *survey, bool json)
{
    if (json && ring_table_print_json(survey, stdout) < 0) {
        log_error("ring list: out of memory");
        return 1;
    }
    if (json)
        return 0;
    if (survey->count == 0)
        printf("There are no rings in %s: start a simulator, or name another --ipc-dir.\n",
               survey->dir);
    else
        ring_table_print(survey, stdout);
    return 0;
}

static int list(const char *dir, bool json)
{
    static struct survey survey; /* large for a stack */

    survey.dir = dir;
    int error = survey_find(&survey);
    if (error < 0 && error != -ENOENT) {
        log_error("ring list: cannot read %s: %s", dir, strerrordesc_np(-error));
        return 1;
    }
    for (unsigned look = 0; look < 2; look++) {
        if (look > 0 && survey.count > 0)
            poll(NULL, 0, WINDOW_MS);
        for (unsigned i = 0; i < survey.count; i++)
            survey_look(dir, &survey.streams[i]);
    }
    return tell(&survey, json);
}

int ring_list_main(int argc, char **argv)
{
    const char *dir = value_ipc_dir();
    bool json = false;
    int flag;

    optind = 0; /* glibc: start anew */
    while ((flag = getopt_long(argc, argv, "+:", flags, NULL)) != -1) {
        if (flag == FLAG_HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (flag == FLAG_JSON) {
            json = true;
        } else if (flag == FLAG_IPC_DIR) {
            dir = optarg;
        } else {
            log_error("ring list: '%.80s' is unknown or lacks its value; try simcast ring list "
                      "--help",
                      argv[optind - 1]);
            return EX_CONFIG;
        }
    }
    if (optind < argc) {
        log_error("ring list: unexpected argument '%.80s'; try simcast ring list --help",
                  argv[optind]);
        return EX_CONFIG;
    }
    return list(dir, json);
}
