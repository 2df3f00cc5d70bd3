/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the state ring's producer and the action ring's consumer, used on the physics thread.
 * Actions come from another program: each is copied, checked, then used; a bad one is as none.
 */
#include "sim/robot_link.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/robot_action.h"
#include "shm/ring.h"

struct robot_link {
    struct ring_producer *states;
    struct ring_consumer *actions;
    struct robot_action action; /* the newest good one; magic 0: none */
    enum gate_mode mode;        /* of the last call */
    int64_t mode_ns;            /* when it came */
    bool obeying;
};

int robot_link_open(const char *dir, const char *stream, struct robot_link **ret_link)
{
    struct robot_link *link = calloc(1, sizeof(*link));
    struct ring_producer_config states = {.dir = dir,
                                          .stream = stream,
                                          .kind = RING_KIND_STATE,
                                          .payload_bytes_max = sizeof(struct robot_state)};
    struct ring_consumer_config actions = {.dir = dir, .stream = stream, .kind = RING_KIND_ACTIONS};

    if (!link)
        return -ENOMEM;
    link->mode = GATE_HOLD;
    int error = ring_producer_open(&states, &link->states);
    if (error == 0)
        error = ring_consumer_open(&actions, &link->actions);
    if (error < 0) {
        log_error("cannot open the robot's rings of stream '%s' in %s: %s: check --stream and "
                  "--ipc-dir, and that no other simulator uses them",
                  stream, dir, strerrordesc_np(-error));
        robot_link_close(link);
        return error;
    }
    ring_consumer_want(link->actions, true);
    *ret_link = link;
    return 0;
}

void robot_link_close(struct robot_link *link)
{
    if (!link)
        return;
    ring_consumer_close(link->actions);
    ring_producer_close(link->states);
    free(link);
}

void robot_link_publish(struct robot_link *link, const struct robot_state *state)
{
    struct ring_loan loan;
    struct ring_frame frame = {.frame_id = state->step,
                               .payload_bytes = sizeof(*state),
                               .flags = RING_FRAME_KEYFRAME,
                               .sim_time_ns = state->sim_time_ns};

    if (ring_loan(link->states, &loan) < 0)
        return;
    memcpy(loan.payload, state, sizeof(*state));
    (void)ring_publish(link->states, &loan, &frame);
}

static bool is_good(const struct robot_action *action)
{
    if (action->magic != ROBOT_ACTION_MAGIC || action->mode > GATE_ESTOP ||
        !isfinite(action->stiffness_nm_per_rad) || !isfinite(action->damping_nms_per_rad))
        return false;
    for (unsigned i = 0; i < ROBOT_JOINTS; i++) {
        if (!isfinite(action->joint_position_rad[i]))
            return false;
    }
    return true;
}

static void take_newest(struct robot_link *link)
{
    struct robot_action action;
    struct ring_view view;

    while (ring_acquire(link->actions, RING_LATEST, &view) == 0) {
        bool whole = view.frame.payload_bytes == sizeof(action);
        if (whole)
            memcpy(&action, view.payload, sizeof(action));
        if (ring_release(link->actions, &view) == 0 && whole && is_good(&action))
            link->action = action;
    }
}

static bool may_obey(const struct robot_link *link, int64_t now_ns)
{
    const struct robot_action *action = &link->action;

    if (action->magic == 0 || now_ns < action->made_ns ||
        now_ns - action->made_ns > ROBOT_ACTION_NS_MAX)
        return false;
    if (link->mode == GATE_ARMED)
        return true;
    return link->mode == GATE_HOLD &&
           (action->mode != GATE_ARMED || now_ns - link->mode_ns < ROBOT_LINK_GRACE_NS);
}

bool robot_link_drive(struct robot_link *link, enum gate_mode mode, int64_t now_ns,
                      struct robot_drive *ret_drive)
{
    if (mode != link->mode)
        link->mode_ns = now_ns;
    link->mode = mode;
    take_newest(link);
    bool obey = may_obey(link, now_ns);
    if (obey != link->obeying)
        log_info("the joints follow %s", obey ? "the action ring" : "the built-in gait");
    link->obeying = obey;
    if (!obey)
        return false;
    for (unsigned i = 0; i < ROBOT_JOINTS; i++)
        ret_drive->joint_position_rad[i] = (double)link->action.joint_position_rad[i];
    ret_drive->stiffness_nm_per_rad = (double)link->action.stiffness_nm_per_rad;
    ret_drive->damping_nms_per_rad = (double)link->action.damping_nms_per_rad;
    return true;
}
