/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of metrics in Prometheus' text format, to be asked: values by name and label, and
 * percentiles of what a histogram gained between two pages.
 *
 * Source: the text format 0.0.4. Thread: any. Cost: parsing walks the page once and allocates.
 */
#ifndef SIMCAST_CLI_TOP_METRICS_H
#define SIMCAST_CLI_TOP_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#define TOP_BUCKETS_MAX 32
#define TOP_LABEL_BYTES 64

struct top_sample {
    const char *name;
    const char *labels; /* "a=\"b\",c=\"d\"", or "" */
    double value;
};

/* Read it; top_metrics_fini ends it. A zeroed one is an empty page. */
struct top_metrics {
    char *text;
    struct top_sample *samples;
    size_t count;
};

/* Takes nothing: the page is copied. Lines that are none are passed over. Errors: -ENOMEM. */
int top_metrics_parse(const char *page, struct top_metrics *ret_metrics);

void top_metrics_fini(struct top_metrics *metrics);

/*
 * The first value of this name whose labels contain `label`, such as state="HOLD" (NULL: any).
 * False: there is none.
 */
bool top_metrics_value(const struct top_metrics *metrics, const char *name, const char *label,
                       double *ret_value);

/* The value of a label of the n-th sample of this name; false: there are fewer. */
bool top_metrics_label(const struct top_metrics *metrics, const char *name, unsigned n,
                       const char *label, char ret_value[TOP_LABEL_BYTES]);

struct top_buckets {
    unsigned count;
    double bound[TOP_BUCKETS_MAX];
    double upto[TOP_BUCKETS_MAX]; /* values at most as large as bound */
    double total;
};

/* A histogram's series; `name` is without _bucket. False: there is none. */
bool top_metrics_buckets(const struct top_metrics *metrics, const char *name, const char *label,
                         struct top_buckets *ret_buckets);

/*
 * Adds to `sum` what came between two readings of one histogram. `sum` is zero or holds what came
 * to others of the same bounds; of other bounds nothing is added.
 */
void top_buckets_gain(const struct top_buckets *before, const struct top_buckets *now,
                      struct top_buckets *sum);

/*
 * Of the values that came between two readings, as exact as the buckets are; beyond the last
 * bound: that bound. NaN: none came.
 */
double top_buckets_percentile(const struct top_buckets *before, const struct top_buckets *now,
                              double percent);

#endif
