/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the lenses and the render thread; the renderer is created, used and destroyed on that
 * thread. The lock guards what others set and read of the main camera: size, rate, where it looks,
 * counts. A frame that cannot be loaned is counted as skipped; nothing here blocks on a consumer.
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
#include "sim/lens.h"
#include "sim/pattern.h"

#define LENSES_MAX (1 + STREAM_CAMERAS_MAX)
#define MAIN 0

/* The render thread's view of a camera. */
struct view {
    struct lens *lens;
    enum renderer_mount mount;
    uint64_t frames;
    int64_t due_ns;
    bool wanted;
};

struct stream {
    struct world *const *worlds;
    struct stream_config config;
    struct view views[LENSES_MAX]; /* the main camera first */
    unsigned view_count;
    int stop_fd; /* eventfd: the thread ends */
    pthread_t thread;
    bool running;
    sem_t ready;     /* posted once, when the thread can draw or never will */
    int start_error; /* valid after `ready` */
    pthread_mutex_t lock;
    struct stream_status status;   /* guarded by lock */
    struct renderer_camera camera; /* guarded by lock */
};

/* Copied under the lock, so that it cannot change meanwhile. Returns the period. */
static int64_t next_shot(struct stream *stream, unsigned index, struct lens_shot *ret_shot)
{
    const struct view *view = &stream->views[index];
    uint32_t fps = stream->config.fps;

    *ret_shot = (struct lens_shot){
        .size = stream->config.size, .camera.mount = view->mount, .frame_id = view->frames + 1};
    if (index == MAIN) {
        pthread_mutex_lock(&stream->lock);
        ret_shot->size = stream->status.size;
        ret_shot->camera = stream->camera;
        fps = stream->status.fps;
        pthread_mutex_unlock(&stream->lock);
    }
    return NS_PER_S / fps;
}

static void count(struct stream *stream, unsigned index, bool published, int64_t missed)
{
    stream->views[index].frames += published;
    if (index != MAIN)
        return;
    pthread_mutex_lock(&stream->lock);
    stream->status.frames += published;
    stream->status.skipped += (uint64_t)missed + !published;
    pthread_mutex_unlock(&stream->lock);
}

/* Asks all cameras' demand; one that has just become wanted is due now. */
static void ask_demand(struct stream *stream)
{
    for (unsigned i = 0; i < stream->view_count; i++) {
        struct view *view = &stream->views[i];
        bool was_wanted = view->wanted;
        uint32_t watchers;
        view->wanted = lens_is_wanted(view->lens, &watchers);
        if (view->wanted && !was_wanted)
            view->due_ns = clock_now_ns();
        if (i != MAIN)
            continue;
        pthread_mutex_lock(&stream->lock);
        stream->status.watchers = watchers;
        pthread_mutex_unlock(&stream->lock);
    }
}

/* When the next picture is due; negative: never. */
static int64_t next_due(const struct stream *stream)
{
    int64_t due_ns = -1;

    for (unsigned i = 0; i < stream->view_count; i++) {
        const struct view *view = &stream->views[i];
        if (view->wanted && (due_ns < 0 || view->due_ns < due_ns))
            due_ns = view->due_ns;
    }
    return due_ns;
}

/* Sleeps until a picture is due, a demand changes or the stop; false: stop. */
static bool sleep_until_due(struct stream *stream)
{
    struct pollfd fds[1 + LENSES_MAX] = {{.fd = stream->stop_fd, .events = POLLIN}};
    int64_t due_ns = next_due(stream);
    int64_t left_ns = due_ns - clock_now_ns();
    struct timespec timeout = {0};

    for (unsigned i = 0; i < stream->view_count; i++)
        fds[1 + i] = (struct pollfd){.fd = lens_demand_fd(stream->views[i].lens), .events = POLLIN};
    if (left_ns > 0)
        timeout = (struct timespec){left_ns / NS_PER_S, left_ns % NS_PER_S};
    ppoll(fds, 1 + stream->view_count, due_ns < 0 ? NULL : &timeout, NULL);
    return fds[0].revents == 0;
}

static void shoot(struct stream *stream, struct renderer *renderer, unsigned index)
{
    struct view *view = &stream->views[index];
    struct lens_shot shot;
    int64_t period_ns = next_shot(stream, index, &shot);
    bool published = lens_shoot(view->lens, renderer, &shot);

    view->due_ns += period_ns;
    int64_t now_ns = clock_now_ns();
    int64_t missed = now_ns > view->due_ns ? (now_ns - view->due_ns) / period_ns : 0;
    view->due_ns += missed * period_ns;
    count(stream, index, published, missed);
}

static void render_while_running(struct stream *stream, struct renderer *renderer)
{
    ask_demand(stream);
    while (sleep_until_due(stream)) {
        ask_demand(stream);
        for (unsigned i = 0; i < stream->view_count; i++) {
            if (stream->views[i].wanted && stream->views[i].due_ns <= clock_now_ns())
                shoot(stream, renderer, i);
        }
    }
}

static void *run(void *argument)
{
    struct stream *stream = argument;
    struct renderer *renderer = NULL;

    if (!stream->config.pattern)
        stream->start_error =
            renderer_create(world_robot(stream->worlds[0]), stream->config.size_max, &renderer);
    if (renderer)
        log_info("drawing with %s", renderer_name(renderer));
    bool can_draw = stream->start_error == 0;
    sem_post(&stream->ready);
    if (can_draw)
        render_while_running(stream, renderer);
    renderer_destroy(renderer);
    return NULL;
}

static int open_lenses(struct stream *stream)
{
    const struct stream_config *config = &stream->config;
    struct lens_config lens = {
        .dir = config->dir,
        .name = config->name,
        .size_max = config->size_max,
        .pattern = config->pattern,
        .envs = config->envs > 1 ? config->envs : 1,
        .worlds = stream->worlds,
    };
    int error = lens_open(&lens, &stream->views[MAIN].lens);

    stream->view_count = error == 0 ? 1 : 0;
    lens.envs = 1;
    lens.size_max = config->size;
    for (unsigned i = 0; error == 0 && i < config->camera_count; i++) {
        struct view *view = &stream->views[stream->view_count];
        view->mount = config->cameras[i].mount;
        lens.name = config->cameras[i].name;
        lens.channel = config->cameras[i].channel;
        error = lens_open(&lens, &view->lens);
        stream->view_count += error == 0;
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

int stream_create(const struct stream_config *config, struct world *const *worlds,
                  struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    int error;

    if (!stream)
        return -ENOMEM;
    stream->config = *config;
    stream->worlds = worlds;
    stream->status.size = config->size;
    stream->status.fps = config->fps;
    pthread_mutex_init(&stream->lock, NULL);
    sem_init(&stream->ready, 0, 0);
    stream->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = stream->stop_fd < 0 ? -errno : open_lenses(stream);
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
    for (unsigned i = 0; i < stream->view_count; i++)
        lens_close(stream->views[i].lens);
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
