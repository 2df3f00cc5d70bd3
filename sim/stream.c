/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the frame ring and the render thread; the renderer is created, used and destroyed on that
 * thread. The lock guards what others set and read: size, rate, camera, counts. A frame that
 * cannot be loaned is counted as skipped; nothing here blocks on a consumer.
 */
#include "sim/stream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <semaphore.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/pixel.h"
#include "proto/robot_state.h"
#include "shm/ring.h"
#include "sim/pattern.h"

#define RING_LEASES 8
#define RING_LEASE_NS_MAX (2 * NS_PER_S) /* who holds a picture longer is stuck */

_Static_assert(sizeof(struct robot_state) <= RING_USER_BYTES, "robot_state travels with a frame");

struct stream {
    struct world *world;
    struct stream_config config;
    struct ring_producer *ring;
    int stop_fd; /* eventfd: the thread ends */
    pthread_t thread;
    bool running;
    sem_t ready;     /* posted once, when the thread can draw or never will */
    int start_error; /* valid after `ready` */
    pthread_mutex_t lock;
    struct stream_status status;   /* guarded by lock */
    struct renderer_camera camera; /* guarded by lock */
};

/* What one picture is made with: copied under the lock, so that it cannot change meanwhile. */
struct shot {
    struct renderer_size size;
    struct renderer_camera camera;
    uint64_t frame_id;
    int64_t period_ns;
};

static struct shot next_shot(struct stream *stream)
{
    struct shot shot;

    pthread_mutex_lock(&stream->lock);
    shot.size = stream->status.size;
    shot.camera = stream->camera;
    shot.frame_id = stream->status.frames + 1;
    shot.period_ns = NS_PER_S / stream->status.fps;
    pthread_mutex_unlock(&stream->lock);
    return shot;
}

static void count(struct stream *stream, uint64_t frames, uint64_t skipped)
{
    pthread_mutex_lock(&stream->lock);
    stream->status.frames += frames;
    stream->status.skipped += skipped;
    pthread_mutex_unlock(&stream->lock);
}

static bool draw_and_publish(struct stream *stream, struct renderer *renderer,
                             const struct shot *shot)
{
    struct world_snapshot now;
    struct ring_loan loan;

    if (ring_loan(stream->ring, &loan) < 0)
        return false;
    world_observe(stream->world, &now);
    if (renderer)
        renderer_draw(renderer, &now.pose, &shot->camera, shot->size, loan.payload);
    else
        pattern_draw(&(struct pattern){shot->size.width, shot->size.height, shot->frame_id},
                     loan.payload);
    memcpy(loan.user, &now.state, sizeof(now.state));
    struct ring_frame frame = {
        .frame_id = shot->frame_id,
        .payload_bytes = (uint64_t)3 * shot->size.width * shot->size.height,
        .flags = RING_FRAME_KEYFRAME | (renderer ? RING_FRAME_BOTTOM_UP : 0),
        .fourcc = PIXEL_RGB24,
        .width = shot->size.width,
        .height = shot->size.height,
        .stride_bytes = 3 * shot->size.width,
        .matrix = RING_MATRIX_SRGB,
        .range = RING_RANGE_FULL,
        .user_bytes = sizeof(now.state),
        .sim_time_ns = now.state.sim_time_ns,
        .stamp_ns[RING_STAGE_RENDERED] = clock_now_ns(),
    };
    return ring_publish(stream->ring, &loan, &frame) >= 0;
}

/* Sleeps until the time, the demand's change or the stop; false: stop. Negative time: for ever. */
static bool sleep_until(struct stream *stream, int64_t when_ns)
{
    struct pollfd fds[2] = {
        {.fd = stream->stop_fd, .events = POLLIN},
        {.fd = ring_producer_demand_fd(stream->ring), .events = POLLIN},
    };
    int64_t left_ns = when_ns - clock_now_ns();
    struct timespec timeout = {0};
    eventfd_t drained;

    if (left_ns > 0)
        timeout = (struct timespec){left_ns / NS_PER_S, left_ns % NS_PER_S};
    if (ppoll(fds, 2, when_ns < 0 ? NULL : &timeout, NULL) > 0 && fds[1].revents != 0)
        eventfd_read(fds[1].fd, &drained);
    return fds[0].revents == 0;
}

static bool is_wanted(struct stream *stream)
{
    struct ring_demand demand;

    ring_producer_demand(stream->ring, &demand);
    pthread_mutex_lock(&stream->lock);
    bool changed = (stream->status.watchers > 0) != (demand.wanting > 0);
    stream->status.watchers = demand.wanting;
    pthread_mutex_unlock(&stream->lock);
    if (changed)
        log_info("%s", demand.wanting > 0 ? "frames are wanted: rendering"
                                          : "nobody wants frames: rendering paused");
    return demand.wanting > 0;
}

static void render_while_running(struct stream *stream, struct renderer *renderer)
{
    int64_t due_ns = clock_now_ns();
    bool wanted = is_wanted(stream);

    while (sleep_until(stream, wanted ? due_ns : -1)) {
        bool was_wanted = wanted;
        int64_t now_ns = clock_now_ns();
        wanted = is_wanted(stream);
        if (wanted && !was_wanted)
            due_ns = now_ns;
        if (!wanted || now_ns < due_ns)
            continue;
        struct shot shot = next_shot(stream);
        bool published = draw_and_publish(stream, renderer, &shot);
        due_ns += shot.period_ns;
        now_ns = clock_now_ns();
        int64_t missed = now_ns > due_ns ? (now_ns - due_ns) / shot.period_ns : 0;
        due_ns += missed * shot.period_ns;
        count(stream, published ? 1 : 0, (uint64_t)missed + (published ? 0 : 1));
    }
}

static void *run(void *argument)
{
    struct stream *stream = argument;
    struct renderer *renderer = NULL;

    if (!stream->config.pattern)
        stream->start_error =
            renderer_create(world_robot(stream->world), stream->config.size_max, &renderer);
    if (renderer)
        log_info("drawing with %s", renderer_name(renderer));
    bool can_draw = stream->start_error == 0;
    sem_post(&stream->ready);
    if (can_draw)
        render_while_running(stream, renderer);
    renderer_destroy(renderer);
    return NULL;
}

static int open_ring(struct stream *stream)
{
    const struct stream_config *config = &stream->config;
    struct ring_producer_config ring = {
        .dir = config->dir,
        .stream = config->name,
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = (size_t)3 * config->size_max.width * config->size_max.height,
        .leases_max = RING_LEASES,
        .lease_ns_max = RING_LEASE_NS_MAX,
    };
    int error = ring_producer_open(&ring, &stream->ring);

    if (error == -EADDRINUSE) {
        log_error("another simulator already feeds stream '%s' in %s: stop it, or choose another "
                  "--stream or --ipc-dir",
                  config->name, config->dir);
    } else if (error == -ENOSPC || error == -ENOMEM) {
        log_error("not enough memory for the frames of stream '%s' (%zu bytes each): free some, "
                  "or choose a smaller --max-size",
                  config->name, ring.payload_bytes_max);
    } else if (error < 0) {
        log_error("cannot open stream '%s' in %s: %s: check --stream and --ipc-dir", config->name,
                  config->dir, strerrordesc_np(-error));
    }
    return error;
}

static int start_thread(struct stream *stream)
{
    int error = -pthread_create(&stream->thread, NULL, run, stream);

    if (error < 0) {
        log_error("cannot start the render thread: %s", strerrordesc_np(-error));
        return error;
    }
    stream->running = true;
    pthread_setname_np(stream->thread, "render");
    while (sem_wait(&stream->ready) < 0 && errno == EINTR)
        continue;
    return stream->start_error;
}

int stream_create(const struct stream_config *config, struct world *world,
                  struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    int error;

    if (!stream)
        return -ENOMEM;
    stream->config = *config;
    stream->world = world;
    stream->status.size = config->size;
    stream->status.fps = config->fps;
    pthread_mutex_init(&stream->lock, NULL);
    sem_init(&stream->ready, 0, 0);
    stream->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = stream->stop_fd < 0 ? -errno : open_ring(stream);
    if (error == 0)
        error = start_thread(stream);
    if (error < 0) {
        stream_destroy(stream);
        return error;
    }
    *ret_stream = stream;
    return 0;
}

void stream_destroy(struct stream *stream)
{
    if (!stream)
        return;
    if (stream->running) {
        eventfd_write(stream->stop_fd, 1);
        pthread_join(stream->thread, NULL);
    }
    ring_producer_close(stream->ring);
    if (stream->stop_fd >= 0)
        close(stream->stop_fd);
    sem_destroy(&stream->ready);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

bool stream_size_fits(struct renderer_size size, struct renderer_size size_max)
{
    return size.width <= size_max.width && size.height <= size_max.height && size.width % 2 == 0 &&
           size.height % 2 == 0 && size.width >= PATTERN_WIDTH_MIN && size.height > size.width / 8;
}

int stream_apply(struct stream *stream, const struct stream_settings *settings)
{
    struct renderer_size size = {settings->width, settings->height};

    if (settings->width > 0 && !stream_size_fits(size, stream->config.size_max))
        return -ERANGE;
    pthread_mutex_lock(&stream->lock);
    if (settings->width > 0)
        stream->status.size = size;
    if (settings->fps > 0)
        stream->status.fps = settings->fps;
    pthread_mutex_unlock(&stream->lock);
    return 0;
}

void stream_look(struct stream *stream, const struct renderer_camera *camera)
{
    pthread_mutex_lock(&stream->lock);
    stream->camera = *camera;
    pthread_mutex_unlock(&stream->lock);
}

void stream_status(struct stream *stream, struct stream_status *ret_status)
{
    pthread_mutex_lock(&stream->lock);
    *ret_status = stream->status;
    pthread_mutex_unlock(&stream->lock);
}
