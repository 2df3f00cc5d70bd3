/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A survey in words: a table for a terminal of 90 columns, one line per stream for a log, JSON for
 * programs.
 *
 * Thread: one. Cost: reads /proc for the names of processes.
 */
#ifndef SIMCAST_CLI_RING_TABLE_H
#define SIMCAST_CLI_RING_TABLE_H

#include <stdio.h>

#include "cli/ring_survey.h"

void ring_table_print(const struct survey *survey, FILE *out);

/* One line that stands alone. */
void ring_table_print_line(const struct survey_stream *stream, FILE *out);

/* One line, one object. Errors: -ENOMEM; nothing was printed then. */
int ring_table_print_json(const struct survey *survey, FILE *out);

#endif
