/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to the caller's stream; owns nothing and cannot fail. */
#include "bench/table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "bench/compare.h"

#define CELL_BYTES 32

/* Three significant digits, without an exponent. */
static const char *number(double value, char cell[CELL_BYTES])
{
    double size = fabs(value);
    int decimals = 3;

    if (size >= 1)
        decimals = size < 10 ? 2 : size < 100;
    snprintf(cell, CELL_BYTES, "%.*f", decimals, value);
    return isnan(value) ? "-" : cell;
}

static void write_head(const struct record *record, FILE *stream)
{
    const struct machine *machine = &record->machine;

    fprintf(stream, "%s: %s, %u cores, %.1f GiB, Linux %s\n", record->case_name, machine->cpu,
            machine->cores, (double)machine->memory_bytes / 0x1p30, machine->kernel);
    fprintf(stream, "commit %s, seed %" PRIu64 ", %u rounds%s, %u discarded", record->commit,
            record->seed, record->rounds, record->quick ? " (quick)" : "",
            record->rounds_discarded);
    fprintf(stream, ", others used %.0f%% of a core\n\n", record->others_core_percent);
}

static void write_percentiles(const struct record_percentiles *percentiles, FILE *stream)
{
    const double *numbers[] = {&percentiles->p90, &percentiles->p99, &percentiles->p99_9,
                               &percentiles->max};
    char cell[CELL_BYTES];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        fprintf(stream, " %8s", number(isnan(percentiles->p50) ? NAN : *numbers[i], cell));
}

static void write_target(const struct record_result *result, FILE *stream)
{
    char target[CELL_BYTES];

    if (isnan(result->target))
        fprintf(stream, "%17s", "");
    else
        fprintf(stream, " %s %-6s %-6s",
                result->better == RECORD_LOWER ? "<=" : ">=", number(result->target, target),
                result->pass ? "yes" : "MISSED");
}

static void write_result(const struct record_result *result, FILE *stream)
{
    char cell[CELL_BYTES];

    if (result->skipped[0]) {
        fprintf(stream, "%-38s %s: %s\n", result->metric, result->failed ? "FAILED" : "skipped",
                result->skipped);
        return;
    }
    fprintf(stream, "%-38s %8s %-5s", result->metric, number(result->value, cell), result->unit);
    write_target(result, stream);
    write_percentiles(&result->percentiles, stream);
    if (result->yardstick[0])
        fprintf(stream, "  %s of %s", number(result->ratio, cell), result->yardstick);
    fputc('\n', stream);
}

void table_write(const struct record *record, FILE *stream)
{
    write_head(record, stream);
    fprintf(stream, "%-38s %14s %-16s %8s %8s %8s %8s\n", "metric", "median", "   target", "p90",
            "p99", "p99.9", "max");
    for (size_t i = 0; i < record->result_count; i++)
        write_result(&record->results[i], stream);
    if (record_is_disturbed(record))
        fputs("\nOther processes disturbed this run: take the numbers for a trend, and run again "
              "on a quiet machine.\n",
              stream);
}

/* ---- comparison ---------------------------------------------------------------------------- */

static const char *verdict_name(enum compare_verdict verdict)
{
    switch (verdict) {
    case COMPARE_SAME:
        return "same";
    case COMPARE_BETTER:
        return "better";
    case COMPARE_WORSE:
        return "WORSE";
    case COMPARE_IMPOSSIBLE:
        break;
    }
    return "cannot be compared";
}

static void write_comparison(const char *metric, const struct comparison *comparison, FILE *stream)
{
    char before[CELL_BYTES];
    char after[CELL_BYTES];

    fprintf(stream, "%-38s %8s -> %8s %-8s", metric, number(comparison->before, before),
            number(comparison->after, after), comparison->by_ratio ? "(ratio)" : "");
    if (comparison->verdict != COMPARE_IMPOSSIBLE)
        fprintf(stream, " %+6.0f%% (noise %.0f%%)", 100 * comparison->worse_by,
                100 * comparison->band);
    fprintf(stream, " %s\n", verdict_name(comparison->verdict));
}

unsigned table_compare(const struct record *before, const struct record *after, FILE *stream)
{
    bool disturbed = record_is_disturbed(before) || record_is_disturbed(after);
    unsigned worse = 0;

    fprintf(stream, "\nagainst commit %s (positive: worse)\n", before->commit);
    if (strcmp(before->machine.cpu, after->machine.cpu) != 0)
        fprintf(stream, "That was another machine (%s); only ratios mean something.\n",
                before->machine.cpu[0] ? before->machine.cpu : "unknown");
    if (disturbed)
        fprintf(stream, "Other processes disturbed one of the two; only a doubling counts.\n");
    for (size_t i = 0; i < after->result_count; i++) {
        const struct record_result *result = &after->results[i];
        const struct record_result *old = compare_find(before, result->metric);
        if (!old) {
            fprintf(stream, "%-38s is new\n", result->metric);
            continue;
        }
        struct comparison comparison = compare_results(old, result, disturbed);
        worse += comparison.verdict == COMPARE_WORSE;
        write_comparison(result->metric, &comparison, stream);
    }
    return worse;
}
