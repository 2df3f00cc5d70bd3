/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the OpenGL context, MuJoCo's visualisation structs, and a copy of the model and data of
 * its own, so that drawing needs no lock: a pose goes in, pixels come out. Runs on the render
 * thread.
 */
#include "sim/renderer.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mujoco/mujoco.h>

#include "base/log.h"
#include "sim/glcontext.h"

#define GEOMS_MAX 256
#define FONT_SCALE 100
#define DEGREES (180.0 / 3.14159265358979323846)

#define CHASE_DISTANCE_M 1.75
#define CHASE_ELEVATION (-19.0)
#define CHASE_SIDE 28.0 /* degrees beside straight behind, so that all legs show */
#define CHASE_HEIGHT_M 0.22
#define CHASE_LAG_S 0.5  /* of simulated time, to make up for two thirds of what it lags */
#define CHASE_JUMP_M 1.0 /* further than this it does not glide, it cuts */

#define SHADOW_LIFT_M 0.002F
#define SHADOW_FLATTEN 0.001F

/* How the camera follows one environment's robot. */
struct chase {
    bool chasing;    /* there is a place to glide from */
    double chased_s; /* simulated time of that place */
    double lookat_m[2];
    double azimuth;
};

struct renderer {
    struct glcontext *gl;
    mjModel *model;
    mjData *data;
    mjvScene scene;
    mjvOption option;
    mjvCamera camera;
    mjrContext context;
    int mounted[RENDERER_REAR + 1]; /* MuJoCo's number of the camera there */
    struct chase chases[RENDERER_ENVS_MAX];
};

static void set_flags(mjvScene *scene, bool software)
{
    scene->flags[mjRND_SHADOW] = !software;
    scene->flags[mjRND_REFLECTION] = 0;
    scene->flags[mjRND_SKYBOX] = 1;
    scene->flags[mjRND_HAZE] = 1;
    scene->flags[mjRND_FOG] = 0;
}

static int create_context(struct renderer *renderer, struct renderer_size size_max)
{
    int error = glcontext_create(&renderer->gl);

    if (error < 0)
        return error;
    mjr_makeContext(renderer->model, &renderer->context, FONT_SCALE);
    mjr_setBuffer(mjFB_OFFSCREEN, &renderer->context);
    if (renderer->context.currentBuffer != mjFB_OFFSCREEN ||
        renderer->context.offWidth < (int)size_max.width ||
        renderer->context.offHeight < (int)size_max.height) {
        log_error("%s cannot draw %ux%u off screen: choose a smaller --max-size, or run with "
                  "--pattern",
                  renderer_name(renderer), size_max.width, size_max.height);
        return -ENODEV;
    }
    set_flags(&renderer->scene, glcontext_is_software(renderer->gl));
    return 0;
}

int renderer_create(const struct robot *robot, struct renderer_size size_max,
                    struct renderer **ret_renderer)
{
    struct renderer *renderer = calloc(1, sizeof(*renderer));
    int error = -ENOMEM;

    if (!renderer)
        return -ENOMEM;
    mjv_defaultScene(&renderer->scene);
    mjv_defaultOption(&renderer->option);
    mjv_defaultCamera(&renderer->camera);
    mjr_defaultContext(&renderer->context);
    renderer->model = mj_copyModel(NULL, robot_model(robot));
    renderer->data = renderer->model ? mj_makeData(renderer->model) : NULL;
    if (renderer->data) {
        renderer->mounted[RENDERER_HEAD] = mj_name2id(renderer->model, mjOBJ_CAMERA, "head");
        renderer->mounted[RENDERER_REAR] = mj_name2id(renderer->model, mjOBJ_CAMERA, "rear");
        renderer->model->vis.global.offwidth = (int)size_max.width;
        renderer->model->vis.global.offheight = (int)size_max.height;
        mjv_makeScene(renderer->model, &renderer->scene, GEOMS_MAX);
        error = create_context(renderer, size_max);
    }
    if (error < 0) {
        renderer_destroy(renderer);
        return error;
    }
    *ret_renderer = renderer;
    return 0;
}

void renderer_destroy(struct renderer *renderer)
{
    if (!renderer)
        return;
    if (renderer->gl)
        mjr_freeContext(&renderer->context);
    glcontext_destroy(renderer->gl);
    mjv_freeScene(&renderer->scene);
    mj_deleteData(renderer->data);
    mj_deleteModel(renderer->model);
    free(renderer);
}

static void place_fixed(struct renderer *renderer, const struct renderer_camera *camera)
{
    double away[3];

    renderer->camera.type = mjCAMERA_FREE;
    mju_sub3(away, camera->lookat_m, camera->position_m);
    mju_copy3(renderer->camera.lookat, camera->lookat_m);
    renderer->camera.distance = fmax(mju_norm3(away), 0.05);
    renderer->camera.azimuth = atan2(away[1], away[0]) * DEGREES;
    renderer->camera.elevation = atan2(away[2], hypot(away[0], away[1])) * DEGREES;
}

/* Glides after the robot, so that its shaking does not shake the picture. */
static void place_chasing(struct renderer *renderer, struct chase *chase, double time_s)
{
    const mjtNum *at = renderer->data->qpos;
    const mjtNum *q = at + 3;
    double yaw = atan2(2 * (q[0] * q[3] + q[1] * q[2]), 1 - 2 * (q[2] * q[2] + q[3] * q[3]));
    double azimuth = yaw * DEGREES + CHASE_SIDE;
    mjvCamera *camera = &renderer->camera;
    double gone_m = hypot(at[0] - chase->lookat_m[0], at[1] - chase->lookat_m[1]);
    double part = 1.0 - exp(-fmax(time_s - chase->chased_s, 0.0) / CHASE_LAG_S);

    if (!chase->chasing || gone_m > CHASE_JUMP_M)
        part = 1.0;

    chase->lookat_m[0] += part * (at[0] - chase->lookat_m[0]);
    chase->lookat_m[1] += part * (at[1] - chase->lookat_m[1]);
    chase->azimuth += part * remainder(azimuth - chase->azimuth, 360.0);
    chase->chasing = true;
    chase->chased_s = time_s;
    camera->type = mjCAMERA_FREE;
    camera->lookat[0] = chase->lookat_m[0];
    camera->lookat[1] = chase->lookat_m[1];
    camera->lookat[2] = CHASE_HEIGHT_M;
    camera->azimuth = chase->azimuth;
    camera->elevation = CHASE_ELEVATION;
    camera->distance = CHASE_DISTANCE_M;
}

static void place(struct renderer *renderer, const struct renderer_camera *camera, double time_s)
{
    struct chase *chase = &renderer->chases[camera->env];

    if (camera->fixed) {
        chase->chasing = false;
        place_fixed(renderer, camera);
    } else if (camera->mount == RENDERER_CHASE) {
        place_chasing(renderer, chase, time_s);
    } else {
        renderer->camera.type = mjCAMERA_FIXED;
        renderer->camera.fixedcamid = renderer->mounted[camera->mount];
    }
}

/* The depth buffer's values, 0 at the near plane and 1 at the far one, become what was asked for.
 */
static void convert_depth(const struct renderer *renderer, enum renderer_channel channel,
                          struct renderer_size size, float *values)
{
    const mjvGLCamera *camera = &renderer->scene.camera[0];
    float near_m = camera->frustum_near;
    float far_m = camera->frustum_far;

    for (size_t i = 0; i < (size_t)size.width * size.height; i++) {
        float depth_m = near_m * far_m / (far_m - values[i] * (far_m - near_m));
        bool surface = depth_m <= RENDERER_DEPTH_M_MAX;
        if (channel == RENDERER_DEPTH)
            values[i] = surface ? depth_m : 0;
        else
            values[i] = surface ? 1 : 0;
    }
}

static void turn_over(float *values, struct renderer_size size)
{
    for (uint32_t y = 0; y < size.height / 2; y++) {
        float *upper = values + (size_t)y * size.width;
        float *lower = values + (size_t)(size.height - 1 - y) * size.width;
        for (uint32_t x = 0; x < size.width; x++) {
            float value = upper[x];
            upper[x] = lower[x];
            lower[x] = value;
        }
    }
}

static void read_pixels(struct renderer *renderer, enum renderer_channel channel,
                        struct renderer_size size, void *pixels)
{
    mjrRect viewport = {0, 0, (int)size.width, (int)size.height};

    if (channel == RENDERER_COLOUR) {
        mjr_readPixels(pixels, NULL, viewport, &renderer->context);
        return;
    }
    mjr_readPixels(NULL, pixels, viewport, &renderer->context);
    convert_depth(renderer, channel, size, pixels);
    if (renderer_is_bottom_up(renderer))
        turn_over(pixels, size);
}

/* The geom pressed onto the floor along the sun's rays: a shear, so any shape keeps its outline. */
static void flatten(mjvGeom *geom, const mjtNum sun[3])
{
    float along[2] = {(float)(-sun[0] / sun[2]), (float)(-sun[1] / sun[2])};
    float height = geom->pos[2];

    for (unsigned axis = 0; axis < 2; axis++) {
        geom->pos[axis] += along[axis] * height;
        for (unsigned column = 0; column < 3; column++)
            geom->mat[3 * axis + column] += along[axis] * geom->mat[6 + column];
    }
    geom->pos[2] = SHADOW_LIFT_M + SHADOW_FLATTEN * height;
    for (unsigned column = 0; column < 3; column++)
        geom->mat[6 + column] *= SHADOW_FLATTEN;
}

static void add_flat_shadows(struct renderer *renderer)
{
    static const float colour[4] = {0.43F, 0.46F, 0.50F, 1.0F};
    mjvScene *scene = &renderer->scene;
    int bodies = scene->ngeom;

    for (int i = 0; i < bodies && scene->ngeom < scene->maxgeom; i++) {
        if (scene->geoms[i].type == mjGEOM_PLANE)
            continue;
        mjvGeom *shadow = &scene->geoms[scene->ngeom++];
        *shadow = scene->geoms[i];
        flatten(shadow, renderer->model->light_dir);
        memcpy(shadow->rgba, colour, sizeof(colour));
        shadow->emission = 0;
        shadow->specular = 0;
        shadow->texid = -1;
        shadow->category = mjCAT_DECOR;
    }
}

void renderer_draw(struct renderer *renderer, const struct robot_pose *pose,
                   const struct renderer_camera *camera, struct renderer_size size, void *pixels)
{
    mjrRect viewport = {0, 0, (int)size.width, (int)size.height};

    assert((int)pose->count == renderer->model->nq);
    assert(viewport.width <= renderer->context.offWidth);
    assert(viewport.height <= renderer->context.offHeight);
    assert(camera->env < RENDERER_ENVS_MAX);
    memcpy(renderer->data->qpos, pose->value, pose->count * sizeof(pose->value[0]));
    mj_kinematics(renderer->model, renderer->data);
    mj_camlight(renderer->model, renderer->data);
    place(renderer, camera, pose->time_s);
    mjv_updateScene(renderer->model, renderer->data, &renderer->option, NULL, &renderer->camera,
                    mjCAT_ALL, &renderer->scene);
    if (glcontext_is_software(renderer->gl) && camera->channel == RENDERER_COLOUR)
        add_flat_shadows(renderer);
    mjr_render(viewport, &renderer->scene, &renderer->context);
    read_pixels(renderer, camera->channel, size, pixels);
}

bool renderer_is_bottom_up(const struct renderer *renderer)
{
    return !glcontext_read_top_first(renderer->gl);
}

const char *renderer_name(const struct renderer *renderer)
{
    return glcontext_renderer(renderer->gl);
}
