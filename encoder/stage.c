/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the consumer of the frame ring, the renditions and the scaler; runs on the one thread that
 * calls stage_step. Every failure concerns one frame: it is counted, and named once per run of the
 * simulator.
 */
#include "encoder/stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "encoder/refusals.h"
#include "encoder/scale.h"
#include "shm/ring.h"

struct stage {
    char name[RING_STREAM_BYTES];
    struct ring_consumer *frames;
    struct rendition *renditions[RENDITIONS_MAX]; /* the default one first */
    unsigned rendition_count;
    struct scaler *scaler;
    bool wanted; /* any of the renditions */
    atomic_uint *busy;
    enum ring_link link;
    bool link_told; /* that there is no simulator at the start, or what came after */
    uint64_t epoch; /* of the simulator's run */
    struct refusals lies;
};

/* ---- open and close ------------------------------------------------------------------------ */

/* `spec` with what it leaves open taken from the default rendition. */
static struct rendition_spec complete_spec(const struct stage_config *config,
                                           const struct rendition_spec *spec)
{
    struct rendition_spec complete = *spec;

    complete.settings = config->settings;
    complete.settings.width = 0;
    complete.settings.height = 0;
    stream_settings_merge(&complete.settings, &spec->settings);
    return complete;
}

static int open_rendition(struct stage *stage, const struct stage_config *config,
                          const struct rendition_spec *spec)
{
    struct rendition_config own = {
        .dir = config->dir,
        .camera = config->stream,
        .spec = complete_spec(config, spec),
        .coder =
            {
                .choice = config->choice,
                .jpeg_instead = config->jpeg_instead && spec->name[0] == '\0',
                .jpeg_threads = config->jpeg_threads,
                .intra_refresh = config->intra_refresh,
                .vbv_pictures = config->vbv_pictures,
                .packet_bytes_max = config->packet_bytes_max - VIDEO_PAYLOAD_OFFSET,
            },
        .crc = config->crc,
        .packet_bytes_max = config->packet_bytes_max,
    };
    int rc = rendition_open(&own, &stage->renditions[stage->rendition_count]);

    stage->rendition_count += rc == 0;
    return rc;
}

static int open_parts(struct stage *stage, const struct stage_config *config)
{
    static const struct rendition_spec default_spec;
    struct ring_consumer_config frames = {
        .dir = config->dir,
        .stream = config->stream,
        .kind = RING_KIND_FRAMES,
        .accept_cuda = true,
        .pin_for_cuda = coder_wants_pinned(config->choice),
    };
    int rc = open_rendition(stage, config, &default_spec);

    for (unsigned i = 0; i < config->other_count && rc == 0; i++)
        rc = open_rendition(stage, config, &config->others[i]);
    if (rc == 0)
        rc = scaler_create(&stage->scaler);
    return rc < 0 ? rc : ring_consumer_open(&frames, &stage->frames);
}

/* The simulator need not render more than the default rendition shows, nor at another size. */
static void tell_simulator(struct stage *stage)
{
    const struct stream_settings *settings = rendition_settings(stage->renditions[0]);
    struct stream_settings told = {
        .width = settings->width,
        .height = settings->height,
        .fps = settings->fps,
    };

    ring_consumer_settings(stage->frames, &told);
}

int stage_open(const struct stage_config *config, struct stage **ret_stage)
{
    if (config->packet_bytes_max < STAGE_PACKET_BYTES_MIN ||
        config->packet_bytes_max > STAGE_PACKET_BYTES_MAX ||
        config->other_count > RENDITIONS_MAX - 1)
        return -EINVAL;
    struct stage *stage = calloc(1, sizeof(*stage));
    if (!stage)
        return -ENOMEM;
    snprintf(stage->name, sizeof(stage->name), "%s", config->stream);
    stage->busy = config->busy;
    int rc = open_parts(stage, config);
    if (rc < 0) {
        stage_close(stage);
        return rc;
    }
    if (config->settings.fps > 0)
        tell_simulator(stage);
    *ret_stage = stage;
    return 0;
}

/* Counts this camera among those that are watched, or no longer. */
static void set_wanted(struct stage *stage, bool wanted)
{
    if (stage->wanted == wanted)
        return;
    stage->wanted = wanted;
    if (stage->busy && wanted)
        atomic_fetch_add_explicit(stage->busy, 1, memory_order_relaxed);
    else if (stage->busy)
        atomic_fetch_sub_explicit(stage->busy, 1, memory_order_relaxed);
}

void stage_close(struct stage *stage)
{
    if (!stage)
        return;
    set_wanted(stage, false);
    ring_consumer_close(stage->frames);
    for (unsigned i = 0; i < stage->rendition_count; i++)
        rendition_close(stage->renditions[i]);
    scaler_destroy(stage->scaler);
    free(stage);
}

/* ---- what others want ---------------------------------------------------------------------- */

unsigned stage_poll_fds(const struct stage *stage, struct pollfd ret_fds[STAGE_POLL_FDS_MAX])
{
    ret_fds[0] = (struct pollfd){.fd = ring_consumer_fd(stage->frames), .events = POLLIN};
    for (unsigned i = 0; i < stage->rendition_count; i++)
        ret_fds[1 + i] =
            (struct pollfd){.fd = rendition_fd(stage->renditions[i]), .events = POLLIN};
    return 1 + stage->rendition_count;
}

static void follow_renditions(struct stage *stage)
{
    bool wanted = false;

    for (unsigned i = 0; i < stage->rendition_count; i++) {
        bool settings_changed = rendition_follow(stage->renditions[i]);
        wanted = wanted || rendition_wanted(stage->renditions[i]);
        if (settings_changed && i == 0)
            tell_simulator(stage);
    }
    if (wanted != stage->wanted)
        ring_consumer_want(stage->frames, wanted);
    set_wanted(stage, wanted);
}

static void follow_link(struct stage *stage)
{
    enum ring_link link = ring_consumer_link(stage->frames);

    const char *reason = ring_consumer_link_reason(stage->frames);

    if (link == stage->link && (stage->link_told || reason[0] == '\0'))
        return;
    stage->link = link;
    stage->link_told = true;
    if (link == RING_ATTACHED)
        log_info("%s: the simulator is here", stage->name);
    else if (link == RING_REFUSED)
        log_warning("%s: the simulator's ring cannot be used: %s", stage->name, reason);
    else
        log_info("%s: waiting for the simulator: %s", stage->name, reason);
}

static void enter_epoch(struct stage *stage, uint64_t epoch)
{
    if (stage->epoch != 0) /* a lie before the first readable frame is of the same run */
        stage->lies.named = false;
    stage->epoch = epoch;
    for (unsigned i = 0; i < stage->rendition_count; i++)
        rendition_restart(stage->renditions[i]);
}

/* ---- frames -------------------------------------------------------------------------------- */

/* The renditions that are to have this frame; returns how many. */
static unsigned choose(struct stage *stage, const struct ring_frame *frame,
                       struct rendition *ret_takers[RENDITIONS_MAX])
{
    int64_t made_ns = frame->stamp_ns[RING_STAGE_PUBLISHED];
    unsigned count = 0;

    if (made_ns <= 0)
        made_ns = clock_now_ns();
    for (unsigned i = 0; i < stage->rendition_count; i++) {
        if (rendition_takes(stage->renditions[i], made_ns))
            ret_takers[count++] = stage->renditions[i];
    }
    return count;
}

static const char *reason_not_scaled(int error)
{
    if (error == -ENOMEM)
        return "there is no memory to make it smaller";
    if (error == -ESTALE)
        return "the simulator took it back while it was read";
    return "it cannot be made smaller: it is depth, or lies in a GPU's memory";
}

/* Gives each taker the picture at its size. */
static void serve(struct stage *stage, const struct ring_view *view, const struct mosaic *mosaic,
                  struct rendition *const takers[RENDITIONS_MAX], unsigned count)
{
    struct shared_view shared = {stage->frames, view, count};
    struct ring_frame frame = view->frame;
    uint8_t user[RING_USER_BYTES]; /* outlives the view, as frame does */
    unsigned busy = stage->busy ? atomic_load_explicit(stage->busy, memory_order_relaxed) : 1;

    memcpy(user, view->user, frame.user_bytes);
    scaler_begin(stage->scaler);
    for (unsigned i = 0; i < count; i++) {
        struct picture picture;
        struct rendition_input input = {&frame, user, &picture, NULL};
        int rc = scaler_fit(stage->scaler, mosaic, rendition_box(takers[i]), &picture);
        if (rc == 1)
            input.view = &shared;
        else if (shared_view_done(&shared) < 0 && rc == 0)
            rc = -ESTALE;
        if (rc < 0)
            refusals_add(&stage->lies, rendition_name(takers[i]), &frame, reason_not_scaled(rc));
        else
            rendition_encode(takers[i], &input, busy > 1 ? 1 : 0);
    }
}

static void handle(struct stage *stage, const struct ring_view *view)
{
    struct rendition *takers[RENDITIONS_MAX];
    const char *reason = NULL;
    struct mosaic mosaic;

    if (view->epoch != stage->epoch)
        enter_epoch(stage, view->epoch);
    unsigned count = choose(stage, &view->frame, takers);
    if (count > 0 && mosaic_from_view(view, &mosaic, &reason) < 0) {
        refusals_add(&stage->lies, stage->name, &view->frame, reason);
        count = 0;
    }
    if (count > 0)
        serve(stage, view, &mosaic, takers, count);
    else
        ring_release(stage->frames, view);
}

bool stage_step(struct stage *stage)
{
    struct ring_view view;

    follow_renditions(stage);
    int rc = ring_acquire(stage->frames, RING_LATEST, &view);
    follow_link(stage);
    if (rc == 0)
        handle(stage, &view);
    else if (rc == -EPROTO)
        refusals_add(&stage->lies, stage->name, NULL,
                     "its header contradicts its slot: more bytes than fit, or another number");
    return rc == 0 || rc == -EPROTO;
}

/* ---- reports ------------------------------------------------------------------------------- */

bool stage_attached(const struct stage *stage)
{
    return ring_consumer_link(stage->frames) == RING_ATTACHED;
}

unsigned stage_rendition_count(const struct stage *stage)
{
    return stage->rendition_count;
}

const struct rendition *stage_rendition(const struct stage *stage, unsigned i)
{
    return stage->renditions[i];
}

struct rendition_counts stage_counts(const struct stage *stage)
{
    struct rendition_counts sum = {.refused = stage->lies.count};

    for (unsigned i = 0; i < stage->rendition_count; i++) {
        struct rendition_counts counts = rendition_counts(stage->renditions[i]);
        sum.encoded += counts.encoded;
        sum.keyframes += counts.keyframes;
        sum.bytes += counts.bytes;
        sum.degraded += counts.degraded;
        sum.over_rate += counts.over_rate;
        sum.refused += counts.refused;
        sum.lost += counts.lost;
        sum.gpu_lost += counts.gpu_lost;
    }
    return sum;
}

/* "encoding 640x480 at 30 fps as h264 with libx264 and 2 more". */
static void describe_work(const struct stage *stage, char *ret_text, size_t text_bytes)
{
    char first[128] = "";
    char text[128];
    unsigned count = 0;

    for (unsigned i = 0; i < stage->rendition_count; i++) {
        if (!rendition_wanted(stage->renditions[i]))
            continue;
        rendition_describe(stage->renditions[i], text, sizeof(text));
        count += text[0] != '\0';
        if (count == 1 && first[0] == '\0')
            memcpy(first, text, sizeof(first));
    }
    if (count == 0)
        snprintf(ret_text, text_bytes, "waiting for the first frame");
    else if (count == 1)
        snprintf(ret_text, text_bytes, "encoding %s", first);
    else
        snprintf(ret_text, text_bytes, "encoding %s, and %u more", first, count - 1);
}

void stage_describe(struct stage *stage, char *ret_text, size_t text_bytes)
{
    if (!stage_attached(stage))
        snprintf(ret_text, text_bytes, "waiting for the simulator: %s",
                 ring_consumer_link_reason(stage->frames));
    else if (!stage->wanted)
        snprintf(ret_text, text_bytes, "idle: nobody wants packets");
    else
        describe_work(stage, ret_text, text_bytes);
}
