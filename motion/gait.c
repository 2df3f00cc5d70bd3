/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone, on any thread; cannot fail. */
#include "motion/gait.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define PI 3.14159265358979323846

#define CYCLE_S 0.36
#define SWING_PART 0.41  /* of the cycle; below one half, so all feet meet the ground between */
#define LIFT_M 0.062     /* a foot's height at the middle of its swing */
#define ACCELERATION 1.6 /* m/s2 and, doubled, rad/s2 */
#define CAPTURE_S 0.13   /* how far a foot goes out per m/s of unwanted speed */
#define LEVEL 0.6        /* part of a tilt that the legs take back */
#define LEVEL_M_MAX 0.04
#define SWING_MPS_MAX 3.0 /* of a foot in the air, so that a late change cannot jerk it */
#define MOVING 0.015      /* m/s or rad/s that count as a wish to move */
#define SETTLING_SWINGS 3 /* on the spot before it stands, so that no foot stays far out */
#define TRIM_PER_S 1.25   /* how fast a lasting error of the speed is made up for */
#define TRIM_MAX 0.5

/* A foot's way from below its hip, forward and sideways: keeps the knee from stretching. */
static const double stride_m_max[2] = {0.16, 0.10};

static double clamp(double value, double limit)
{
    return fmax(-limit, fmin(limit, value));
}

static double leg_x(unsigned leg)
{
    return leg < 2 ? GAIT_BODY_X_M : -GAIT_BODY_X_M;
}

static double leg_side(unsigned leg)
{
    return leg % 2 == 0 ? 1.0 : -1.0;
}

void gait_leg_angles(unsigned leg, const double foot_m[3], double ret_angles_rad[3])
{
    double offset = leg_side(leg) * GAIT_HIP_M;
    double drop = sqrt(fmax(foot_m[1] * foot_m[1] + foot_m[2] * foot_m[2] - offset * offset, 1e-6));
    double reach = fmin(foot_m[0] * foot_m[0] + drop * drop,
                        (GAIT_THIGH_M + GAIT_CALF_M) * (GAIT_THIGH_M + GAIT_CALF_M));
    double bend = (reach - GAIT_THIGH_M * GAIT_THIGH_M - GAIT_CALF_M * GAIT_CALF_M) /
                  (2 * GAIT_THIGH_M * GAIT_CALF_M);
    double calf = -acos(fmax(-1.0, fmin(1.0, bend)));

    ret_angles_rad[0] = remainder(atan2(foot_m[2], foot_m[1]) - atan2(-drop, offset), 2 * PI);
    ret_angles_rad[1] = atan2(-foot_m[0], drop) -
                        atan2(GAIT_CALF_M * sin(calf), GAIT_THIGH_M + GAIT_CALF_M * cos(calf));
    ret_angles_rad[2] = calf;
}

void gait_leg_foot(unsigned leg, const double angles_rad[3], double ret_foot_m[3])
{
    double offset = leg_side(leg) * GAIT_HIP_M;
    double lower = angles_rad[1] + angles_rad[2];
    double drop = GAIT_THIGH_M * cos(angles_rad[1]) + GAIT_CALF_M * cos(lower);

    ret_foot_m[0] = -GAIT_THIGH_M * sin(angles_rad[1]) - GAIT_CALF_M * sin(lower);
    ret_foot_m[1] = offset * cos(angles_rad[0]) + drop * sin(angles_rad[0]);
    ret_foot_m[2] = offset * sin(angles_rad[0]) - drop * cos(angles_rad[0]);
}

void gait_init(struct gait *gait)
{
    memset(gait, 0, sizeof(*gait));
}

static void follow_command(struct gait *gait, const struct gait_input *input, double dt_s)
{
    static const double limits[3] = {GAIT_FORWARD_MPS_MAX, GAIT_SIDEWAYS_MPS_MAX,
                                     GAIT_TURN_RADPS_MAX};

    for (unsigned i = 0; i < 3; i++) {
        double wanted = clamp(input->command[i] * input->alpha, limits[i]);
        double step = (i == 2 ? 2 * ACCELERATION : ACCELERATION) * dt_s;
        gait->velocity[i] += clamp(wanted - gait->velocity[i], step);
    }
}

static bool wants_to_move(const struct gait *gait)
{
    for (unsigned i = 0; i < 3; i++) {
        if (fabs(gait->velocity[i]) > MOVING)
            return true;
    }
    return false;
}

/* Starts when told to move; stops only between two swings, when all feet are on the ground. */
static void advance_phase(struct gait *gait, double dt_s)
{
    double before = gait->phase;

    if (wants_to_move(gait)) {
        gait->stepping = true;
        gait->swings_left = SETTLING_SWINGS;
    }
    if (!gait->stepping)
        return;
    gait->phase += dt_s / CYCLE_S;
    bool swing_ended = gait->phase >= 1.0 || (before < 0.5 && gait->phase >= 0.5);
    gait->phase -= floor(gait->phase);
    if (swing_ended && gait->swings_left-- == 0) {
        gait->stepping = false;
        gait->phase = 0;
    }
}

/* Feet slip a little; what that costs in speed over some time is added to the steps. */
static void trim_velocity(struct gait *gait, const struct gait_input *input, double dt_s)
{
    bool moving = wants_to_move(gait);

    for (unsigned i = 0; i < 3; i++) {
        double error = gait->velocity[i] - input->measured[i];
        gait->trim[i] = moving ? clamp(gait->trim[i] + TRIM_PER_S * error * dt_s, TRIM_MAX) : 0;
    }
}

/* How far this leg is through its swing, 0 to 1; negative while it stands. */
static double swing_part(const struct gait *gait, unsigned leg)
{
    bool second_pair = leg == 1 || leg == 2;
    double phase = gait->phase + (second_pair ? 0.5 : 0.0);

    phase -= floor(phase);
    return gait->stepping && phase < SWING_PART ? phase / SWING_PART : -1.0;
}

static void move_foot(struct gait *gait, const struct gait_input *input, unsigned leg, double dt_s)
{
    double swing = swing_part(gait, leg);
    double at[2] = {leg_x(leg), leg_side(leg) * (GAIT_BODY_Y_M + GAIT_HIP_M)};
    /* The velocity of the point above the foot, wanted and measured: v + w x r. */
    double turn = gait->velocity[2] + gait->trim[2];
    double wanted[2] = {gait->velocity[0] + gait->trim[0] - turn * at[1],
                        gait->velocity[1] + gait->trim[1] + turn * at[0]};
    double measured[2] = {input->measured[0] - input->measured[2] * at[1],
                          input->measured[1] + input->measured[2] * at[0]};
    double stance_s = (1.0 - SWING_PART) * CYCLE_S;
    double left_s = (1.0 - swing) * SWING_PART * CYCLE_S;

    for (unsigned i = 0; i < 2 && gait->stepping; i++) {
        double *foot = &gait->foot[leg][i];
        double target = clamp(0.5 * stance_s * wanted[i] + CAPTURE_S * (measured[i] - wanted[i]),
                              stride_m_max[i]);
        if (swing < 0)
            *foot = clamp(*foot - wanted[i] * dt_s, stride_m_max[i]);
        else
            *foot += clamp((target - *foot) * fmin(1.0, dt_s / fmax(left_s, dt_s)),
                           SWING_MPS_MAX * dt_s);
    }
}

void gait_step(struct gait *gait, const struct gait_input *input, double dt_s,
               double ret_joints_rad[ROBOT_JOINTS])
{
    follow_command(gait, input, dt_s);
    trim_velocity(gait, input, dt_s);
    advance_phase(gait, dt_s);
    for (unsigned leg = 0; leg < GAIT_LEGS; leg++) {
        double swing = swing_part(gait, leg);
        double side_m = leg_side(leg) * (GAIT_BODY_Y_M + GAIT_HIP_M);
        double level = LEVEL * (input->roll_rad * side_m - input->pitch_rad * leg_x(leg));
        double lift = swing < 0 ? 0.0 : LIFT_M * sin(PI * swing) * sin(PI * swing);

        move_foot(gait, input, leg, dt_s);
        double foot_m[3] = {gait->foot[leg][0], gait->foot[leg][1] + leg_side(leg) * GAIT_HIP_M,
                            -GAIT_STAND_M + clamp(level, LEVEL_M_MAX) + lift};
        gait_leg_angles(leg, foot_m, ret_joints_rad + (size_t)3 * leg);
    }
}
