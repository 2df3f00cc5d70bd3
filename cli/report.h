/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the demo tells: a status line while it runs, a summary or one line of JSON at its end.
 *
 * Thread: any. Cost: formats into the caller's buffer; the percentiles walk some histograms.
 */
#ifndef SIMCAST_CLI_REPORT_H
#define SIMCAST_CLI_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/health.h"
#include "cli/measure.h"
#include "cli/observer.h"
#include "cli/walk.h"

#define REPORT_BYTES 1024

struct report_status {
    int64_t elapsed_ns; /* since the demo began */
    double fps;         /* of the last second */
    int64_t p50_ns;     /* of the latency below; 0: unknown */
    bool to_viewer;     /* the latency reaches to a viewer, not only to the packet ring */
    bool answering;     /* simcastd answered; else `health` is empty */
    struct health health;
    const struct observation *seen;
};

void report_status(const struct report_status *status, char text[REPORT_BYTES]);

/*
 * One line, one JSON object; percentiles that nothing was measured for are null. With a walk, it
 * ends with "distance_m", "falls" and "actions".
 */
void report_json(const struct measure *measure, const struct observation *seen,
                 const struct walk_result *walk, char text[REPORT_BYTES]);

/* The same for a person, some lines. */
void report_summary(const struct measure *measure, const struct observation *seen,
                    const struct walk_result *walk, char text[REPORT_BYTES]);

#endif
