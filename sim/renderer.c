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

struct renderer {
    struct glcontext *gl;
    mjModel *model;
    mjData *data;
    mjvScene scene;
    mjvOption option;
    mjvCamera camera;
    mjrContext context;
    bool chasing;    /* the camera follows and has a place to glide from */
    double chased_s; /* simulated time of that place */
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

    mju_sub3(away, camera->lookat_m, camera->position_m);
    mju_copy3(renderer->camera.lookat, camera->lookat_m);
    renderer->camera.distance = fmax(mju_norm3(away), 0.05);
    renderer->camera.azimuth = atan2(away[1], away[0]) * DEGREES;
    renderer->camera.elevation = atan2(away[2], hypot(away[0], away[1])) * DEGREES;
    renderer->chasing = false;
}

/* Glides after the robot, so that its shaking does not shake the picture. */
static void place_chasing(struct renderer *renderer, double time_s)
{
    const mjtNum *at = renderer->data->qpos;
    const mjtNum *q = at + 3;
    double yaw = atan2(2 * (q[0] * q[3] + q[1] * q[2]), 1 - 2 * (q[2] * q[2] + q[3] * q[3]));
    double azimuth = yaw * DEGREES + CHASE_SIDE;
    mjvCamera *camera = &renderer->camera;
    double gone_m = hypot(at[0] - camera->lookat[0], at[1] - camera->lookat[1]);
    double part = 1.0 - exp(-fmax(time_s - renderer->chased_s, 0.0) / CHASE_LAG_S);

    if (!renderer->chasing || gone_m > CHASE_JUMP_M)
        part = 1.0;

    camera->lookat[0] += part * (at[0] - camera->lookat[0]);
    camera->lookat[1] += part * (at[1] - camera->lookat[1]);
    camera->lookat[2] = CHASE_HEIGHT_M;
    camera->azimuth += part * remainder(azimuth - camera->azimuth, 360.0);
    camera->elevation = CHASE_ELEVATION;
    camera->distance = CHASE_DISTANCE_M;
    renderer->chasing = true;
    renderer->chased_s = time_s;
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
                   const struct renderer_camera *camera, struct renderer_size size, uint8_t *rgb)
{
    mjrRect viewport = {0, 0, (int)size.width, (int)size.height};

    assert((int)pose->count == renderer->model->nq);
    assert(viewport.width <= renderer->context.offWidth);
    assert(viewport.height <= renderer->context.offHeight);
    memcpy(renderer->data->qpos, pose->value, pose->count * sizeof(pose->value[0]));
    mj_kinematics(renderer->model, renderer->data);
    mj_camlight(renderer->model, renderer->data);
    if (camera->fixed)
        place_fixed(renderer, camera);
    else
        place_chasing(renderer, pose->time_s);
    mjv_updateScene(renderer->model, renderer->data, &renderer->option, NULL, &renderer->camera,
                    mjCAT_ALL, &renderer->scene);
    if (glcontext_is_software(renderer->gl))
        add_flat_shadows(renderer);
    mjr_render(viewport, &renderer->scene, &renderer->context);
    mjr_readPixels(rgb, NULL, viewport, &renderer->context);
}

const char *renderer_name(const struct renderer *renderer)
{
    return glcontext_renderer(renderer->gl);
}
