/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the cameras and an inotify descriptor on the directory; on the main thread. An event is only
 * a reason to look at the whole directory, so none that is lost or late does harm.
 */
#include "encoder/cameras.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

#include "base/clock.h"
#include "base/log.h"

#define FRAMES_SUFFIX ".frames"
#define EVENTS_BYTES 4096
#define RETRY_NS (3 * NS_PER_S) /* each try touches a ring's memory */
#define WATCHED (IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct place {
    char name[RING_STREAM_BYTES]; /* "": free */
    bool named;                   /* by the configuration: never closed */
    struct camera *camera;        /* NULL: it could not be opened */
    int error;                    /* why; said once */
    int64_t tried_ns;             /* when it was last tried to open */
    int64_t seen_ns;              /* when its socket was last seen to appear */
};

struct cameras {
    struct stage_config stage;
    int64_t gone_ns;
    atomic_uint busy;
    struct place places[CAMERAS_MAX];
    bool full_named;
    int inotify_fd; /* -1: none */
    int watch;      /* of the directory; -1: it is not watched now */
};

/* ---- one camera ---------------------------------------------------------------------------- */

static const char *remedy(int error)
{
    switch (error) {
    case -EADDRINUSE:
        return "another simcast-encoder serves it: stop that one or choose another --stream";
    case -ENOSPC:
    case -ENOMEM:
        return "memory is full: choose a smaller --packet-bytes-max or fewer --rendition";
    case -EACCES:
        return "give this user write access to the directory or choose another --ipc-dir";
    case -ENAMETOOLONG:
        return "the name of the camera and of a --rendition are too long together, or --ipc-dir is";
    default:
        return "check that the directory exists and is writable";
    }
}

static void open_place(struct cameras *cameras, struct place *place)
{
    struct stage_config stage = cameras->stage;

    stage.stream = place->name;
    stage.busy = &cameras->busy;
    int error = camera_open(&stage, &place->camera);
    if (error == 0) {
        log_info("serving %s/%s.packets", stage.dir, place->name);
        for (unsigned i = 0; i < stage.other_count; i++)
            log_debug("serving %s/%s+%s.packets", stage.dir, place->name, stage.others[i].name);
    } else if (error != place->error) {
        log_error("cannot serve %s/%s.packets: %s; %s", stage.dir, place->name,
                  strerrordesc_np(-error), remedy(error));
    }
    place->error = error;
    place->tried_ns = clock_now_ns();
}

static struct place *find_place(struct cameras *cameras, const char *name)
{
    struct place *free_place = NULL;

    for (unsigned i = 0; i < CAMERAS_MAX; i++) {
        struct place *place = &cameras->places[i];
        if (strcmp(place->name, name) == 0)
            return place;
        if (place->name[0] == '\0' && !free_place)
            free_place = place;
    }
    return free_place;
}

static void add(struct cameras *cameras, const char *name, bool named)
{
    struct place *place = find_place(cameras, name);

    if (!place) {
        if (!cameras->full_named)
            log_warning("%s.frames is left out: this process serves at most %d cameras; start "
                        "another simcast-encoder with --stream",
                        name, CAMERAS_MAX);
        cameras->full_named = true;
        return;
    }
    place->seen_ns = clock_now_ns();
    if (place->name[0] != '\0')
        return;
    snprintf(place->name, sizeof(place->name), "%s", name);
    place->named = named;
    open_place(cameras, place);
}

/* ---- the directory ------------------------------------------------------------------------- */

/* Whether that file is the socket of a camera; its name is then in ret_name. */
static bool is_camera(const char *file, char ret_name[RING_STREAM_BYTES])
{
    size_t length = strlen(file);
    size_t suffix = sizeof(FRAMES_SUFFIX) - 1;
    char path[RING_STREAM_BYTES + sizeof(FRAMES_SUFFIX)];

    if (length <= suffix || length - suffix >= RING_STREAM_BYTES ||
        strcmp(file + length - suffix, FRAMES_SUFFIX) != 0 || strchr(file, '+'))
        return false;
    memcpy(ret_name, file, length - suffix);
    ret_name[length - suffix] = '\0';
    return ring_socket_path("", ret_name, RING_KIND_FRAMES, path, sizeof(path)) == 0;
}

static void scan(struct cameras *cameras)
{
    DIR *dir = opendir(cameras->stage.dir);
    struct dirent *entry;
    char name[RING_STREAM_BYTES];

    if (!dir)
        return;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads this directory stream
    while ((entry = readdir(dir))) {
        if (is_camera(entry->d_name, name))
            add(cameras, name, false);
    }
    closedir(dir);
}

/* The directory may not be there yet, or no longer; whoever comes first creates it, as a ring does.
 */
static int watch_directory(struct cameras *cameras)
{
    if (mkdir(cameras->stage.dir, 0770) < 0 && errno != EEXIST)
        return -errno;
    cameras->watch = inotify_add_watch(cameras->inotify_fd, cameras->stage.dir, WATCHED);
    return cameras->watch < 0 ? -errno : 0;
}

/* Whether anything happened. */
static bool read_events(struct cameras *cameras)
{
    _Alignas(struct inotify_event) char events[EVENTS_BYTES];
    bool any = false;
    ssize_t got;

    while ((got = read(cameras->inotify_fd, events, sizeof(events))) > 0) {
        any = true;
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *event = (const struct inotify_event *)(events + at);
            if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF))
                cameras->watch = -1;
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    }
    return any;
}

static void look(struct cameras *cameras)
{
    bool events = read_events(cameras);

    if (cameras->watch < 0 && watch_directory(cameras) == 0)
        events = true;
    if (events)
        scan(cameras);
}

/* ---- all ----------------------------------------------------------------------------------- */

static int open_watch(struct cameras *cameras)
{
    cameras->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int error = cameras->inotify_fd < 0 ? -errno : watch_directory(cameras);
    if (error < 0) {
        log_error("cannot watch %s for cameras: %s; %s", cameras->stage.dir,
                  strerrordesc_np(-error),
                  error == -EMFILE ? "raise fs.inotify.max_user_instances" : remedy(error));
        return error;
    }
    log_info("serving every camera that appears in %s", cameras->stage.dir);
    scan(cameras);
    return 0;
}

int cameras_open(const struct cameras_config *config, struct cameras **ret_cameras)
{
    struct cameras *cameras = calloc(1, sizeof(*cameras));
    int error = 0;

    if (!cameras)
        return -ENOMEM;
    cameras->stage = config->stage;
    cameras->gone_ns = config->gone_ns;
    cameras->inotify_fd = -1;
    cameras->watch = -1;
    for (unsigned i = 0; i < config->name_count; i++)
        add(cameras, config->names[i], true);
    if (config->name_count == 1 && !config->all)
        error = cameras->places[0].error;
    if (config->all)
        error = open_watch(cameras);
    if (error < 0) {
        cameras_close(cameras);
        return error;
    }
    *ret_cameras = cameras;
    return 0;
}

void cameras_close(struct cameras *cameras)
{
    if (!cameras)
        return;
    for (unsigned i = 0; i < CAMERAS_MAX; i++)
        camera_close(cameras->places[i].camera);
    if (cameras->inotify_fd >= 0)
        close(cameras->inotify_fd);
    free(cameras);
}

int cameras_fd(const struct cameras *cameras)
{
    return cameras->inotify_fd;
}

static void tend(struct cameras *cameras, struct place *place, int64_t now_ns)
{
    struct camera_status status = {.gone_ns = place->seen_ns};

    if (place->camera)
        camera_status(place->camera, &status);
    else if (now_ns - place->tried_ns >= RETRY_NS)
        open_place(cameras, place);
    if (place->named || status.gone_ns == 0 || now_ns - status.gone_ns < cameras->gone_ns ||
        now_ns - place->seen_ns < cameras->gone_ns)
        return;
    log_info("%s: no longer served: its simulator is gone", place->name);
    camera_close(place->camera);
    *place = (struct place){0};
    cameras->full_named = false;
}

void cameras_tick(struct cameras *cameras)
{
    int64_t now_ns = clock_now_ns();

    if (cameras->inotify_fd >= 0)
        look(cameras);
    for (unsigned i = 0; i < CAMERAS_MAX; i++) {
        if (cameras->places[i].name[0] != '\0')
            tend(cameras, &cameras->places[i], now_ns);
    }
}

int64_t cameras_alive_ns(struct cameras *cameras)
{
    int64_t least_ns = clock_now_ns();

    for (unsigned i = 0; i < CAMERAS_MAX; i++) {
        struct camera_status status;
        if (!cameras->places[i].camera)
            continue;
        camera_status(cameras->places[i].camera, &status);
        if (status.alive_ns < least_ns)
            least_ns = status.alive_ns;
    }
    return least_ns;
}

unsigned cameras_count(const struct cameras *cameras)
{
    unsigned count = 0;

    for (unsigned i = 0; i < CAMERAS_MAX; i++)
        count += cameras->places[i].camera != NULL;
    return count;
}

void cameras_describe(struct cameras *cameras, char *ret_text, size_t text_bytes)
{
    size_t used = 0;

    snprintf(ret_text, text_bytes, "no camera is here yet");
    for (unsigned i = 0; i < CAMERAS_MAX && used < text_bytes; i++) {
        const struct place *place = &cameras->places[i];
        struct camera_status status = {.text = "cannot be served"};
        if (place->name[0] == '\0')
            continue;
        if (place->camera)
            camera_status(place->camera, &status);
        used += (size_t)snprintf(ret_text + used, text_bytes - used, "%s%s: %s",
                                 used > 0 ? "; " : "", place->name, status.text);
    }
}
