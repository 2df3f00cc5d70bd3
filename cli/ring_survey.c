/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns nothing between two calls: each look opens a consumer and closes it again. A ring that
 * cannot be asked keeps its row and says why.
 */
#include "cli/ring_survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

#include "base/clock.h"
#include "proto/pixel.h"
#include "proto/video.h"

#define ATTACH_NS_MAX (200 * NS_PER_MS)
#define PAGE_BYTES 4096u

static const char *const kind_names[RING_KIND_COUNT] = {
    [RING_KIND_FRAMES] = "frames",   [RING_KIND_PACKETS] = "packets", [RING_KIND_STATE] = "state",
    [RING_KIND_ACTIONS] = "actions", [RING_KIND_GATE] = "gate",
};

const char *survey_kind_name(enum ring_kind kind)
{
    return kind < RING_KIND_COUNT ? kind_names[kind] : "";
}

int survey_parse(const char *name, char ret_stream[RING_STREAM_BYTES], enum ring_kind *ret_kind)
{
    char stream[RING_STREAM_BYTES];
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    enum ring_kind kind = RING_KIND_COUNT;
    size_t length = strcspn(name, ".");

    if (length >= sizeof(stream))
        return -EINVAL;
    memcpy(stream, name, length);
    stream[length] = '\0';
    for (unsigned i = 0; name[length] == '.' && i < RING_KIND_COUNT; i++) {
        if (strcmp(name + length + 1, kind_names[i]) == 0)
            kind = (enum ring_kind)i;
    }
    if ((name[length] == '.' && kind == RING_KIND_COUNT) ||
        ring_socket_path("/", stream, RING_KIND_FRAMES, path, sizeof(path)) < 0)
        return -EINVAL;
    memcpy(ret_stream, stream, sizeof(stream));
    *ret_kind = kind;
    return 0;
}

/* ---- finding ------------------------------------------------------------------------------ */

static void consider(struct survey *survey, const char *name)
{
    struct survey_stream found = {0};
    struct stat status;

    if (survey->count == SURVEY_STREAMS_MAX || survey_parse(name, found.stream, &found.kind) < 0 ||
        found.kind == RING_KIND_COUNT ||
        ring_socket_path(survey->dir, found.stream, found.kind, found.path, sizeof(found.path)) < 0)
        return;
    if (lstat(found.path, &status) == 0 && S_ISSOCK(status.st_mode))
        survey->streams[survey->count++] = found;
}

int survey_find(struct survey *survey)
{
    struct dirent **entries;
    int count = scandir(survey->dir, &entries, NULL, alphasort);

    if (count < 0)
        return -errno;
    survey->count = 0;
    for (int i = 0; i < count; i++) {
        consider(survey, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

/* ---- looking ------------------------------------------------------------------------------ */

/* Copies what is said about the newest frame, if there is one and a lease for us. */
static bool look_at_newest(const char *dir, const struct survey_stream *stream,
                           struct ring_frame *ret_frame)
{
    struct ring_consumer_config config = {
        .dir = dir, .stream = stream->stream, .kind = stream->kind};
    int64_t give_up_ns = clock_now_ns() + ATTACH_NS_MAX;
    struct ring_consumer *consumer;
    struct ring_view view;
    int error;

    if (ring_consumer_open(&config, &consumer) < 0)
        return false;
    while ((error = ring_acquire(consumer, RING_LATEST, &view)) == -EPIPE &&
           ring_consumer_link(consumer) != RING_REFUSED && clock_now_ns() < give_up_ns)
        ring_consumer_wait(consumer, 10);
    if (error == 0) {
        *ret_frame = view.frame;
        ring_release(consumer, &view);
    }
    ring_consumer_close(consumer);
    return error == 0;
}

/* A look of ours that has only just ended may still be on the producer's list. */
static void leave_ourselves_out(struct ring_info *info)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < info->consumer_count; i++) {
        if (info->consumers[i].pid != getpid())
            info->consumers[kept++] = info->consumers[i];
    }
    info->consumer_count = kept;
}

void survey_look(const char *dir, struct survey_stream *stream)
{
    struct survey_look look = {0};

    look.error = ring_inspect(dir, stream->stream, stream->kind, &look.info);
    look.time_ns = clock_now_ns();
    if (look.error == 0) {
        leave_ourselves_out(&look.info);
        look.has_frame = look.info.newest > 0 && look_at_newest(dir, stream, &look.frame);
    }
    stream->before = stream->now;
    stream->now = look;
}

/* ---- telling ------------------------------------------------------------------------------ */

static int64_t published_ns(const struct survey_stream *stream, const struct survey_look *look)
{
    return look->frame.stamp_ns[stream->kind == RING_KIND_PACKETS ? RING_STAGE_PACKET_PUBLISHED
                                                                  : RING_STAGE_PUBLISHED];
}

static bool has_two_looks(const struct survey_stream *stream)
{
    const struct survey_look *before = &stream->before;
    const struct survey_look *now = &stream->now;

    return before->time_ns > 0 && before->error == 0 && now->error == 0 &&
           before->info.epoch == now->info.epoch && now->time_ns > before->time_ns;
}

/*
 * Between the publish stamps of two pinned frames if there are such, so that a short window tells
 * 29 from 30. A frame from before the window's length says nothing about the rate within it.
 */
double survey_rate(const struct survey_stream *stream)
{
    const struct survey_look *before = &stream->before;
    const struct survey_look *now = &stream->now;

    if (!has_two_looks(stream))
        return 0;
    uint64_t frames = now->info.newest - before->info.newest;
    int64_t window_ns = now->time_ns - before->time_ns;
    int64_t stamped_ns = published_ns(stream, now) - published_ns(stream, before);
    if (before->has_frame && now->has_frame && stamped_ns > 0 && stamped_ns < 2 * window_ns) {
        frames = now->frame.seq - before->frame.seq;
        window_ns = stamped_ns;
    }
    return (double)frames * (double)NS_PER_S / (double)window_ns;
}

/* The same consumer in the look before: the one of this pid with as many of its kind before it. */
static const struct ring_consumer_info *consumer_before(const struct survey_stream *stream,
                                                        unsigned i)
{
    const struct ring_info *before = &stream->before.info;
    const struct ring_info *now = &stream->now.info;
    int32_t pid = now->consumers[i].pid;
    unsigned rank = 0;

    for (unsigned k = 0; k < i; k++)
        rank += now->consumers[k].pid == pid;
    for (unsigned k = 0; k < before->consumer_count; k++) {
        if (before->consumers[k].pid == pid && rank-- == 0)
            return &before->consumers[k];
    }
    return NULL;
}

double survey_spin_percent(const struct survey_stream *stream, unsigned i)
{
    const struct ring_consumer_info *now = &stream->now.info.consumers[i];
    const struct ring_consumer_info *before =
        has_two_looks(stream) ? consumer_before(stream, i) : NULL;

    if (!before || now->spin_ns < before->spin_ns)
        return 0;
    return 100.0 * (double)(now->spin_ns - before->spin_ns) /
           (double)(stream->now.time_ns - stream->before.time_ns);
}

int64_t survey_age_ns(const struct survey_stream *stream)
{
    return stream->now.has_frame ? clock_now_ns() - published_ns(stream, &stream->now) : -1;
}

uint64_t survey_memory_bytes(const struct survey_stream *stream)
{
    return PAGE_BYTES + stream->now.info.slot_count * stream->now.info.slot_bytes;
}

const char *survey_format(const struct survey_stream *stream)
{
    const struct survey_look *now = &stream->now;

    if (now->error < 0 || !now->has_frame)
        return "";
    if (stream->kind == RING_KIND_FRAMES)
        return pixel_name(now->frame.fourcc);
    return stream->kind == RING_KIND_PACKETS ? video_codec_name(now->frame.codec) : "";
}

void survey_command(int32_t pid, char ret_command[SURVEY_PROCESS_BYTES])
{
    char path[SURVEY_PROCESS_BYTES];

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(ret_command, SURVEY_PROCESS_BYTES, file))
        memcpy(ret_command, "?", 2);
    ret_command[strcspn(ret_command, "\n")] = '\0';
    if (file)
        fclose(file);
}

void survey_explain(const struct survey_stream *stream, char *text, size_t text_bytes)
{
    const char *path = stream->path;

    switch (stream->now.error) {
    case -ENOENT:
        snprintf(text, text_bytes, "no producer yet: %s does not exist", path);
        return;
    case -ECONNREFUSED:
        snprintf(text, text_bytes, "dead: nobody listens; start its program again, or rm %s", path);
        return;
    case -ETIMEDOUT:
    case -EAGAIN:
        snprintf(text, text_bytes, "its producer does not answer: is it stopped or hung?");
        return;
    case -EPROTO:
        snprintf(text, text_bytes, "its producer speaks another version: update both sides");
        return;
    case -EACCES:
        snprintf(text, text_bytes, "permission denied: join the group that owns %s", path);
        return;
    default:
        snprintf(text, text_bytes, "cannot be asked: %s", strerrordesc_np(-stream->now.error));
    }
}
