/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is being measured just now, on stderr: one line that is rewritten on a terminal, a line
 * each elsewhere.
 *
 * Thread: one.
 */
#ifndef SIMCAST_BENCH_PROGRESS_H
#define SIMCAST_BENCH_PROGRESS_H

#include "base/log.h"

void progress(const char *format, ...) LOG_PRINTF(1);

/* Wipes the line. */
void progress_done(void);

#endif
