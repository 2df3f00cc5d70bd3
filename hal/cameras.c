/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a ring consumer per camera and the table of its pins, on the HAL thread. The counts are
 * all that other threads touch. A ring that is away, or a frame in another format, is no picture.
 */
#include "hal/cameras.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
#include "proto/pixel.h"
#include "shm/ring.h"

#define PINS 6 /* the newest, what the link and the policy hold, and one to take the next */

struct camera_frame {
    atomic_uint users; /* camera_drop releases, the owner acquires */
    bool pinned;       /* the owner's */
    struct ring_view view;
};

struct camera {
    struct ring_consumer *ring; /* NULL: no such camera */
    struct camera_frame *newest;
    struct camera_frame frames[PINS];
    bool complained;
};

struct cameras {
    struct camera list[POLICY_IMAGE_COUNT];
};

int cameras_open(const char *dir, const char *const streams[POLICY_IMAGE_COUNT],
                 struct cameras **ret_cameras)
{
    struct cameras *cameras = calloc(1, sizeof(*cameras));

    if (!cameras)
        return -ENOMEM;
    for (unsigned i = 0; i < POLICY_IMAGE_COUNT; i++) {
        struct ring_consumer_config config = {
            .dir = dir, .stream = streams[i], .kind = RING_KIND_FRAMES, .leases = PINS};
        int error = streams[i] ? ring_consumer_open(&config, &cameras->list[i].ring) : 0;
        if (error < 0) {
            cameras_close(cameras);
            return error;
        }
        if (streams[i])
            ring_consumer_want(cameras->list[i].ring, true);
    }
    *ret_cameras = cameras;
    return 0;
}

void cameras_close(struct cameras *cameras)
{
    if (!cameras)
        return;
    for (unsigned i = 0; i < POLICY_IMAGE_COUNT; i++)
        ring_consumer_close(cameras->list[i].ring); /* which unpins all */
    free(cameras);
}

static struct camera_frame *free_frame(struct camera *camera)
{
    for (unsigned i = 0; i < PINS; i++) {
        if (!camera->frames[i].pinned)
            return &camera->frames[i];
    }
    return NULL;
}

static void unpin_unused(struct camera *camera)
{
    for (unsigned i = 0; i < PINS; i++) {
        struct camera_frame *frame = &camera->frames[i];
        /* Pairs with the release in camera_drop: its reads of the picture are over. */
        if (frame->pinned && atomic_load_explicit(&frame->users, memory_order_acquire) == 0) {
            (void)ring_release(camera->ring, &frame->view);
            frame->pinned = false;
        }
    }
}

static void refresh(struct camera *camera)
{
    struct camera_frame *frame;

    unpin_unused(camera);
    frame = free_frame(camera);
    if (!frame || ring_acquire(camera->ring, RING_LATEST, &frame->view) < 0)
        return;
    frame->pinned = true;
    atomic_store_explicit(&frame->users, 1, memory_order_relaxed); /* the newest is ours */
    camera_drop(camera->newest);
    camera->newest = frame;
}

void cameras_refresh(struct cameras *cameras)
{
    for (unsigned i = 0; i < POLICY_IMAGE_COUNT; i++) {
        if (cameras->list[i].ring)
            refresh(&cameras->list[i]);
    }
}

static bool is_usable(const struct ring_frame *frame, enum policy_image_index index)
{
    uint32_t fourcc = index <= POLICY_RGB_CAMERA_2 ? PIXEL_RGB24 : PIXEL_DEPTH;

    return frame->fourcc == fourcc && frame->height > 0 &&
           pixel_frame_bytes(fourcc, frame->width, frame->height, frame->stride_bytes) > 0 &&
           frame->payload_bytes >=
               pixel_frame_bytes(fourcc, frame->width, frame->height, frame->stride_bytes);
}

struct camera_frame *cameras_use(struct cameras *cameras, enum policy_image_index index,
                                 struct policy_image *ret_image)
{
    struct camera *camera = &cameras->list[index];
    struct camera_frame *newest = camera->newest;

    if (!newest)
        return NULL;
    const struct ring_frame *frame = &newest->view.frame;
    if (!is_usable(frame, index)) {
        if (!camera->complained)
            log_warning("camera %u: frames are %s, but %s is needed: no picture from there",
                        (unsigned)index, pixel_name(frame->fourcc),
                        index <= POLICY_RGB_CAMERA_2 ? "rgb24" : "depth");
        camera->complained = true;
        return NULL;
    }
    const uint8_t *first = newest->view.payload;
    bool bottom_up = frame->flags & RING_FRAME_BOTTOM_UP;
    size_t last_row = (size_t)(frame->height - 1) * frame->stride_bytes;
    *ret_image = (struct policy_image){
        .top_row = bottom_up ? first + last_row : first,
        .stride_bytes = bottom_up ? -(int64_t)frame->stride_bytes : (int64_t)frame->stride_bytes,
        .width = frame->width,
        .height = frame->height,
        .frame_id = frame->frame_id,
        .published_ns = frame->stamp_ns[RING_STAGE_PUBLISHED],
    };
    atomic_fetch_add_explicit(&newest->users, 1, memory_order_relaxed);
    return newest;
}

void camera_drop(struct camera_frame *frame)
{
    if (frame)
        atomic_fetch_sub_explicit(&frame->users, 1, memory_order_release);
}
