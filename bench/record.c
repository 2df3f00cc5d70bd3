/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as JSON; the home of jansson in bench/. Works on the caller's thread; a file that
 * somebody edited by hand is refused as a whole, never read half.
 */
#include "bench/record.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

#define DIGITS 6

bool record_is_disturbed(const struct record *record)
{
    return record->others_core_percent > RECORD_OTHERS_PERCENT;
}

bool record_meets(const struct record_result *result)
{
    if (isnan(result->target))
        return true;
    return result->better == RECORD_LOWER ? result->value <= result->target
                                          : result->value >= result->target;
}

/* ---- out ---------------------------------------------------------------------------------- */

static json_t *number_or_null(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *percentiles_to_json(const struct record_percentiles *percentiles)
{
    if (isnan(percentiles->p50))
        return json_null();
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "p50", percentiles->p50, "p90", percentiles->p90,
                     "p99", percentiles->p99, "p99_9", percentiles->p99_9, "max", percentiles->max);
}

static json_t *result_to_json(const struct record_result *result)
{
    bool judged = !isnan(result->target) && !isnan(result->value);

    return json_pack(
        "{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:b}", "metric",
        result->metric, "figure", result->figure, "value", number_or_null(result->value), "unit",
        result->unit, "yardstick", text_or_null(result->yardstick), "ratio",
        number_or_null(result->ratio), "target", number_or_null(result->target), "better",
        result->better == RECORD_LOWER ? "lower" : "higher", "pass",
        judged ? json_boolean(result->pass) : json_null(), "skipped", text_or_null(result->skipped),
        "spread", number_or_null(result->spread), "percentiles",
        percentiles_to_json(&result->percentiles), "failed", result->failed);
}

static json_t *machine_to_json(const struct machine *machine)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "cpu", machine->cpu, "architecture",
                     machine->architecture, "kernel", machine->kernel, "tcp_congestion_control",
                     machine->tcp_congestion_control, "cores", (json_int_t)machine->cores,
                     "memory_bytes", (json_int_t)machine->memory_bytes);
}

static json_t *record_to_json(const struct record *record)
{
    json_t *results = json_array();

    for (size_t i = 0; i < record->result_count; i++)
        json_array_append_new(results, result_to_json(&record->results[i]));
    return json_pack("{s:s, s:s, s:o, s:I, s:b, s:I, s:I, s:f, s:o}", "case", record->case_name,
                     "commit", record->commit, "machine", machine_to_json(&record->machine), "seed",
                     (json_int_t)record->seed, "quick", record->quick, "rounds",
                     (json_int_t)record->rounds, "rounds_discarded",
                     (json_int_t)record->rounds_discarded, "others_core_percent",
                     record->others_core_percent, "results", results);
}

int record_write(const struct record *record, FILE *stream)
{
    json_t *json = record_to_json(record);

    if (!json)
        return -ENOMEM;
    int error = json_dumpf(json, stream, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    json_decref(json);
    if (error < 0 || fputc('\n', stream) == EOF || fflush(stream) == EOF)
        return -EIO;
    return 0;
}

/* ---- in ----------------------------------------------------------------------------------- */

static double number_or_nan(const json_t *object, const char *key)
{
    const json_t *number = json_object_get(object, key);

    return json_is_number(number) ? json_number_value(number) : NAN;
}

/* Copies a text; one that is missing, null or too long becomes empty. */
static void read_text(const json_t *object, const char *key, char *ret_text, size_t bytes)
{
    const char *text = json_string_value(json_object_get(object, key));

    snprintf(ret_text, bytes, "%s", text && strlen(text) < bytes ? text : "");
}

static bool read_result(const json_t *object, struct record_result *ret_result)
{
    char better[RECORD_UNIT_BYTES];
    struct record_result result = {
        .value = number_or_nan(object, "value"),
        .ratio = number_or_nan(object, "ratio"),
        .spread = number_or_nan(object, "spread"),
        .target = number_or_nan(object, "target"),
        .pass = json_is_true(json_object_get(object, "pass")),
        .failed = json_is_true(json_object_get(object, "failed")),
        .percentiles.p50 = NAN,
    };

    read_text(object, "metric", result.metric, sizeof(result.metric));
    read_text(object, "unit", result.unit, sizeof(result.unit));
    read_text(object, "figure", result.figure, sizeof(result.figure));
    read_text(object, "yardstick", result.yardstick, sizeof(result.yardstick));
    read_text(object, "skipped", result.skipped, sizeof(result.skipped));
    read_text(object, "better", better, sizeof(better));
    result.better = strcmp(better, "higher") == 0 ? RECORD_HIGHER : RECORD_LOWER;
    *ret_result = result;
    return result.metric[0] && (strcmp(better, "higher") == 0 || strcmp(better, "lower") == 0);
}

static void read_machine(const json_t *object, struct machine *ret_machine)
{
    read_text(object, "cpu", ret_machine->cpu, sizeof(ret_machine->cpu));
    read_text(object, "architecture", ret_machine->architecture, sizeof(ret_machine->architecture));
    read_text(object, "kernel", ret_machine->kernel, sizeof(ret_machine->kernel));
    read_text(object, "tcp_congestion_control", ret_machine->tcp_congestion_control,
              sizeof(ret_machine->tcp_congestion_control));
    ret_machine->cores = (unsigned)json_integer_value(json_object_get(object, "cores"));
    ret_machine->memory_bytes =
        (uint64_t)json_integer_value(json_object_get(object, "memory_bytes"));
}

static int record_from_json(const json_t *json, struct record *ret_record)
{
    const json_t *results = json_object_get(json, "results");
    const json_t *result;
    size_t i;

    *ret_record = (struct record){
        .seed = (uint64_t)json_integer_value(json_object_get(json, "seed")),
        .quick = json_is_true(json_object_get(json, "quick")),
        .rounds = (unsigned)json_integer_value(json_object_get(json, "rounds")),
        .rounds_discarded = (unsigned)json_integer_value(json_object_get(json, "rounds_discarded")),
        .others_core_percent = number_or_nan(json, "others_core_percent"),
        .result_count = json_array_size(results),
    };
    read_text(json, "case", ret_record->case_name, sizeof(ret_record->case_name));
    read_text(json, "commit", ret_record->commit, sizeof(ret_record->commit));
    read_machine(json_object_get(json, "machine"), &ret_record->machine);
    if (!ret_record->case_name[0] || !json_is_array(results) ||
        ret_record->result_count > RECORD_RESULTS_MAX)
        return -EPROTO;
    json_array_foreach(results, i, result)
    {
        if (!read_result(result, &ret_record->results[i]))
            return -EPROTO;
    }
    return 0;
}

/* The next record of the file, or -ENOENT at its end. */
static int read_next(FILE *stream, struct record *ret_record)
{
    int next;

    do
        next = fgetc(stream);
    while (next == '\n' || next == ' ');
    if (next == EOF)
        return -ENOENT;
    ungetc(next, stream);
    json_t *json = json_loadf(stream, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, NULL);
    int error = json ? record_from_json(json, ret_record) : -EPROTO;
    json_decref(json);
    return error;
}

int record_read(const char *path, const char *case_name, struct record *ret_record)
{
    struct record record;
    FILE *stream = fopen(path, "re");
    bool found = false;
    int error;

    if (!stream)
        return -errno;
    while ((error = read_next(stream, &record)) == 0) {
        if (strcmp(record.case_name, case_name) == 0) {
            *ret_record = record;
            found = true;
        }
    }
    fclose(stream);
    return error == -ENOENT && found ? 0 : error;
}
