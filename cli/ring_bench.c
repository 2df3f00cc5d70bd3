/* SPDX-License-Identifier: Apache-2.0 */
/* Becomes simcast-bench, which comes back here only if it cannot be started. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/programs.h"
#include "cli/ring_command.h"

int ring_bench_main(int argc, char **argv)
{
    char path[PROGRAM_PATH_BYTES];
    char suite[] = "ring";
    char **arguments = calloc((size_t)argc + 2, sizeof(*arguments));

    if (!arguments) {
        log_error("ring bench: out of memory");
        return 1;
    }
    if (program_find("simcast-bench", "bench", path) < 0) {
        log_error("ring bench: there is no program simcast-bench beside this one nor in PATH; "
                  "build it with ./run build");
        free(arguments);
        return 1;
    }
    arguments[0] = path;
    arguments[1] = suite;
    for (int i = 1; i < argc; i++)
        arguments[i + 1] = argv[i];
    execv(path, arguments);
    log_error("ring bench: cannot start %s: %s", path, strerrordesc_np(errno));
    free(arguments);
    return 1;
}
