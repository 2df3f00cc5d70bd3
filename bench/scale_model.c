/* SPDX-License-Identifier: Apache-2.0 */
/* Normal equations of three unknowns, solved by Cramer's rule; owns nothing. */
#include "bench/scale_model.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#define NS_PER_SECOND 1e9
#define SINGULAR 1e-12 /* of a determinant whose columns have length 1 */

/* The factors of the three costs at a point, divided by what was measured there. */
static void factors_of(const struct scale_point *point, double ret_factors[3])
{
    ret_factors[0] = 1 / point->cpu_ns;
    ret_factors[1] = point->clients / point->cpu_ns;
    ret_factors[2] = point->clients * point->bytes / point->cpu_ns;
}

static double determinant(double m[3][3])
{
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
           m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* Column lengths, since the three costs differ by orders of magnitude. */
static void measure_columns(const struct scale_point *points, size_t count, double ret_lengths[3])
{
    double squares[3] = {0};

    for (size_t i = 0; i < count; i++) {
        double factors[3];
        factors_of(&points[i], factors);
        for (unsigned k = 0; k < 3; k++)
            squares[k] += factors[k] * factors[k];
    }
    for (unsigned k = 0; k < 3; k++)
        ret_lengths[k] = sqrt(squares[k]);
}

/* Returns false when the points do not tell the costs apart. */
static bool solve(double matrix[3][3], const double right[3], double ret_costs[3])
{
    double whole = determinant(matrix);

    if (!(fabs(whole) > SINGULAR))
        return false;
    for (unsigned k = 0; k < 3; k++) {
        double replaced[3][3];
        for (unsigned row = 0; row < 3; row++) {
            for (unsigned column = 0; column < 3; column++)
                replaced[row][column] = column == k ? right[row] : matrix[row][column];
        }
        ret_costs[k] = determinant(replaced) / whole;
    }
    return true;
}

static double worst_error(const struct scale_point *points, size_t count,
                          const struct scale_model *model)
{
    double worst = 0;

    for (size_t i = 0; i < count; i++) {
        double expected = model->picture_ns +
                          points[i].clients * (model->send_ns + points[i].bytes * model->byte_ns);
        worst = fmax(worst, fabs(expected / points[i].cpu_ns - 1));
    }
    return worst;
}

int scale_fit(const struct scale_point *points, size_t count, struct scale_model *ret_model)
{
    double matrix[3][3] = {0};
    double right[3] = {0};
    double lengths[3];
    double costs[3];

    if (count < 3)
        return -EINVAL;
    measure_columns(points, count, lengths);
    for (size_t i = 0; i < count; i++) {
        double factors[3];
        factors_of(&points[i], factors);
        for (unsigned row = 0; row < 3; row++) {
            right[row] += factors[row] / lengths[row]; /* times 1: the measured value, divided */
            for (unsigned column = 0; column < 3; column++)
                matrix[row][column] +=
                    factors[row] / lengths[row] * factors[column] / lengths[column];
        }
    }
    if (!solve(matrix, right, costs))
        return -EINVAL;
    struct scale_model model = {
        .picture_ns = costs[0] / lengths[0],
        .send_ns = costs[1] / lengths[1],
        .byte_ns = costs[2] / lengths[2],
    };
    model.error = worst_error(points, count, &model);
    *ret_model = model;
    return 0;
}

double scale_clients_per_core(const struct scale_model *model, double bytes, double fps)
{
    return (NS_PER_SECOND / fps - model->picture_ns) / (model->send_ns + bytes * model->byte_ns);
}
