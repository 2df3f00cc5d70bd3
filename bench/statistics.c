/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on the caller's memory; cannot fail. */
#include "bench/statistics.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* The value at `position` (0: smallest, 1: largest) of the sorted values, interpolated. */
static double at(const double *sorted, size_t count, double position)
{
    double index = position * (double)(count - 1);
    size_t below = (size_t)index;
    size_t above = below + 1 < count ? below + 1 : below;

    return sorted[below] + (index - (double)below) * (sorted[above] - sorted[below]);
}

static void sort_into(double sorted[STATISTICS_VALUES_MAX], const double *values, size_t count)
{
    assert(count <= STATISTICS_VALUES_MAX);
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), ascending);
}

double statistics_median(const double *values, size_t count)
{
    double sorted[STATISTICS_VALUES_MAX];

    if (count == 0)
        return NAN;
    sort_into(sorted, values, count);
    return at(sorted, count, 0.5);
}

double statistics_spread(const double *values, size_t count)
{
    double sorted[STATISTICS_VALUES_MAX];

    if (count < 2)
        return 0;
    sort_into(sorted, values, count);
    double median = at(sorted, count, 0.5);
    double middle_half = at(sorted, count, 0.75) - at(sorted, count, 0.25);
    return median == 0 ? 0 : middle_half / fabs(median);
}

void statistics_ratios(const double *values, const double *yardsticks, size_t count,
                       double *ret_ratios)
{
    for (size_t i = 0; i < count; i++)
        ret_ratios[i] = yardsticks[i] == 0 ? NAN : values[i] / yardsticks[i];
}
