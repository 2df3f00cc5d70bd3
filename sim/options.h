/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What simcast-sim was told by flags and environment; flags win.
 *
 * Thread: once, before threads start.
 */
#ifndef SIMCAST_SIM_OPTIONS_H
#define SIMCAST_SIM_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "base/log.h"
#include "sim/stream.h"

#define OPTIONS_URL_BYTES (PATH_MAX + 8)

struct options {
    struct stream_config stream; /* strings point into argv or the environment */
    char bus_url[OPTIONS_URL_BYTES];
    enum log_level log_level;
};

enum options_result {
    OPTIONS_RUN,   /* *ret_options is filled */
    OPTIONS_DONE,  /* --help or --version has been answered on stdout */
    OPTIONS_WRONG, /* said on stderr what, and what to write instead */
};

enum options_result options_parse(int argc, char **argv, struct options *ret_options);

#endif
