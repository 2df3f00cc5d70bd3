/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `simcast-hal dump`: prints states and actions as they pass, one JSON object per line, without
 * taking part: it reads the same rings as everybody.
 *
 * Thread: the calling one.
 */
#ifndef SIMCAST_HAL_DUMP_H
#define SIMCAST_HAL_DUMP_H

/*
 * Until `stop_fd` is readable or `seconds` (0: for ever) are over, or nobody reads stdout.
 * Errors: those of ring_consumer_open.
 */
int hal_dump(const char *dir, const char *stream, unsigned seconds, int stop_fd);

#endif
