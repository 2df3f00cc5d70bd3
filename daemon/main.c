/* SPDX-License-Identifier: Apache-2.0 */
/* simcastd: settings, then the server. See daemon/server.h. */
#include <stdio.h>
#include <stdlib.h>

#include <sysexits.h>

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/server.h"

/* getenv's result is not const; nobody here writes to it. */
static const char *environment(const char *name)
{
    return getenv(name);
}

int main(int argc, char **argv)
{
    static struct config config;
    char error[CONFIG_ERROR_BYTES];

    log_init("simcastd", LOG_LEVEL_INFO);
    switch (config_load(argc, argv, environment, &config, error)) {
    case CONFIG_EXIT_OK:
        return EXIT_SUCCESS;
    case CONFIG_INVALID:
        log_error("%s", error);
        return EX_CONFIG;
    case CONFIG_RUN:
        break;
    }
    log_init("simcastd", config.log_level);
    log_format_use(config.log_format);
    return server_run(&config);
}
