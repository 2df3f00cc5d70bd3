/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream that is served: a rendition of a camera, its source, who watches it, what flows back
 * to its encoder, and what is known of its frames.
 *
 * The name of its packet ring is CAMERA or CAMERA+RENDITION (shm/ring.h). The default stream, id 0,
 * is the one that --stream names: clients of the compatible protocol get it, the gate watches it,
 * and it may come from the legacy slot; its demand is the relay's business.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_STREAM_H
#define SIMCAST_DAEMON_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/arrivals.h"
#include "daemon/audience.h"
#include "daemon/demand.h"
#include "daemon/metrics.h"
#include "daemon/relay.h"
#include "daemon/source.h"

struct streams;

struct stream {
    uint16_t id; /* as clients know it; another one after the stream was away and unwatched */
    char name[RING_STREAM_BYTES];
    char camera[RING_STREAM_BYTES];
    char rendition[RING_STREAM_BYTES]; /* "": the camera's default */
    struct source *source;
    struct audience *audience;
    const struct arrivals *arrivals;
    enum video_codec codec; /* of the newest frame; VIDEO_CODEC_NONE: none came yet */
    uint32_t width;         /* 0: unknown */
    uint32_t height;
    int64_t frame_ns; /* arrival of the newest frame; 0: none */
    uint64_t frames;
    uint64_t bytes;               /* of their payloads */
    uint64_t lost;                /* overwritten before they were read */
    bool gpu_lost;                /* its encoder's GPU failed, and the processor took over */
    unsigned fps;                 /* in the second before */
    struct metrics_stages stages; /* of its frames that came while it was watched */
    /* stream.c's and streams.c's: */
    struct streams *set;
    struct relay *relay; /* of the default stream; NULL: of another */
    struct audience own_audience;
    struct arrivals own_arrivals;
    struct demand demand;
    int64_t wanted_ns; /* since when it is; of the default stream not kept */
    struct loop_watch *watch;
    uint64_t frames_before; /* a second ago */
    bool live;
    int64_t away_ns; /* since when it is not live */
};

struct stream_terms {
    const char *dir;
    int64_t keyframe_coalesce_ns;
    int64_t keyframe_timeout_ns;
    struct counters *counters;
};

/* Splits a ring's name. Errors: -EINVAL it is none. */
int stream_split(const char *name, char ret_camera[RING_STREAM_BYTES],
                 char ret_rendition[RING_STREAM_BYTES]);

/*
 * A stream other than the default one. Its ring need not be there yet. On success the caller owns
 * *ret_stream. Errors: -EINVAL a bad name; -ENAMETOOLONG, -ENOMEM, -EMFILE.
 */
int stream_open(const struct stream_terms *terms, const char *name, uint16_t id, int64_t now_ns,
                struct stream **ret_stream);

/* The default stream: source, audience and demand are lent. Errors: -EINVAL, -ENOMEM. */
int stream_open_default(const char *name, struct source *source, struct fanout *fanout,
                        struct relay *relay, struct stream **ret_stream);

/* Takes NULL. Nobody may watch it any more. */
void stream_close(struct stream *stream);

/* A packet of it is being served: remembers what there is to know. */
void stream_note(struct stream *stream, const struct packet *packet, int64_t now_ns);

/* Serves all packets that are there. Not for the default stream. Returns how many. */
unsigned stream_take(struct stream *stream);

/* To be called when somebody comes, leaves or pauses, and every 50 ms. */
void stream_update(struct stream *stream, int64_t now_ns);

/* Somebody needs a keyframe. */
void stream_keyframe(struct stream *stream, int64_t now_ns);

/* To be called once a second. */
void stream_second(struct stream *stream);

/* Whether frames come from it, or would if it were wanted. */
bool stream_live(const struct stream *stream, int64_t now_ns);

/* Whether its encoder is asked to encode. */
bool stream_wanted(const struct stream *stream);

#endif
