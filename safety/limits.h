/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a robot may be told to go, and how abruptly: pure functions beside the gate. A velocity
 * has three axes: forward m/s, left m/s, turn rad/s.
 *
 * Too much is cut, not refused: who pushes the stick to its end wants to go as fast as is allowed,
 * and a robot whose commands are refused stops. A hold or a stop is not slowed down by any of
 * this: whoever takes the motion away does so outside of these functions.
 *
 * Source: docs/safety.md "Limits". Thread: the owner's. Cost: nanoseconds.
 */
#ifndef SIMCAST_SAFETY_LIMITS_H
#define SIMCAST_SAFETY_LIMITS_H

#include <stdbool.h>

#define LIMITS_AXES 3

/* Of each axis; 0: no limit. */
struct limits {
    double speed_max[LIMITS_AXES]; /* m/s, m/s, rad/s, in both directions */
    double accel_max[LIMITS_AXES]; /* per second; for speeding up and for slowing down */
    double jerk_max[LIMITS_AXES];  /* per second and second */
};

/* A velocity on its way to another one. Zero it to stand still. */
struct glide {
    double velocity[LIMITS_AXES];
    double accel[LIMITS_AXES];
};

/*
 * Reads "FORWARD,LEFT,TURN", three numbers from 0; "" is no limit. Returns false, and the values
 * untouched, when it is neither.
 */
bool limits_parse(const char *text, double ret_values[LIMITS_AXES]);

/* Whether any of the three is above 0. */
bool limits_any(const double values[LIMITS_AXES]);

/*
 * Cuts each axis to its speed_max; what is not a number becomes 0. Returns whether it changed
 * anything.
 */
bool limits_cut(const struct limits *limits, double velocity[LIMITS_AXES]);

/*
 * Moves on for `dt_s` (above 0) towards `target`, which has been cut. From a constant velocity it
 * arrives without passing the target by; a target that changes on the way may be overshot by what
 * the jerk limit leaves no other way for.
 */
void limits_approach(const struct limits *limits, struct glide *glide,
                     const double target[LIMITS_AXES], double dt_s);

#endif
