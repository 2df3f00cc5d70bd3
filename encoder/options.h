/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-encoder's settings: defaults, then the environment, then the command line.
 *
 * Thread: call before others start. Cost: a few getenv.
 */
#ifndef SIMCAST_ENCODER_OPTIONS_H
#define SIMCAST_ENCODER_OPTIONS_H

#include "base/log.h"
#include "encoder/stage.h"

#define OPTIONS_REASON_BYTES 384

enum options_request { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
    struct stage_config stage; /* its strings point into argv or the environment */
    enum log_level log_level;
    enum options_request request;
};

/*
 * Errors: -EINVAL an unknown flag or a wrong value, with one sentence in ret_reason that names
 * it, where it came from, and what is allowed.
 */
int options_read(int argc, char *const argv[], struct options *ret_options,
                 char ret_reason[OPTIONS_REASON_BYTES]);

/* Writes the help text to stdout. */
void options_help(void);

#endif
