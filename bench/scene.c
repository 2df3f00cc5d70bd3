/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the pictures, in memory shared with the child that draws them. Fails as a whole. */
#include "bench/scene.h"

#include <errno.h>
#include <stdbool.h>

#include "bench/peer.h"
#include "sim/renderer.h"
#include "sim/robot.h"

#define PICTURES_720P 24
#define PICTURES_1080P 4
#define STEPS_PER_PICTURE 8  /* 16 ms */
#define STEPS_BEFORE 500     /* until it walks steadily */
#define BYTES_PER_PIXEL 8.5  /* RGB24, RGBA and NV12 together, and what is left over */
#define DRAW_MS (120 * 1000) /* software rendering on a busy machine takes seconds */

struct drawing {
    struct scene scene;
    uint8_t *memory;
};

static struct drawing drawing_720p = {.scene = {1280, 720, PICTURES_720P}};
static struct drawing drawing_1080p = {.scene = {1920, 1080, PICTURES_1080P}};

static void fill_rgba(const uint8_t *rgb, size_t pixels, uint8_t *rgba)
{
    for (size_t i = 0; i < pixels; i++, rgb += 3, rgba += 4) {
        rgba[0] = rgb[0];
        rgba[1] = rgb[1];
        rgba[2] = rgb[2];
        rgba[3] = 255;
    }
}

static uint8_t to_byte(double value)
{
    return (uint8_t)(value <= 0 ? 0 : value >= 255 ? 255 : value + 0.5);
}

static void fill_luma(const uint8_t *rgb, size_t pixels, uint8_t *luma)
{
    for (size_t i = 0; i < pixels; i++, rgb += 3)
        luma[i] = to_byte(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]);
}

/* The mean colour of each block of two by two pixels. */
static void fill_chroma(const struct scene *scene, const uint8_t *rgb, uint8_t *pairs)
{
    size_t stride = (size_t)3 * scene->width;

    for (uint32_t y = 0; y < scene->height; y += 2) {
        for (uint32_t x = 0; x < scene->width; x += 2, pairs += 2) {
            const uint8_t *at = rgb + y * stride + (size_t)3 * x;
            double mean[3];
            for (unsigned i = 0; i < 3; i++)
                mean[i] = (at[i] + at[i + 3] + at[i + stride] + at[i + stride + 3]) / 4.0;
            pairs[0] = to_byte(128 - 0.168736 * mean[0] - 0.331264 * mean[1] + 0.5 * mean[2]);
            pairs[1] = to_byte(128 + 0.5 * mean[0] - 0.418688 * mean[1] - 0.081312 * mean[2]);
        }
    }
}

/* The child's memory is the parent's: what is drawn here is seen there. */
static void draw_pictures(const struct scene *scene, struct robot *robot, struct renderer *renderer)
{
    struct robot_input walk = {.velocity = {0.5, 0, 0.3}, .alpha = 1, .powered = true};
    struct renderer_size size = {scene->width, scene->height};
    struct renderer_camera chase = {.fixed = false};
    struct robot_pose pose;
    size_t pixels = scene->picture_pixels;

    for (unsigned i = 0; i < STEPS_BEFORE; i++)
        robot_step(robot, &walk);
    for (unsigned n = 0; n < scene->pictures; n++) {
        uint8_t *rgb = (uint8_t *)scene->rgb24 + n * pixels * 3;
        uint8_t *nv12 = (uint8_t *)scene->nv12 + n * pixels * 3 / 2;
        for (unsigned i = 0; i < STEPS_PER_PICTURE; i++)
            robot_step(robot, &walk);
        robot_pose(robot, &pose);
        renderer_draw(renderer, &pose, &chase, size, rgb);
        fill_rgba(rgb, pixels, (uint8_t *)scene->rgba + n * pixels * 4);
        fill_luma(rgb, pixels, nv12);
        fill_chroma(scene, rgb, nv12 + pixels);
    }
}

static int draw(void *context)
{
    const struct scene *scene = context;
    struct renderer_size size = {scene->width, scene->height};
    struct renderer *renderer;
    struct robot *robot;

    if (robot_create(&robot) < 0 || renderer_create(robot, size, &renderer) < 0)
        return 1;
    draw_pictures(scene, robot, renderer);
    renderer_destroy(renderer);
    robot_destroy(robot);
    return 0;
}

static int make(struct drawing *drawing)
{
    struct scene *scene = &drawing->scene;
    size_t pixels = (size_t)scene->width * scene->height;
    size_t all = pixels * scene->pictures;
    struct peer painter = {0};

    drawing->memory = peer_share((size_t)(BYTES_PER_PIXEL * (double)all));
    if (!drawing->memory)
        return -ENOMEM;
    scene->picture_pixels = pixels;
    scene->rgb24 = drawing->memory;
    scene->rgba = scene->rgb24 + 3 * all;
    scene->nv12 = scene->rgba + 4 * all;
    int error = peer_start(&painter, draw, scene);
    if (error == 0)
        error = peer_join(&painter, DRAW_MS);
    if (error == 0)
        return 0;
    peer_unshare(drawing->memory, (size_t)(BYTES_PER_PIXEL * (double)all));
    drawing->memory = NULL;
    return error == -EPIPE ? -ENODEV : error;
}

static int get(struct drawing *drawing, const struct scene **ret_scene)
{
    int error = drawing->memory ? 0 : make(drawing);

    if (error == 0)
        *ret_scene = &drawing->scene;
    return error;
}

int scene_720p(const struct scene **ret_scene)
{
    return get(&drawing_720p, ret_scene);
}

int scene_1080p(const struct scene **ret_scene)
{
    return get(&drawing_1080p, ret_scene);
}

unsigned scene_picture(const struct scene *scene, unsigned n)
{
    unsigned turn = 2 * (scene->pictures - 1);

    n %= turn;
    return n < scene->pictures ? n : turn - n;
}

const uint8_t *scene_rgb24(const struct scene *scene, unsigned n)
{
    return scene->rgb24 + (size_t)scene_picture(scene, n) * scene->picture_pixels * 3;
}
