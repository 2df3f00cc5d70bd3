/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What simcast-sim was told by flags and environment (base/options.h).
 *
 * Thread: once, before threads start.
 */
#ifndef SIMCAST_SIM_OPTIONS_H
#define SIMCAST_SIM_OPTIONS_H

#include <limits.h>

#include "base/log.h"
#include "base/options.h"
#include "safety/authority.h"
#include "sim/stream.h"

#define OPTIONS_URL_BYTES (PATH_MAX + 8)
#define OPTIONS_ENVS_MAX 64

struct options {
    struct stream_config stream; /* strings point into argv or the environment */
    char names[STREAM_CAMERAS_MAX][RING_STREAM_BYTES]; /* of the further cameras */
    const char *bus;                                   /* NULL: the local one in stream.dir */
    char bus_url[OPTIONS_URL_BYTES];
    struct authority_config safety;
    enum log_level log_level;
};

/* Fills *ret_options, which must stay where it is, when it returns OPTION_GO. */
enum option_result options_parse(int argc, char **argv, struct options *ret_options);

#endif
