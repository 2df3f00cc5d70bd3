/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole way with the real programs: a source of pictures, simcast-encoder, simcastd and one
 * viewer, which is this process. All on this machine, so all on one clock.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_GLASS_RIG_H
#define SIMCAST_BENCH_GLASS_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "bench/glass_browser.h"
#include "bench/glass_client.h"
#include "bench/peer.h"
#include "bench/scene.h"
#include "proto/video.h"
#include "proto/viewer.h"

#define GLASS_STREAM "glass"
#define GLASS_FPS 60

enum glass_source {
    GLASS_PATTERN,  /* simcast-sim --pattern */
    GLASS_RENDERED, /* simcast-sim, the robot */
    GLASS_CLIP,     /* pictures of the robot that were drawn before, straight into a ring */
};

struct glass_setup {
    const char *dir; /* for sockets */
    const char *codec;
    enum glass_source source;
    const struct scene *clip; /* of GLASS_CLIP */
    unsigned fps;
};

struct glass_rig {
    struct peer source;
    struct peer encoder;
    struct peer daemon;
    struct glass_client client;
    struct glass_browser browser;
    uint16_t port;
};

/* Starts the programs, without a viewer. On failure nothing is left to close. */
int glass_rig_open(struct glass_rig *rig, const struct glass_setup *setup);

/* The viewer comes. Errors: those of glass_client_open. */
int glass_rig_watch(struct glass_rig *rig);

/*
 * A page in a browser watches as well; comes back when it draws. Errors: those of
 * glass_browser_open and glass_browser_next; -ETIMEDOUT it draws nothing.
 */
int glass_rig_browse(struct glass_rig *rig);

/* Takes a rig whose open, watch or browse failed. */
void glass_rig_close(struct glass_rig *rig);

/* A frame that arrived at the viewer. */
struct glass_frame {
    struct frame_info info;
    struct video_header header;
    int64_t arrived_ns; /* its last byte */
};

/*
 * Sees to it that *ret_frame is the frame that `message` completes. Returns false for messages
 * that complete none. `pending` is the caller's, zeroed at first, for what precedes a frame.
 */
bool glass_frame_take(struct frame_info *pending, const struct glass_message *message,
                      struct glass_frame *ret_frame);

/* Where a frame's time went. */
struct glass_stages {
    struct histogram ring;         /* frame published to encode begin */
    struct histogram encode;       /* encode begin to encode end */
    struct histogram packet;       /* encode end to packet published */
    struct histogram fanout;       /* packet published to handed to the viewer's socket */
    struct histogram socket;       /* to its last byte received */
    struct histogram all;          /* frame published to last byte received */
    struct histogram minus_encode; /* the same without encode, frame by frame */
};

/* Watches until that many frames came. Errors: -ETIMEDOUT; those of glass_client_receive. */
int glass_rig_measure(struct glass_rig *rig, unsigned frames, struct glass_stages *ret_stages);

/* What the browser adds, picture by picture. */
struct glass_shown {
    struct histogram decode; /* received by the page to decoded */
    struct histogram draw;   /* to drawn */
    struct histogram all;    /* frame published in the simulator's ring to drawn */
};

/*
 * Asks for a codec, then watches the browser until that many pictures in it were drawn; our own
 * viewer, which must be there, says when each was published. Errors: as above.
 */
int glass_rig_look(struct glass_rig *rig, enum video_codec codec, unsigned frames,
                   struct glass_shown *ret_shown);

/*
 * From a command's leaving the viewer to the last byte of the first frame that shows it applied,
 * or, when a browser watches, to that frame drawn; that many times. Needs a source that obeys.
 * Errors: as above; -EPIPE no frame ring.
 */
int glass_rig_act(struct glass_rig *rig, const char *dir, unsigned commands, uint64_t seed,
                  struct histogram *ret_times);

/* Processor time of encoder and daemon together while nobody watches, in percent of a core. */
double glass_rig_idle(struct glass_rig *rig, int64_t during_ns);

#endif
