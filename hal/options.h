/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What simcast-hal was told by flags and environment (base/options.h).
 *
 * Thread: once, before threads start.
 */
#ifndef SIMCAST_HAL_OPTIONS_H
#define SIMCAST_HAL_OPTIONS_H

#include <limits.h>

#include "base/log.h"
#include "base/options.h"
#include "hal/hal.h"

#define HAL_OPTIONS_URL_BYTES (PATH_MAX + 8)

enum hal_task {
    HAL_TASK_RUN,
    HAL_TASK_DUMP,      /* print what passes */
    HAL_TASK_GAME_LOOP, /* feed and check a HAL without a simulator */
};

struct hal_options {
    enum hal_task task;
    struct hal_config hal; /* strings point into argv or the environment */
    const char *bus;       /* NULL: the local one in hal.dir */
    char bus_url[HAL_OPTIONS_URL_BYTES];
    unsigned seconds; /* dump and game loop; 0: until a signal */
    enum log_level log_level;
};

/* Fills *ret_options when it returns OPTION_GO. */
enum option_result hal_options_parse(int argc, char **argv, struct hal_options *ret_options);

#endif
