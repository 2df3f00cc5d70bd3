/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a stage, the thread that runs it, and an eventfd that ends the thread. The two threads meet
 * in `status`, copied under a mutex. Nothing fails once it runs: what the stage cannot do concerns
 * one frame.
 */
#include "encoder/camera.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "encoder/trouble.h"

#define TICK_MS 1000
#define THREAD_NAME_BYTES 16

struct camera {
    char name[RING_STREAM_BYTES];
    struct stage *stage; /* the thread's, while it runs, as is what follows */
    struct trouble trouble;
    pthread_t thread;
    int stop_fd;
    pthread_mutex_t mutex; /* of what follows */
    struct camera_status status;
};

static void report(struct camera *camera)
{
    struct camera_status status = {.alive_ns = clock_now_ns()};
    struct rendition_counts counts = stage_counts(camera->stage);

    trouble_tell(&camera->trouble, camera->name, &counts, status.alive_ns);
    stage_describe(camera->stage, status.text, sizeof(status.text));
    pthread_mutex_lock(&camera->mutex);
    if (!stage_attached(camera->stage))
        status.gone_ns = camera->status.gone_ns > 0 ? camera->status.gone_ns : status.alive_ns;
    camera->status = status;
    pthread_mutex_unlock(&camera->mutex);
}

static void *run(void *context)
{
    struct camera *camera = context;
    struct pollfd fds[STAGE_POLL_FDS_MAX + 1];
    int64_t report_ns = 0;
    bool more = true;

    for (;;) {
        unsigned count = stage_poll_fds(camera->stage, fds);
        fds[count] = (struct pollfd){.fd = camera->stop_fd, .events = POLLIN};
        poll(fds, count + 1, more ? 0 : TICK_MS); /* -EINTR: as if nothing had come */
        if (fds[count].revents)
            return NULL;
        more = stage_step(camera->stage);
        if (clock_now_ns() - report_ns >= TICK_MS * NS_PER_MS) {
            report(camera);
            report_ns = clock_now_ns();
        }
    }
}

static int start(struct camera *camera)
{
    char name[THREAD_NAME_BYTES];
    int rc = pthread_create(&camera->thread, NULL, run, camera);

    if (rc != 0)
        return -rc;
    snprintf(name, sizeof(name), "%.15s", camera->name);
    pthread_setname_np(camera->thread, name);
    return 0;
}

int camera_open(const struct stage_config *config, struct camera **ret_camera)
{
    struct camera *camera = calloc(1, sizeof(*camera));

    if (!camera)
        return -ENOMEM;
    snprintf(camera->name, sizeof(camera->name), "%s", config->stream);
    pthread_mutex_init(&camera->mutex, NULL);
    camera->status.alive_ns = clock_now_ns();
    camera->status.gone_ns = clock_now_ns();
    camera->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = camera->stop_fd < 0 ? -errno : stage_open(config, &camera->stage);
    if (rc == 0)
        rc = start(camera);
    if (rc < 0) {
        stage_close(camera->stage);
        if (camera->stop_fd >= 0)
            close(camera->stop_fd);
        pthread_mutex_destroy(&camera->mutex);
        free(camera);
        return rc;
    }
    *ret_camera = camera;
    return 0;
}

static void log_summary(const struct rendition *rendition)
{
    const char *name = rendition_name(rendition);
    struct rendition_counts counts = rendition_counts(rendition);
    const struct histogram *times = rendition_encode_times(rendition);

    if (counts.encoded + counts.refused + counts.lost == 0)
        return;
    log_info("%s: %" PRIu64 " pictures encoded (%" PRIu64 " keyframes, %" PRIu64 " bytes, %" PRIu64
             " coded worse than asked), %" PRIu64 " frames left out to keep to fps, %" PRIu64
             " refused, %" PRIu64 " lost",
             name, counts.encoded, counts.keyframes, counts.bytes, counts.degraded,
             counts.over_rate, counts.refused, counts.lost);
    if (counts.gpu_lost > 0)
        log_warning("%s: the GPU failed in mid-stream, the processor took over", name);
    if (times->count > 0)
        log_info("%s: encode time: p50 %.2f ms, p99 %.2f ms, longest %.2f ms", name,
                 (double)histogram_percentile_ns(times, 50) / NS_PER_MS,
                 (double)histogram_percentile_ns(times, 99) / NS_PER_MS,
                 (double)times->max_ns / NS_PER_MS);
}

/* Frames that no rendition got are in no rendition's summary. */
static void log_refused(const struct camera *camera)
{
    struct rendition_counts counts = stage_counts(camera->stage);

    if (counts.refused > 0)
        log_warning("%s: pictures refused in all: %" PRIu64, camera->name, counts.refused);
}

void camera_close(struct camera *camera)
{
    uint64_t one = 1;

    if (!camera)
        return;
    ssize_t wrote = write(camera->stop_fd, &one, sizeof(one));
    (void)wrote;
    pthread_join(camera->thread, NULL);
    for (unsigned i = 0; i < stage_rendition_count(camera->stage); i++)
        log_summary(stage_rendition(camera->stage, i));
    log_refused(camera);
    stage_close(camera->stage);
    close(camera->stop_fd);
    pthread_mutex_destroy(&camera->mutex);
    free(camera);
}

const char *camera_name(const struct camera *camera)
{
    return camera->name;
}

void camera_status(struct camera *camera, struct camera_status *ret_status)
{
    pthread_mutex_lock(&camera->mutex);
    *ret_status = camera->status;
    pthread_mutex_unlock(&camera->mutex);
}
