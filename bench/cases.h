/* SPDX-License-Identifier: Apache-2.0 */
/* All cases of simcast-bench; main.c runs them in this order. */
#ifndef SIMCAST_BENCH_CASES_H
#define SIMCAST_BENCH_CASES_H

#include "bench/harness.h"

extern const struct bench_case case_encode;
extern const struct bench_case case_fanout;
extern const struct bench_case case_glass;
extern const struct bench_case case_hal;
extern const struct bench_case case_ring;
extern const struct bench_case case_scale;

static const struct bench_case *const bench_cases[] = {&case_ring, &case_encode, &case_fanout,
                                                       &case_hal,  &case_glass,  &case_scale};

#define BENCH_CASE_COUNT (sizeof(bench_cases) / sizeof(bench_cases[0]))

#endif
