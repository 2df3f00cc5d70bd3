/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Action to photon. The viewer's frames do not say which command they show, but the simulator's
 * own frame ring does (robot_state.cmd_seq), so a second, read-only consumer looks there which
 * frame_id is the first, and the viewer's connection says when that frame came; when a browser
 * watches as well, its page says when it was drawn. One poll loop over all.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/glass_rig.h"
#include "proto/command.h"
#include "proto/robot_state.h"
#include "shm/ring.h"

#define WARM_UP 2 /* commands */
#define FIRST_FRAMES 10
#define PATIENCE_NS (5 * NS_PER_S)
#define PAUSE_NS                                                                                   \
    (40 * NS_PER_MS) /* at least; the same again at random, so that no phase recurs                \
                      */
#define COMMAND_BYTES 192
#define REMEMBERED 256 /* pictures; the browser is never that far behind */

struct actor {
    struct glass_client *client;
    struct glass_browser *browser; /* NULL: the viewer's last byte counts */
    struct {
        uint64_t frame_seq;
        uint64_t frame_id;
    } frames[REMEMBERED]; /* by frame_seq: the page knows no frame_id */
    struct ring_consumer *ring;
    struct frame_info pending;
    uint64_t random;
    uint64_t cmd_seq;      /* of the command under way */
    uint64_t first_id;     /* the first frame that shows it; 0: none yet */
    uint64_t newest_id;    /* at the viewer, or drawn by the browser */
    int64_t newest_ns;     /* when it came, or was drawn */
    unsigned frames_count; /* at the viewer */
};

/* Whether more than these came meanwhile does not matter: command numbers only grow. */
static int look_into_ring(struct actor *actor)
{
    struct robot_state state;
    struct ring_view view;
    int error;

    while ((error = ring_acquire(actor->ring, RING_NEXT, &view)) == 0) {
        bool has_state = view.frame.user_bytes >= sizeof(state);
        if (has_state)
            memcpy(&state, view.user, sizeof(state));
        if (has_state && state.magic == ROBOT_STATE_MAGIC && state.cmd_seq >= actor->cmd_seq &&
            actor->cmd_seq > 0 && actor->first_id == 0)
            actor->first_id = view.frame.frame_id;
        ring_release(actor->ring, &view);
    }
    return error == -EAGAIN || error == -EPIPE ? 0 : error;
}

static int look_at_socket(struct actor *actor)
{
    struct glass_message message;
    struct glass_frame frame;
    int error;

    while ((error = glass_client_receive(actor->client, &message)) == 0) {
        if (!glass_frame_take(&actor->pending, &message, &frame))
            continue;
        actor->frames_count++;
        uint64_t seq = frame.header.frame_seq;
        actor->frames[seq % REMEMBERED].frame_seq = seq;
        actor->frames[seq % REMEMBERED].frame_id = frame.header.frame_id;
        if (actor->browser)
            continue;
        actor->newest_id = frame.header.frame_id;
        actor->newest_ns = frame.arrived_ns;
        return 0; /* one at a time: the first that shows the command counts */
    }
    return error == -EAGAIN ? 0 : error;
}

static int look_at_browser(struct actor *actor)
{
    struct glass_drawn drawn;

    if (!actor->browser)
        return 0;
    int error = glass_browser_next(actor->browser, &drawn);
    if (error == 0 && actor->frames[drawn.frame_seq % REMEMBERED].frame_seq == drawn.frame_seq) {
        actor->newest_id = actor->frames[drawn.frame_seq % REMEMBERED].frame_id;
        actor->newest_ns = drawn.drawn_ns;
    }
    return error == -EAGAIN ? 0 : error;
}

static int look(struct actor *actor)
{
    struct pollfd fds[] = {{.fd = actor->client->fd, .events = POLLIN},
                           {.fd = ring_consumer_fd(actor->ring), .events = POLLIN},
                           {.fd = actor->browser ? actor->browser->lines : -1, .events = POLLIN}};

    poll(fds, 3, 5);
    int error = look_into_ring(actor);
    if (error == 0)
        error = look_at_socket(actor);
    return error < 0 ? error : look_at_browser(actor);
}

static int look_for(struct actor *actor, int64_t during_ns)
{
    int64_t end_ns = clock_now_ns() + during_ns;
    int error = 0;

    while (error == 0 && clock_now_ns() < end_ns)
        error = look(actor);
    return error;
}

/* Commands before the gate and the bus are ready would be lost: the way must be open first. */
static int await_video(struct actor *actor)
{
    int64_t give_up_ns = clock_now_ns() + PATIENCE_NS;
    int error = 0;

    while (error == 0 && (actor->frames_count < FIRST_FRAMES ||
                          ring_consumer_link(actor->ring) != RING_ATTACHED)) {
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        error = look(actor);
    }
    return error;
}

static int command(struct actor *actor)
{
    char json[COMMAND_BYTES];

    actor->first_id = 0;
    actor->cmd_seq++;
    int count = snprintf(json, sizeof(json),
                         "%c{\"action\":\"set_cmd_vel\",\"cmd_seq\":%" PRIu64
                         ",\"ttl_ms\":500,\"data\":{\"linear_x\":%.1f,\"linear_y\":0.0,"
                         "\"angular_z\":0.0}}",
                         COMMAND_MESSAGE_TYPE, actor->cmd_seq, actor->cmd_seq % 2 ? 0.3 : 0.1);
    return glass_client_send(actor->client, json, (size_t)count);
}

/* Errors: -ETIMEDOUT no frame shows it in time. */
static int act_once(struct actor *actor, int64_t patience_ns, int64_t *ret_ns)
{
    int64_t began_ns = clock_now_ns();
    int error = command(actor);

    while (error == 0 && (actor->first_id == 0 || actor->newest_id < actor->first_id)) {
        if (clock_now_ns() - began_ns > patience_ns)
            return -ETIMEDOUT;
        error = look(actor);
    }
    *ret_ns = actor->newest_ns - began_ns;
    return error;
}

static int64_t next_pause_ns(struct actor *actor)
{
    actor->random ^= actor->random << 13; /* xorshift64; the seed is never 0 */
    actor->random ^= actor->random >> 7;
    actor->random ^= actor->random << 17;
    return PAUSE_NS + (int64_t)(actor->random % PAUSE_NS);
}

/* The first commands may be lost while the bus connects; those that count may not. */
static int warm_up(struct actor *actor)
{
    int64_t give_up_ns = clock_now_ns() + PATIENCE_NS;
    int64_t ignored_ns;
    unsigned shown = 0;
    int error = await_video(actor);

    while (error == 0 && shown < WARM_UP && clock_now_ns() < give_up_ns) {
        error = act_once(actor, PATIENCE_NS / 10, &ignored_ns);
        shown += error == 0;
        if (error == -ETIMEDOUT)
            error = 0;
    }
    return error == 0 && shown < WARM_UP ? -ETIMEDOUT : error;
}

int glass_rig_act(struct glass_rig *rig, const char *dir, unsigned commands, uint64_t seed,
                  struct histogram *ret_times)
{
    struct actor actor = {.client = &rig->client,
                          .browser = rig->browser.lines >= 0 ? &rig->browser : NULL,
                          .random = seed};
    struct ring_consumer_config config = {
        .dir = dir, .stream = GLASS_STREAM, .kind = RING_KIND_FRAMES};
    int64_t time_ns;
    int error = ring_consumer_open(&config, &actor.ring);

    if (error < 0)
        return error;
    error = warm_up(&actor);
    for (unsigned i = 0; i < commands && error == 0; i++) {
        error = look_for(&actor, next_pause_ns(&actor));
        if (error == 0)
            error = act_once(&actor, PATIENCE_NS, &time_ns);
        if (error == 0)
            histogram_record(ret_times, time_ns);
    }
    ring_consumer_close(actor.ring);
    return error;
}
