/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns MuJoCo's model and data and the gait, on the physics thread. The model is compiled from
 * the XML that the build embeds, so the program runs from anywhere. What MuJoCo itself finds
 * wrong while running (a diverged simulation) it resets and reports as a warning, which is logged
 * here instead of in a file of MuJoCo's; its fatal errors are ours and end the process.
 */
#include "sim/robot.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mujoco/mujoco.h>

#include "base/clock.h"
#include "base/log.h"
#include "motion/gait.h"

#define MODEL_NAME "quadruped.xml"
#define FREE_JOINT_POSITIONS 7 /* the trunk's position and quaternion come first */
#define FREE_JOINT_SPEEDS 6
#define UPRIGHT_MIN 0.4 /* cosine of the trunk's tilt */
#define HEIGHT_M_MIN 0.12

/* embed.py's output */
extern const unsigned char quadruped_xml[];
extern const unsigned quadruped_xml_bytes;

struct robot {
    mjModel *model;
    mjData *data;
    struct gait gait;
    struct robot_input applied;
    struct robot_drive drive;
    bool driven;
    double stiffness;            /* the model's own, of the gait */
    double changed;              /* how much of a change between gait and drive is done, 0 to 1 */
    double before[ROBOT_JOINTS]; /* the angles wanted when the change began */
    uint64_t steps;
};

static void on_error(const char *message)
{
    log_error("MuJoCo stopped: %s", message);
    abort();
}

static void on_warning(const char *message)
{
    log_warning("MuJoCo: %s", message);
}

static mjModel *compile_model(void)
{
    char reason[512] = "";
    mjVFS *files = malloc(sizeof(*files));
    mjModel *model = NULL;

    if (!files)
        return NULL;
    mj_defaultVFS(files);
    if (mj_makeEmptyFileVFS(files, MODEL_NAME, (int)quadruped_xml_bytes) == 0) {
        memcpy(files->filedata[0], quadruped_xml, quadruped_xml_bytes);
        model = mj_loadXML(MODEL_NAME, files, reason, sizeof(reason));
    }
    if (!model)
        log_error("the built-in robot does not compile in MuJoCo %s: %s", mj_versionString(),
                  reason);
    mj_deleteVFS(files);
    free(files);
    return model;
}

int robot_create(struct robot **ret_robot)
{
    struct robot *robot = calloc(1, sizeof(*robot));

    if (!robot)
        return -ENOMEM;
    mju_user_error = on_error;
    mju_user_warning = on_warning;
    robot->model = compile_model();
    if (!robot->model) {
        robot_destroy(robot);
        return -EBADMSG;
    }
    robot->data = mj_makeData(robot->model);
    if (!robot->data) {
        robot_destroy(robot);
        return -ENOMEM;
    }
    assert(robot->model->nu == ROBOT_JOINTS && robot->model->nq <= ROBOT_POSE_MAX);
    assert(llround(robot->model->opt.timestep * 1e9) == ROBOT_STEP_NS);
    robot->stiffness = robot->model->actuator_gainprm[0];
    robot_reset(robot);
    *ret_robot = robot;
    return 0;
}

void robot_destroy(struct robot *robot)
{
    if (!robot)
        return;
    mj_deleteData(robot->data);
    mj_deleteModel(robot->model);
    free(robot);
}

void robot_reset(struct robot *robot)
{
    static const struct gait_input at_rest = {.alpha = 1};
    mjData *data = robot->data;
    double time_s = data->time;

    mj_resetData(robot->model, data);
    data->time = time_s;
    gait_init(&robot->gait);
    gait_step(&robot->gait, &at_rest, 1e-9 * (double)ROBOT_STEP_NS, data->ctrl);
    memcpy(data->qpos + FREE_JOINT_POSITIONS, data->ctrl, ROBOT_JOINTS * sizeof(data->ctrl[0]));
    mj_forward(robot->model, data);
    memset(&robot->applied, 0, sizeof(robot->applied));
    robot->changed = 1;
}

static void set_gains(mjModel *model, double stiffness, double damping)
{
    for (int i = 0; i < model->nu; i++) {
        model->actuator_gainprm[i * mjNGAIN] = stiffness;
        model->actuator_biasprm[i * mjNBIAS + 1] = -stiffness;
        model->actuator_biasprm[i * mjNBIAS + 2] = -damping;
    }
}

void robot_drive(struct robot *robot, const struct robot_drive *drive)
{
    if (robot->driven != (drive != NULL)) {
        robot->driven = drive != NULL;
        robot->changed = 0;
        memcpy(robot->before, robot->data->ctrl, sizeof(robot->before));
        gait_init(&robot->gait);
    }
    if (drive) {
        robot->drive = *drive;
        set_gains(robot->model, fmin(fmax(drive->stiffness_nm_per_rad, 0), ROBOT_STIFFNESS_MAX),
                  fmin(fmax(drive->damping_nms_per_rad, 0), ROBOT_DAMPING_MAX));
    } else {
        set_gains(robot->model, robot->stiffness, 0);
    }
}

/* The trunk's velocity in its own frame; MuJoCo gives the linear part in the world's. */
static void body_velocity(const mjData *data, double ret_mps[3])
{
    mjtNum inverse[4];

    mju_negQuat(inverse, data->qpos + 3);
    mju_rotVecQuat(ret_mps, data->qvel, inverse);
}

static void roll_and_pitch(const mjData *data, double *ret_roll, double *ret_pitch)
{
    const mjtNum *q = data->qpos + 3; /* w, x, y, z */

    *ret_roll = atan2(2 * (q[0] * q[1] + q[2] * q[3]), 1 - 2 * (q[1] * q[1] + q[2] * q[2]));
    *ret_pitch = asin(fmax(-1.0, fmin(1.0, 2 * (q[0] * q[2] - q[3] * q[1]))));
}

static void follow_gait(struct robot *robot, struct gait_input *input)
{
    mjData *data = robot->data;

    body_velocity(data, input->measured);
    input->measured[2] = data->qvel[5];
    roll_and_pitch(data, &input->roll_rad, &input->pitch_rad);
    gait_step(&robot->gait, input, 1e-9 * (double)ROBOT_STEP_NS, data->ctrl);
}

static void change_over(struct robot *robot)
{
    robot->changed = fmin(1, robot->changed + 1e-9 * (double)ROBOT_STEP_NS / ROBOT_CHANGE_S);
    for (unsigned i = 0; i < ROBOT_JOINTS && robot->changed < 1; i++) {
        mjtNum *wanted = &robot->data->ctrl[i];
        *wanted = robot->before[i] + robot->changed * (*wanted - robot->before[i]);
    }
}

void robot_step(struct robot *robot, const struct robot_input *input)
{
    mjData *data = robot->data;
    struct gait_input gait = {.alpha = input->alpha};
    bool drives = input->powered && !robot_has_fallen(robot);

    robot->applied = *input;
    for (unsigned i = 0; i < 3; i++) {
        if (!drives)
            robot->applied.velocity[i] = 0;
        gait.command[i] = robot->applied.velocity[i];
    }
    if (robot->driven)
        memcpy(data->ctrl, robot->drive.joint_position_rad, ROBOT_JOINTS * sizeof(data->ctrl[0]));
    else
        follow_gait(robot, &gait);
    change_over(robot);
    mj_step(robot->model, data);
    robot->steps++;
}

void robot_observe(const struct robot *robot, struct robot_state *ret_state)
{
    const mjData *data = robot->data;
    double velocity_mps[3];

    body_velocity(data, velocity_mps);
    *ret_state = (struct robot_state){
        .magic = ROBOT_STATE_MAGIC,
        .sim_time_ns = (int64_t)robot->steps * ROBOT_STEP_NS,
        .step = robot->steps,
        .position_m = {data->qpos[0], data->qpos[1], data->qpos[2]},
        .alpha = (float)robot->applied.alpha,
        .orientation_xyzw = {data->qpos[4], data->qpos[5], data->qpos[6], data->qpos[3]},
    };
    for (unsigned i = 0; i < 3; i++) {
        ret_state->linear_velocity_mps[i] = (float)velocity_mps[i];
        ret_state->angular_velocity_radps[i] = (float)data->qvel[3 + i];
        ret_state->command[i] = (float)robot->applied.velocity[i];
    }
    for (unsigned i = 0; i < ROBOT_JOINTS; i++) {
        ret_state->joint_position_rad[i] = (float)data->qpos[FREE_JOINT_POSITIONS + i];
        ret_state->joint_velocity_radps[i] = (float)data->qvel[FREE_JOINT_SPEEDS + i];
    }
}

void robot_pose(const struct robot *robot, struct robot_pose *ret_pose)
{
    ret_pose->count = (unsigned)robot->model->nq;
    ret_pose->time_s = (double)robot->steps * (double)ROBOT_STEP_NS * 1e-9;
    memcpy(ret_pose->value, robot->data->qpos, ret_pose->count * sizeof(ret_pose->value[0]));
}

bool robot_has_fallen(const struct robot *robot)
{
    const mjtNum *q = robot->data->qpos + 3;
    double upright = 1 - 2 * (q[1] * q[1] + q[2] * q[2]);

    return upright < UPRIGHT_MIN || robot->data->qpos[2] < HEIGHT_M_MIN;
}

const void *robot_model(const struct robot *robot)
{
    return robot->model;
}
