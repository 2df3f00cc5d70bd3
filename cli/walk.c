/* SPDX-License-Identifier: Apache-2.0 */
/* Owns two ring consumers. A ring that is not there, or a state that is not whole, is no look. */
#include "cli/walk.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/robot_state.h"
#include "shm/ring.h"

#define UPRIGHT_MIN 0.4 /* cosine of the trunk's tilt, as in the simulator */

struct walk {
    struct ring_consumer *states;
    struct ring_consumer *actions;
    bool told; /* to move, once */
    double from_m[2];
    bool lies;
    uint64_t actions_before; /* of earlier runs of simcast-hal */
    uint64_t actions_newest;
    struct walk_result seen;
};

int walk_open(const char *ipc_dir, const char *stream, struct walk **ret_walk)
{
    struct ring_consumer_config config = {
        .dir = ipc_dir, .stream = stream, .kind = RING_KIND_STATE};
    struct walk *walk = calloc(1, sizeof(*walk));

    if (!walk)
        return -ENOMEM;
    int error = ring_consumer_open(&config, &walk->states);
    config.kind = RING_KIND_ACTIONS;
    if (error == 0)
        error = ring_consumer_open(&config, &walk->actions);
    if (error < 0) {
        walk_close(walk);
        return error;
    }
    *ret_walk = walk;
    return 0;
}

void walk_close(struct walk *walk)
{
    if (!walk)
        return;
    ring_consumer_close(walk->states);
    ring_consumer_close(walk->actions);
    free(walk);
}

static bool take_state(struct walk *walk, struct robot_state *state)
{
    struct ring_view view;

    if (ring_acquire(walk->states, RING_LATEST, &view) < 0)
        return false;
    bool fits = view.frame.payload_bytes == sizeof(*state);
    if (fits)
        memcpy(state, view.payload, sizeof(*state));
    return ring_release(walk->states, &view) == 0 && fits && state->magic == ROBOT_STATE_MAGIC;
}

static void judge(struct walk *walk, const struct robot_state *state)
{
    const double *q = state->orientation_xyzw;
    bool lies = 1 - 2 * (q[0] * q[0] + q[1] * q[1]) < UPRIGHT_MIN;
    bool told = state->command[0] != 0 || state->command[1] != 0 || state->command[2] != 0;

    if (told && !walk->told) {
        walk->told = true;
        memcpy(walk->from_m, state->position_m, sizeof(walk->from_m));
    }
    if (walk->told)
        walk->seen.distance_m =
            hypot(state->position_m[0] - walk->from_m[0], state->position_m[1] - walk->from_m[1]);
    walk->seen.falls += lies && !walk->lies;
    walk->lies = lies;
}

void walk_look(struct walk *walk)
{
    struct robot_state state;
    struct ring_view view;

    if (take_state(walk, &state))
        judge(walk, &state);
    /* Numbers start at 1 again with each simcast-hal. */
    if (ring_acquire(walk->actions, RING_LATEST, &view) < 0)
        return;
    if (view.frame.seq < walk->actions_newest)
        walk->actions_before += walk->actions_newest;
    walk->actions_newest = view.frame.seq;
    walk->seen.actions = walk->actions_before + walk->actions_newest;
    ring_release(walk->actions, &view);
}

const struct walk_result *walk_seen(const struct walk *walk)
{
    return &walk->seen;
}
