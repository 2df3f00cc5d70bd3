/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the set and the watch on the directory. The directory may be missing, and be removed and
 * made anew; what inotify cannot tell (a mount over it, an overflow) a look every ten seconds
 * finds.
 */
#include "daemon/streams.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

#include "base/clock.h"
#include "base/log.h"

#define SUFFIX ".packets"
#define AWAY_NS_MAX (2 * NS_PER_S) /* longer, and unwatched: forgotten */
#define LOOK_NS (10 * NS_PER_S)

struct streams {
    struct streams_config config;
    struct stream *all[1 + STREAMS_MAX]; /* the default one first */
    unsigned count;
    uint16_t last_id;
    bool changed;
    bool full;               /* and said so */
    bool renditions_watched; /* as the relay was told */
    int inotify_fd;
    int dir_watch; /* -1: the directory is not there */
    dev_t device;
    ino_t inode; /* of the directory that is watched */
    int64_t looked_ns;
    struct loop_watch *watch;
};

struct stream *streams_default(const struct streams *streams)
{
    return streams->all[0];
}

struct stream *streams_by_id(const struct streams *streams, uint16_t id)
{
    for (unsigned i = 0; i < streams->count; i++) {
        if (streams->all[i]->id == id)
            return streams->all[i];
    }
    return NULL;
}

struct stream *streams_find(const struct streams *streams, const char *camera,
                            const char *rendition)
{
    for (unsigned i = 0; i < streams->count; i++) {
        struct stream *stream = streams->all[i];
        if (strcmp(stream->camera, camera) == 0 && strcmp(stream->rendition, rendition) == 0)
            return stream;
    }
    return NULL;
}

unsigned streams_count(const struct streams *streams)
{
    return streams->count;
}

struct stream *streams_at(const struct streams *streams, unsigned at)
{
    return streams->all[at];
}

bool streams_changed(struct streams *streams)
{
    bool changed = streams->changed;

    streams->changed = false;
    return changed;
}

static struct stream *by_name(const struct streams *streams, const char *name)
{
    for (unsigned i = 0; i < streams->count; i++) {
        if (strcmp(streams->all[i]->name, name) == 0)
            return streams->all[i];
    }
    return NULL;
}

/* Notices that a stream's producer came or is gone. */
static void look_at(struct streams *streams, struct stream *stream, int64_t now_ns)
{
    bool live = stream_live(stream, now_ns);

    if (live == stream->live)
        return;
    stream->live = live;
    stream->away_ns = now_ns;
    streams->changed = true;
    if (stream->id != 0)
        log_info("stream '%s' %s", stream->name, live ? "is here" : "is away");
}

static bool is_default_cameras(const struct streams *streams, const struct stream *stream)
{
    return stream->id != 0 && strcmp(stream->camera, streams->all[0]->camera) == 0;
}

static void on_packets(void *data)
{
    struct stream *stream = data;
    struct streams *streams = stream->set;
    unsigned frames = stream_take(stream);
    int64_t now_ns = clock_now_ns();

    look_at(streams, stream, now_ns);
    if (frames == 0)
        return;
    if (!stream_wanted(stream))
        loop_watch_pause(stream->watch); /* another program's frames; on_second resumes */
    else if (is_default_cameras(streams, stream))
        relay_rendition(streams->config.relay, now_ns);
}

static uint16_t free_id(struct streams *streams)
{
    do {
        streams->last_id++;
    } while (streams_by_id(streams, streams->last_id));
    return streams->last_id;
}

static void forget(struct streams *streams, unsigned at)
{
    struct stream *stream = streams->all[at];

    streams->changed |= stream->live;
    if (stream->live)
        log_info("stream '%s' is away", stream->name);
    loop_watch_destroy(stream->watch);
    stream_close(stream);
    streams->count--;
    for (; at < streams->count; at++)
        streams->all[at] = streams->all[at + 1];
}

static int add(struct streams *streams, const char *name, int64_t now_ns)
{
    struct stream *stream;
    int error = stream_open(&streams->config.terms, name, free_id(streams), now_ns, &stream);

    if (error < 0)
        return error;
    stream->set = streams;
    error = loop_watch_fd(streams->config.loop, source_fd(stream->source), on_packets, stream,
                          &stream->watch);
    if (error < 0) {
        stream_close(stream);
        return error;
    }
    streams->all[streams->count++] = stream;
    return 0;
}

/* The ring's name if this is the file name of a packet ring's socket. */
static bool ring_name(const char *file, char ret_name[RING_STREAM_BYTES])
{
    size_t length = strlen(file);
    size_t suffix = strlen(SUFFIX);

    if (length <= suffix || length - suffix >= RING_STREAM_BYTES ||
        strcmp(file + length - suffix, SUFFIX) != 0)
        return false;
    memcpy(ret_name, file, length - suffix);
    ret_name[length - suffix] = '\0';
    return true;
}

static void appear(struct streams *streams, const char *file, int64_t now_ns)
{
    char name[RING_STREAM_BYTES];

    if (!ring_name(file, name) || by_name(streams, name))
        return;
    if (streams->count == 1 + STREAMS_MAX) {
        if (!streams->full)
            log_warning("stream '%s' is passed over: %d streams beside the default one are served "
                        "already; stop some encoders or renditions",
                        name, STREAMS_MAX);
        streams->full = true;
        return;
    }
    int error = add(streams, name, now_ns);
    if (error < 0 && error != -EINVAL)
        log_warning("stream '%s' cannot be served now: %s", name, strerror(-error));
}

static void vanish(struct streams *streams, const char *file)
{
    char name[RING_STREAM_BYTES];

    if (!ring_name(file, name))
        return;
    for (unsigned i = 1; i < streams->count; i++) {
        if (strcmp(streams->all[i]->name, name) == 0 && streams->all[i]->audience->count == 0) {
            forget(streams, i);
            return;
        }
    }
}

/* Finds what is there already. */
static void look_around(struct streams *streams, int64_t now_ns)
{
    DIR *dir = opendir(streams->config.terms.dir);
    const struct dirent *entry;

    streams->looked_ns = now_ns;
    if (!dir)
        return;
    while ((entry = readdir(dir)))
        appear(streams, entry->d_name, now_ns);
    closedir(dir);
}

/* Watches the directory that has the name now, if another one had it before. */
static void watch_dir(struct streams *streams, int64_t now_ns)
{
    const uint32_t events = IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR;
    const char *dir = streams->config.terms.dir;
    struct stat status = {0};
    bool there = stat(dir, &status) == 0;

    if (streams->dir_watch >= 0 && there && status.st_dev == streams->device &&
        status.st_ino == streams->inode)
        return;
    if (streams->dir_watch >= 0)
        inotify_rm_watch(streams->inotify_fd, streams->dir_watch);
    streams->dir_watch = there ? inotify_add_watch(streams->inotify_fd, dir, events) : -1;
    streams->device = status.st_dev;
    streams->inode = status.st_ino;
    look_around(streams, now_ns);
}

static void take_event(struct streams *streams, const struct inotify_event *event, int64_t now_ns)
{
    if ((event->mask & IN_IGNORED) && event->wd == streams->dir_watch)
        streams->dir_watch = -1;
    else if (event->mask & IN_Q_OVERFLOW)
        look_around(streams, now_ns);
    else if (event->wd != streams->dir_watch || event->len == 0)
        return;
    else if (event->mask & (IN_CREATE | IN_MOVED_TO))
        appear(streams, event->name, now_ns);
    else if (event->mask & (IN_DELETE | IN_MOVED_FROM))
        vanish(streams, event->name);
}

static void on_directory(void *data)
{
    struct streams *streams = data;
    _Alignas(struct inotify_event) char events[4096];
    int64_t now_ns = clock_now_ns();
    ssize_t got;

    while ((got = read(streams->inotify_fd, events, sizeof(events))) > 0) {
        for (char *at = events; at < events + got;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            take_event(streams, event, now_ns);
            at += sizeof(*event) + event->len;
        }
    }
}

/* What the gate hears of the default camera's other renditions. */
static void tell_relay(struct streams *streams, int64_t now_ns)
{
    bool watched = false;

    for (unsigned i = 1; i < streams->count; i++) {
        const struct stream *stream = streams->all[i];
        watched |= is_default_cameras(streams, stream) && stream_wanted(stream);
    }
    if (watched != streams->renditions_watched)
        relay_renditions_watched(streams->config.relay, watched, now_ns);
    streams->renditions_watched = watched;
}

void streams_update(struct streams *streams, struct stream *stream, int64_t now_ns)
{
    stream_update(stream, now_ns);
    if (stream->watch && stream_wanted(stream))
        loop_watch_resume(stream->watch);
    if (is_default_cameras(streams, stream))
        tell_relay(streams, now_ns);
}

void streams_tick(struct streams *streams, int64_t now_ns)
{
    for (unsigned i = 1; i < streams->count; i++)
        stream_update(streams->all[i], now_ns);
    tell_relay(streams, now_ns);
}

void streams_second(struct streams *streams, int64_t now_ns)
{
    for (unsigned i = streams->count - 1; i > 0; i--) {
        struct stream *stream = streams->all[i];
        loop_watch_resume(stream->watch);
        look_at(streams, stream, now_ns);
        if (!stream->live && stream->audience->count == 0 && now_ns - stream->away_ns > AWAY_NS_MAX)
            forget(streams, i);
    }
    look_at(streams, streams->all[0], now_ns);
    for (unsigned i = 0; i < streams->count; i++)
        stream_second(streams->all[i]);
    watch_dir(streams, now_ns);
    if (now_ns - streams->looked_ns >= LOOK_NS)
        look_around(streams, now_ns);
    streams->full &= streams->count == 1 + STREAMS_MAX;
}

int streams_open(const struct streams_config *config, int64_t now_ns, struct streams **ret_streams)
{
    struct streams *streams = calloc(1, sizeof(*streams));
    int error;

    if (!streams)
        return -ENOMEM;
    streams->config = *config;
    streams->dir_watch = -1;
    streams->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    error = streams->inotify_fd < 0 ? -errno : 0;
    if (error == 0)
        error = stream_open_default(config->name, config->source, config->fanout, config->relay,
                                    &streams->all[0]);
    streams->count = error == 0;
    if (error == 0)
        error = loop_watch_fd(config->loop, streams->inotify_fd, on_directory, streams,
                              &streams->watch);
    if (error < 0) {
        streams_close(streams);
        return error;
    }
    watch_dir(streams, now_ns);
    *ret_streams = streams;
    return 0;
}

void streams_close(struct streams *streams)
{
    if (!streams)
        return;
    loop_watch_destroy(streams->watch);
    for (unsigned i = 0; i < streams->count; i++) {
        loop_watch_destroy(streams->all[i]->watch);
        stream_close(streams->all[i]);
    }
    if (streams->inotify_fd >= 0)
        close(streams->inotify_fd);
    free(streams);
}
