/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trotting gait: from a wanted velocity to twelve joint angles. Diagonal legs swing together;
 * a foot on the ground moves back at the body's speed, a foot in the air travels to where it will
 * be needed, and is put further out when the body moves faster than wanted. Two small corrections
 * keep the trunk level. With no velocity wanted it finishes the step and stands.
 *
 * Legs: front left, front right, rear left, rear right; angles hip, thigh, calf, in radians, as in
 * proto/robot_state.h. Frames follow REP-103: x forward, y left, z up.
 *
 * Thread: the owner's. Cost: no allocation, about 1 us.
 */
#ifndef SIMCAST_MOTION_GAIT_H
#define SIMCAST_MOTION_GAIT_H

#include <stdbool.h>

#include "proto/robot_state.h"

#define GAIT_LEGS 4
#define GAIT_HIP_M 0.085   /* hip joint to the leg's plane */
#define GAIT_THIGH_M 0.2   /* thigh joint to calf joint */
#define GAIT_CALF_M 0.2    /* calf joint to foot */
#define GAIT_BODY_X_M 0.19 /* trunk centre to hip joint, forward */
#define GAIT_BODY_Y_M 0.05 /* the same, sideways */
#define GAIT_STAND_M 0.29  /* hip joint above the foot when standing */

/* What the legs can do; a velocity beyond is cut to these. */
#define GAIT_FORWARD_MPS_MAX 0.8
#define GAIT_SIDEWAYS_MPS_MAX 0.3
#define GAIT_TURN_RADPS_MAX 1.2

struct gait_input {
    double command[3];  /* forward m/s, left m/s, turn rad/s */
    double measured[3]; /* the same of the body now, in its own frame */
    double roll_rad;
    double pitch_rad;
    double alpha; /* 0: stand, 1: the whole gait */
};

/* Embed it; all fields belong to gait.c. */
struct gait {
    bool stepping;
    int swings_left;           /* before it stands still */
    double phase;              /* 0 to 1 over one cycle */
    double velocity[3];        /* the command after its acceleration limit */
    double trim[3];            /* added to it because feet slip */
    double foot[GAIT_LEGS][2]; /* each foot's way from below its hip, x and y, metres */
};

/* Standing, feet below the hips. */
void gait_init(struct gait *gait);

/* Advances by `dt_s` (above 0, at most 0.02) and gives the joint angles to hold. */
void gait_step(struct gait *gait, const struct gait_input *input, double dt_s,
               double ret_joints_rad[ROBOT_JOINTS]);

/*
 * The angles that put a foot at `foot_m`, as seen from its hip joint. A point out of reach gives
 * the straight leg in its direction. The knee always bends backwards.
 */
void gait_leg_angles(unsigned leg, const double foot_m[3], double ret_angles_rad[3]);

/* Where the foot is at these angles: the inverse of gait_leg_angles. */
void gait_leg_foot(unsigned leg, const double angles_rad[3], double ret_foot_m[3]);

#endif
