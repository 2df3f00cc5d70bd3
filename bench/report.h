/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run as a folder to keep or to pass on: results.json, the same lines that --json prints, and
 * index.html, one page with plots that needs nothing else. The page's parts lie in bench/report/.
 *
 *     report_open("out", &report);
 *     report_add(report, &record);     for each case
 *     report_close(report);            writes the page
 *
 * Thread: one. Cost: file I/O.
 */
#ifndef SIMCAST_BENCH_REPORT_H
#define SIMCAST_BENCH_REPORT_H

#include "bench/record.h"

struct report;

/*
 * Makes the folder when there is none, and begins results.json anew. On success the caller owns
 * *ret_report. Errors: -errno of mkdir or open; -ENOMEM.
 */
int report_open(const char *dir, struct report **ret_report);

/* Errors: -EIO, -ENOMEM. */
int report_add(struct report *report, const struct record *record);

/*
 * Writes index.html; frees the report in any case. Takes NULL. Without npm's uplot
 * (bench/node) the page has no curves and says so. Errors: -errno of a file that cannot be read
 * or written; what was written of results.json stays.
 */
int report_close(struct report *report);

#endif
