/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a row per subject, on the heap. Payloads are shown with what is no text left out. */
#include "cli/bus_table.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"

#define SUBJECT_COLUMN 34

/* Where the subject is, or belongs. */
static unsigned place_of(const struct bus_table *table, const char *subject)
{
    unsigned low = 0;
    unsigned high = table->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (strcmp(table->rows[middle]->subject, subject) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct bus_table_row *row_of(struct bus_table *table, const char *subject)
{
    unsigned place = place_of(table, subject);

    if (place < table->count && strcmp(table->rows[place]->subject, subject) == 0)
        return table->rows[place];
    struct bus_table_row *row = table->count < BUS_TABLE_ROWS ? calloc(1, sizeof(*row)) : NULL;
    if (!row)
        return NULL;
    snprintf(row->subject, sizeof(row->subject), "%s", subject);
    memmove(&table->rows[place + 1], &table->rows[place],
            (table->count - place) * sizeof(struct bus_table_row *));
    table->rows[place] = row;
    table->count++;
    return row;
}

void bus_table_add(struct bus_table *table, const struct bus_message *message, int64_t now_ns)
{
    struct bus_table_row *row = row_of(table, message->subject);
    size_t kept = message->payload_bytes;

    if (!row) {
        table->left_out++;
        return;
    }
    if (kept > BUS_TABLE_LAST_BYTES)
        kept = BUS_TABLE_LAST_BYTES;
    row->count++;
    row->bytes += message->payload_bytes;
    row->last_ns = now_ns;
    row->last_bytes = message->payload_bytes;
    memcpy(row->last, message->payload, kept);
}

void bus_table_rates(struct bus_table *table, int64_t now_ns)
{
    double seconds = (double)(now_ns - table->rates_ns) / (double)NS_PER_S;

    for (unsigned i = 0; i < table->count && seconds > 0; i++) {
        struct bus_table_row *row = table->rows[i];
        row->rate_hz = (double)(row->count - row->count_before) / seconds;
        row->bytes_per_s = (double)(row->bytes - row->bytes_before) / seconds;
        row->count_before = row->count;
        row->bytes_before = row->bytes;
    }
    table->rates_ns = now_ns;
}

static size_t kept_bytes(const struct bus_table_row *row)
{
    return row->last_bytes < BUS_TABLE_LAST_BYTES ? row->last_bytes : BUS_TABLE_LAST_BYTES;
}

static void print_row(const struct bus_table_row *row, int64_t now_ns, int width, FILE *file)
{
    double age_s = (double)(now_ns - row->last_ns) / (double)NS_PER_S;
    int used = fprintf(file, "%-*s %8.1f %9.0f %8.1f  ", SUBJECT_COLUMN, row->subject, row->rate_hz,
                       row->bytes_per_s, age_s);

    for (size_t i = 0; i < kept_bytes(row) && used < width; i++, used++) {
        unsigned char byte = (unsigned char)row->last[i];
        putc(byte < ' ' || byte > '~' ? '?' : byte, file);
    }
    putc('\n', file);
}

void bus_table_print(const struct bus_table *table, int64_t now_ns, int width, FILE *file)
{
    fprintf(file, "%-*s %8s %9s %8s  %s\n", SUBJECT_COLUMN, "SUBJECT", "PER S", "BYTES/S", "AGE S",
            "LAST");
    for (unsigned i = 0; i < table->count; i++)
        print_row(table->rows[i], now_ns, width, file);
    if (table->left_out > 0)
        fprintf(file, "and %llu messages of subjects beyond the first %d\n",
                (unsigned long long)table->left_out, BUS_TABLE_ROWS);
}

/* Of a payload that is no text, only its length is told. */
static json_t *json_of_row(const struct bus_table_row *row, int64_t now_ns)
{
    json_t *last = json_stringn(row->last, kept_bytes(row));

    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:I, s:o}", "subject", row->subject, "count",
                     (json_int_t)row->count, "bytes", (json_int_t)row->bytes, "rate_hz",
                     row->rate_hz, "bytes_per_s", row->bytes_per_s, "last_age_s",
                     (double)(now_ns - row->last_ns) / (double)NS_PER_S, "last_bytes",
                     (json_int_t)row->last_bytes, "last", last ? last : json_null());
}

bool bus_table_json(const struct bus_table *table, const char *url, int64_t now_ns, FILE *file)
{
    json_t *subjects = json_array();
    bool good = subjects != NULL;

    for (unsigned i = 0; i < table->count && good; i++)
        good = json_array_append_new(subjects, json_of_row(table->rows[i], now_ns)) == 0;
    json_t *line = json_pack("{s:s, s:I, s:o}", "bus", url, "left_out", (json_int_t)table->left_out,
                             "subjects", subjects);
    good = good && line && json_dumpf(line, file, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0 &&
           putc('\n', file) != EOF;
    json_decref(line);
    return good;
}

void bus_table_fini(struct bus_table *table)
{
    for (unsigned i = 0; i < table->count; i++)
        free(table->rows[i]);
    table->count = 0;
}
