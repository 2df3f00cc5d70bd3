/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `simcast demo` was asked to do.
 *
 * Thread: the main thread, at start.
 */
#ifndef SIMCAST_CLI_DEMO_OPTIONS_H
#define SIMCAST_CLI_DEMO_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct demo_options {
    unsigned seconds; /* 0: until Ctrl-C */
    bool json;
    bool pattern;
    bool nats;
    const char *policy; /* of simcast-hal; NULL: none is started */
    bool drive;         /* the built-in viewer commands the robot to walk */
    uint16_t port;
    const char *codec; /* points into argv, as do the next three and policy */
    const char *size;
    const char *fps;
    const char *log_level;
};

/*
 * Returns whether to go on, with *ret_options filled. Otherwise all is said, and *ret_exit_code is
 * 0 after --help, or 78 after one sentence on stderr about what is wrong.
 */
bool demo_options_parse(int argc, char **argv, struct demo_options *ret_options,
                        int *ret_exit_code);

#endif
