/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-encoder's settings: defaults, then the environment, then the command line.
 *
 * Thread: call before others start. Cost: a few getenv.
 */
#ifndef SIMCAST_ENCODER_OPTIONS_H
#define SIMCAST_ENCODER_OPTIONS_H

#include "base/log.h"
#include "base/options.h"
#include "encoder/cameras.h"

enum options_source { OPTIONS_DEFAULT, OPTIONS_ENVIRONMENT, OPTIONS_FLAGS };

struct options {
    struct cameras_config cameras; /* its strings point into argv or the environment */
    enum log_level log_level;
    enum options_source streams_from; /* the strongest that names streams */
};

/* As option_read; ret_options is set on OPTION_GO alone. */
enum option_result options_read(int argc, char **argv, struct options *ret_options);

#endif
