/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `simcast source` was asked to do.
 *
 * Thread: the main thread, at start.
 */
#ifndef SIMCAST_CLI_SOURCE_OPTIONS_H
#define SIMCAST_CLI_SOURCE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct source_options {
    const char *legacy; /* file; exactly one of this and `ring` is set */
    const char *ring;   /* stream */
    const char *dir;
    const char *input; /* H.264 byte stream; NULL: the pattern as JPEG */
    uint32_t width;
    uint32_t height;
    uint64_t fps;
    uint64_t seconds; /* 0: until a signal */
    uint64_t seed;    /* of the garbling */
    bool crc;
    bool garble;
};

/*
 * Returns whether to go on, with *ret_options filled (strings borrowed from argv). Otherwise all
 * is said, and *ret_exit_code is 0 after --help, or 78 after one sentence on stderr.
 */
bool source_options_parse(int argc, char **argv, struct source_options *ret_options,
                          int *ret_exit_code);

#endif
