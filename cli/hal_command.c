/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing: the process becomes simcast-hal. */
#include "cli/hal_command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/programs.h"

int hal_command_main(int argc, char **argv)
{
    static char name[] = "simcast-hal";
    char path[PROGRAM_PATH_BYTES];

    (void)argc;
    argv[0] = name;
    if (program_find(name, "hal", path) == 0)
        execv(path, argv);
    log_error("hal: simcast-hal cannot be started: %s: install it beside this program, or build it",
              strerrordesc_np(errno));
    return EXIT_FAILURE;
}
