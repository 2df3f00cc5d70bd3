/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was heard of each subject: how often, how much, the last payload. Sorted by subject; of
 * more than BUS_TABLE_ROWS subjects, the later ones are only counted.
 *
 * Thread: one. Cost: bus_table_add is a binary search, and a move of rows for a new subject.
 */
#ifndef SIMCAST_CLI_BUS_TABLE_H
#define SIMCAST_CLI_BUS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bus/bus.h"

#define BUS_TABLE_ROWS 512
#define BUS_TABLE_LAST_BYTES 1024

struct bus_table_row {
    char subject[BUS_SUBJECT_BYTES_MAX + 1];
    uint64_t count;
    uint64_t bytes;
    uint64_t count_before; /* at the last bus_table_rates */
    uint64_t bytes_before;
    double rate_hz; /* between the last two of these */
    double bytes_per_s;
    int64_t last_ns;   /* when the last payload came */
    size_t last_bytes; /* its whole length; last holds no more than BUS_TABLE_LAST_BYTES of it */
    char last[BUS_TABLE_LAST_BYTES];
};

struct bus_table {
    struct bus_table_row *rows[BUS_TABLE_ROWS];
    unsigned count;
    uint64_t left_out; /* messages of subjects that found no room */
    int64_t rates_ns;  /* of the last bus_table_rates */
};

/* Without memory for a new subject its message is left out. */
void bus_table_add(struct bus_table *table, const struct bus_message *message, int64_t now_ns);
/* Rates since the last call, or since `rates_ns` was set. */
void bus_table_rates(struct bus_table *table, int64_t now_ns);

/* Lines of at most `width` columns. */
void bus_table_print(const struct bus_table *table, int64_t now_ns, int width, FILE *file);
/* One line of JSON; `url` may be shown. Returns false when there is no memory. */
bool bus_table_json(const struct bus_table *table, const char *url, int64_t now_ns, FILE *file);

void bus_table_fini(struct bus_table *table);

#endif
