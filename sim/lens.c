/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns one frame ring. The renderer is the render thread's and is lent for each shot. A frame that
 * cannot be loaned is no frame; nothing here blocks on a consumer.
 */
#include "sim/lens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/batch.h"
#include "proto/pixel.h"
#include "proto/robot_state.h"
#include "shm/ring.h"
#include "sim/pattern.h"

#define RING_LEASES 8
#define RING_LEASE_NS_MAX (2 * NS_PER_S) /* who holds a picture longer is stuck */

_Static_assert(sizeof(struct frame_batch) + sizeof(struct robot_state) <= RING_USER_BYTES,
               "robot_state travels with a frame");

struct lens {
    struct lens_config config;
    struct ring_producer *ring;
    bool wanted;
};

static bool is_colour(const struct lens *lens)
{
    return lens->config.channel == RENDERER_COLOUR;
}

static size_t picture_bytes(const struct lens *lens, struct renderer_size size)
{
    return (size_t)(is_colour(lens) ? 3 : sizeof(float)) * size.width * size.height;
}

static int open_ring(struct lens *lens)
{
    const struct lens_config *config = &lens->config;
    struct ring_producer_config ring = {
        .dir = config->dir,
        .stream = config->name,
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = config->envs * picture_bytes(lens, config->size_max),
        .leases_max = RING_LEASES,
        .lease_ns_max = RING_LEASE_NS_MAX,
    };
    int error = ring_producer_open(&ring, &lens->ring);

    if (error == -EADDRINUSE) {
        log_error("another simulator or camera already feeds stream '%s' in %s: stop it, or choose "
                  "another --stream, --camera or --ipc-dir",
                  config->name, config->dir);
    } else if (error == -ENOSPC || error == -ENOMEM) {
        log_error("not enough memory for the frames of stream '%s' (%zu bytes each): free some, "
                  "or choose a smaller --max-size",
                  config->name, ring.payload_bytes_max);
    } else if (error < 0) {
        log_error("cannot open stream '%s' in %s: %s: check --stream, --camera and --ipc-dir",
                  config->name, config->dir, strerrordesc_np(-error));
    }
    return error;
}

int lens_open(const struct lens_config *config, struct lens **ret_lens)
{
    struct lens *lens = calloc(1, sizeof(*lens));

    if (!lens)
        return -ENOMEM;
    lens->config = *config;
    int error = open_ring(lens);
    if (error < 0) {
        lens_close(lens);
        return error;
    }
    *ret_lens = lens;
    return 0;
}

void lens_close(struct lens *lens)
{
    if (!lens)
        return;
    ring_producer_close(lens->ring);
    free(lens);
}

int lens_demand_fd(const struct lens *lens)
{
    return ring_producer_demand_fd(lens->ring);
}

bool lens_is_wanted(struct lens *lens, uint32_t *ret_watchers)
{
    struct ring_demand demand;
    eventfd_t drained;

    (void)eventfd_read(lens_demand_fd(lens), &drained);
    ring_producer_demand(lens->ring, &demand);
    bool wanted = demand.wanting > 0;
    if (wanted != lens->wanted)
        log_info("%s: %s", lens->config.name,
                 wanted ? "frames are wanted: rendering" : "nobody wants frames: rendering paused");
    lens->wanted = wanted;
    *ret_watchers = demand.wanting;
    return wanted;
}

static void draw_pattern(const struct lens *lens, const struct lens_shot *shot, unsigned env,
                         void *pixels)
{
    struct pattern pattern = {shot->size.width, shot->size.height, shot->frame_id, env};

    if (is_colour(lens))
        pattern_draw(&pattern, pixels);
    else
        pattern_draw_floats(&pattern, lens->config.channel == RENDERER_DEPTH, pixels);
}

/* All environments, and the robot's state of the first. */
static void draw(struct lens *lens, struct renderer *renderer, const struct lens_shot *shot,
                 uint8_t *pixels, struct robot_state *ret_state)
{
    unsigned envs = lens->config.envs;
    size_t bytes = picture_bytes(lens, shot->size);
    bool bottom_up = renderer && is_colour(lens) && renderer_is_bottom_up(renderer);
    struct renderer_camera camera = shot->camera;
    struct world_snapshot now;

    camera.channel = lens->config.channel;
    for (unsigned env = 0; env < envs; env++) {
        uint8_t *at = pixels + bytes * (bottom_up ? envs - 1 - env : env);
        if (renderer || env == 0)
            world_observe(lens->config.worlds[env], &now);
        if (env == 0)
            *ret_state = now.state;
        camera.env = env;
        if (renderer)
            renderer_draw(renderer, &now.pose, &camera, shot->size, at);
        else
            draw_pattern(lens, shot, env, at);
    }
}

/* Returns the bytes of the metadata. */
static uint32_t describe(unsigned envs, const struct robot_state *state, uint8_t *user)
{
    struct frame_batch batch = {.magic = FRAME_BATCH_MAGIC, .count = envs};
    uint32_t used = 0;

    if (envs > 1) {
        memcpy(user, &batch, sizeof(batch));
        used = sizeof(batch);
    }
    memcpy(user + used, state, sizeof(*state));
    return used + (uint32_t)sizeof(*state);
}

bool lens_shoot(struct lens *lens, struct renderer *renderer, const struct lens_shot *shot)
{
    unsigned envs = lens->config.envs;
    bool colour = is_colour(lens);
    bool bottom_up = renderer && colour && renderer_is_bottom_up(renderer);
    struct robot_state state;
    struct ring_loan loan;

    if (ring_loan(lens->ring, &loan) < 0)
        return false;
    draw(lens, renderer, shot, loan.payload, &state);
    struct ring_frame frame = {
        .frame_id = shot->frame_id,
        .payload_bytes = envs * picture_bytes(lens, shot->size),
        .flags = RING_FRAME_KEYFRAME | (bottom_up ? RING_FRAME_BOTTOM_UP : 0),
        .fourcc = colour ? PIXEL_RGB24 : PIXEL_DEPTH,
        .width = shot->size.width,
        .height = envs * shot->size.height,
        .stride_bytes = (colour ? 3 : (uint32_t)sizeof(float)) * shot->size.width,
        .matrix = RING_MATRIX_SRGB,
        .range = RING_RANGE_FULL,
        .user_bytes = describe(envs, &state, loan.user),
        .sim_time_ns = state.sim_time_ns,
        .stamp_ns[RING_STAGE_RENDERED] = clock_now_ns(),
    };
    return ring_publish(lens->ring, &loan, &frame) >= 0;
}
