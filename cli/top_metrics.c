/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a copy of the page, cut into words in place. The page is a peer's: anything may stand there.
 */
#include "cli/top_metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cuts a line into name, labels and value; false: it is no sample. */
static bool cut(char *line, struct top_sample *ret_sample)
{
    size_t length = strcspn(line, "{ ");
    char *rest = line + length;
    char *end;

    if (line[0] == '#' || length == 0 || *rest == '\0')
        return false;
    ret_sample->name = line;
    ret_sample->labels = "";
    if (*rest == '{') {
        *rest = '\0';
        ret_sample->labels = rest + 1;
        rest = strchr(rest + 1, '}');
        if (!rest)
            return false;
    }
    *rest++ = '\0';
    ret_sample->value = strtod(rest, &end);
    return end != rest;
}

int top_metrics_parse(const char *page, struct top_metrics *ret_metrics)
{
    struct top_metrics metrics = {.text = strdup(page)};
    size_t lines = 1;

    for (const char *at = page; *at; at++)
        lines += *at == '\n';
    metrics.samples = calloc(lines, sizeof(*metrics.samples));
    if (!metrics.text || !metrics.samples) {
        top_metrics_fini(&metrics);
        return -ENOMEM;
    }
    for (char *line = metrics.text; line;) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        metrics.count += cut(line, &metrics.samples[metrics.count]);
        line = next;
    }
    *ret_metrics = metrics;
    return 0;
}

void top_metrics_fini(struct top_metrics *metrics)
{
    free(metrics->text);
    free(metrics->samples);
    *metrics = (struct top_metrics){0};
}

static bool is_asked(const struct top_sample *sample, const char *name, const char *label)
{
    return strcmp(sample->name, name) == 0 && (!label || strstr(sample->labels, label));
}

bool top_metrics_value(const struct top_metrics *metrics, const char *name, const char *label,
                       double *ret_value)
{
    for (size_t i = 0; i < metrics->count; i++) {
        if (is_asked(&metrics->samples[i], name, label)) {
            *ret_value = metrics->samples[i].value;
            return true;
        }
    }
    return false;
}

/* What stands between the quotes behind `label`=; false: no such label. */
static bool label_of(const struct top_sample *sample, const char *label,
                     char value[TOP_LABEL_BYTES])
{
    char start[64];

    snprintf(start, sizeof(start), "%s=\"", label);
    const char *at = strstr(sample->labels, start);
    if (!at)
        return false;
    at += strlen(start);
    snprintf(value, TOP_LABEL_BYTES, "%.*s", (int)strcspn(at, "\""), at);
    return true;
}

bool top_metrics_label(const struct top_metrics *metrics, const char *name, unsigned n,
                       const char *label, char ret_value[TOP_LABEL_BYTES])
{
    for (size_t i = 0; i < metrics->count; i++) {
        if (is_asked(&metrics->samples[i], name, NULL) && n-- == 0)
            return label_of(&metrics->samples[i], label, ret_value);
    }
    return false;
}

bool top_metrics_buckets(const struct top_metrics *metrics, const char *name, const char *label,
                         struct top_buckets *ret_buckets)
{
    struct top_buckets buckets = {0};
    char series[96];
    char le[TOP_LABEL_BYTES];
    bool has_total = false;

    snprintf(series, sizeof(series), "%s_bucket", name);
    for (size_t i = 0; i < metrics->count; i++) {
        const struct top_sample *sample = &metrics->samples[i];
        if (!is_asked(sample, series, label) || !label_of(sample, "le", le))
            continue;
        if (strcmp(le, "+Inf") == 0) {
            buckets.total = sample->value;
            has_total = true;
        } else if (buckets.count < TOP_BUCKETS_MAX) {
            buckets.bound[buckets.count] = strtod(le, NULL);
            buckets.upto[buckets.count++] = sample->value;
        }
    }
    if (!has_total || buckets.count == 0)
        return false;
    *ret_buckets = buckets;
    return true;
}

void top_buckets_gain(const struct top_buckets *before, const struct top_buckets *now,
                      struct top_buckets *sum)
{
    /* A program that began anew counts from 0. */
    bool goes_on = before->count == now->count && before->total <= now->total;

    if (sum->count == 0) {
        sum->count = now->count;
        memcpy(sum->bound, now->bound, sizeof(sum->bound));
    }
    if (sum->count != now->count)
        return;
    for (unsigned i = 0; i < now->count; i++)
        sum->upto[i] += now->upto[i] - (goes_on ? before->upto[i] : 0);
    sum->total += now->total - (goes_on ? before->total : 0);
}

double top_buckets_percentile(const struct top_buckets *before, const struct top_buckets *now,
                              double percent)
{
    struct top_buckets gain = {0};
    double below = 0;
    double bound = 0;

    top_buckets_gain(before, now, &gain);
    double wanted = gain.total * percent / 100;
    if (!(gain.total > 0) || gain.count == 0)
        return NAN;
    for (unsigned i = 0; i < gain.count; i++) {
        double upto = gain.upto[i];
        if (upto >= wanted && upto > below)
            return bound + (gain.bound[i] - bound) * (wanted - below) / (upto - below);
        below = upto;
        bound = gain.bound[i];
    }
    return bound;
}
