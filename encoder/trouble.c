/* SPDX-License-Identifier: Apache-2.0 */
/* Compares counts and writes one line to the log; owns nothing. */
#include "encoder/trouble.h"

#include <inttypes.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/log.h"

#define PERIOD_NS (60 * NS_PER_S)

static bool is_more(const struct rendition_counts *now, const struct rendition_counts *told)
{
    return now->refused != told->refused || now->degraded != told->degraded ||
           now->lost != told->lost;
}

void trouble_tell(struct trouble *trouble, const char *camera,
                  const struct rendition_counts *counts, int64_t now_ns)
{
    const struct rendition_counts *told = &trouble->told;

    if (!is_more(counts, told))
        return;
    if (trouble->since_ns == 0)
        trouble->since_ns = now_ns;
    if (now_ns - trouble->since_ns < PERIOD_NS)
        return;
    log_warning("%s: pictures of the last minute: %" PRIu64 " refused, %" PRIu64
                " coded worse than asked, %" PRIu64 " lost; in all %" PRIu64 ", %" PRIu64
                " and %" PRIu64,
                camera, counts->refused - told->refused, counts->degraded - told->degraded,
                counts->lost - told->lost, counts->refused, counts->degraded, counts->lost);
    trouble->told = *counts;
    trouble->since_ns = 0;
}
