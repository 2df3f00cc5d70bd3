/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. */
#include "safety/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool limits_parse(const char *text, double ret_values[LIMITS_AXES])
{
    double values[LIMITS_AXES] = {0};

    for (unsigned i = 0; i < LIMITS_AXES && text[0] != '\0'; i++) {
        char *end;

        values[i] = strtod(text, &end);
        if (end == text || *end != (i + 1 < LIMITS_AXES ? ',' : '\0') || !isfinite(values[i]) ||
            values[i] < 0)
            return false;
        text = i + 1 < LIMITS_AXES ? end + 1 : end;
        if (i + 1 < LIMITS_AXES && *text == '\0')
            return false;
    }
    memcpy(ret_values, values, sizeof(values));
    return true;
}

bool limits_any(const double values[LIMITS_AXES])
{
    return values[0] > 0 || values[1] > 0 || values[2] > 0;
}

static double cut(double value, double limit)
{
    if (isnan(value))
        return 0;
    return limit > 0 ? fmax(-limit, fmin(limit, value)) : value;
}

bool limits_cut(const struct limits *limits, double velocity[LIMITS_AXES])
{
    bool changed = false;

    for (unsigned i = 0; i < LIMITS_AXES; i++) {
        double allowed = cut(velocity[i], limits->speed_max[i]);
        changed |= !(allowed == velocity[i]); /* true of what is not a number, too */
        velocity[i] = allowed;
    }
    return changed;
}

/*
 * The acceleration from which the jerk limit still brings it down to 0 on arrival. Let u be what
 * the velocity grows by in one step of dt at an acceleration of one step, jerk_max * dt. From k
 * steps and a fraction f it falls in k steps to f, then to 0, and the velocity grows by
 * (k + 1) * (k / 2 + f) * u, which is to be what is missing.
 */
static double accel_towards(double missing, double jerk_max, double dt_s)
{
    if (jerk_max <= 0)
        return missing / dt_s;
    double step = jerk_max * dt_s;
    double units = fabs(missing) / (step * dt_s);
    double k = floor((sqrt(1 + 8 * units) - 1) / 2);
    return copysign(step * (k / 2 + units / (k + 1)), missing);
}

void limits_approach(const struct limits *limits, struct glide *glide,
                     const double target[LIMITS_AXES], double dt_s)
{
    for (unsigned i = 0; i < LIMITS_AXES; i++) {
        double jerk_max = limits->jerk_max[i];

        if (limits->accel_max[i] <= 0 && jerk_max <= 0) {
            glide->velocity[i] = target[i];
            glide->accel[i] = 0;
            continue;
        }
        double accel = accel_towards(target[i] - glide->velocity[i], jerk_max, dt_s);
        accel = cut(accel, limits->accel_max[i]);
        glide->accel[i] += cut(accel - glide->accel[i], jerk_max * dt_s);
        glide->velocity[i] += glide->accel[i] * dt_s;
    }
}
