/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records for people: what was found, and what changed since an older record.
 *
 * Thread: any. Cost: writes to the stream.
 */
#ifndef SIMCAST_BENCH_TABLE_H
#define SIMCAST_BENCH_TABLE_H

#include <stdio.h>

#include "bench/record.h"

void table_write(const struct record *record, FILE *stream);

/* One line per metric of `after`; returns how many are worse by more than the noise. */
unsigned table_compare(const struct record *before, const struct record *after, FILE *stream);

#endif
