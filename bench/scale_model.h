/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fan-out costs as a formula, fitted to measurements:
 *
 *   processor time of a picture = picture_ns + clients x (send_ns + bytes x byte_ns)
 *
 * Thread: any. Cost: no I/O, no allocation.
 */
#ifndef SIMCAST_BENCH_SCALE_MODEL_H
#define SIMCAST_BENCH_SCALE_MODEL_H

#include <stddef.h>

struct scale_point {
    double clients;
    double bytes;  /* of a picture */
    double cpu_ns; /* that it took to send it to all of them; above 0 */
};

struct scale_model {
    double picture_ns;
    double send_ns;
    double byte_ns;
    double error; /* of the worst point, relative to what was measured there */
};

/*
 * Least squares of the relative errors, so that few clients count as much as many. Errors:
 * -EINVAL fewer than three points, or they do not tell the three costs apart.
 */
int scale_fit(const struct scale_point *points, size_t count, struct scale_model *ret_model);

/* How many clients one core can serve with that many pictures per second. */
double scale_clients_per_core(const struct scale_model *model, double bytes, double fps);

#endif
