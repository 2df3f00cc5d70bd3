/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions; cannot fail. */
#include "bench/compare.h"

#include <math.h>
#include <string.h>

static double zero_if_nan(double number)
{
    return isnan(number) ? 0 : number;
}

struct comparison compare_results(const struct record_result *before,
                                  const struct record_result *after, bool disturbed)
{
    bool by_ratio = !isnan(before->ratio) && !isnan(after->ratio);
    struct comparison comparison = {
        .verdict = COMPARE_IMPOSSIBLE,
        .by_ratio = by_ratio,
        .before = by_ratio ? before->ratio : before->value,
        .after = by_ratio ? after->ratio : after->value,
        .worse_by = NAN,
    };
    double floor = by_ratio ? COMPARE_BAND_RATIO : COMPARE_BAND_VALUE;

    if (disturbed)
        floor = COMPARE_BAND_DISTURBED;
    comparison.band = fmax(floor, zero_if_nan(before->spread) + zero_if_nan(after->spread));
    /* Written so that NAN ends here, too. */
    if (!(comparison.before > 0) || !(comparison.after > 0))
        return comparison;
    /* As a factor, so that twice as fast and half as fast are equally far from the same. */
    comparison.worse_by = after->better == RECORD_LOWER ? comparison.after / comparison.before - 1
                                                        : comparison.before / comparison.after - 1;
    comparison.verdict = COMPARE_SAME;
    if (comparison.worse_by > comparison.band)
        comparison.verdict = COMPARE_WORSE;
    else if (1 / (1 + comparison.worse_by) - 1 > comparison.band)
        comparison.verdict = COMPARE_BETTER;
    return comparison;
}

const struct record_result *compare_find(const struct record *record, const char *metric)
{
    for (size_t i = 0; i < record->result_count; i++) {
        if (strcmp(record->results[i].metric, metric) == 0)
            return &record->results[i];
    }
    return NULL;
}
