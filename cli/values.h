/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of command-line flags. Each returns whether the text is one; the output is untouched
 * otherwise.
 *
 * Thread: any.
 */
#ifndef SIMCAST_CLI_VALUES_H
#define SIMCAST_CLI_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* A whole decimal number from low to high. */
bool value_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret_number);

/* "WxH": even numbers from 16 to 4096. */
bool value_size(const char *text, uint32_t *ret_width, uint32_t *ret_height);

/* The directory of the rings: SIMCAST_IPC_DIR, or RING_DIR_DEFAULT. Borrowed from there. */
const char *value_ipc_dir(void);

#endif
