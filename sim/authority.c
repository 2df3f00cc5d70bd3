/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone, on the control thread; cannot fail. */
#include "sim/authority.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

void authority_init(struct authority *authority, int64_t now_ns)
{
    memset(authority, 0, sizeof(*authority));
    gate_init(&authority->gate, now_ns);
}

static bool is_moving(const struct authority *authority)
{
    return authority->velocity[0] != 0 || authority->velocity[1] != 0 ||
           authority->velocity[2] != 0;
}

void authority_still(struct authority *authority)
{
    memset(authority->velocity, 0, sizeof(authority->velocity));
    authority->decaying = false;
}

static struct authority_news step(struct authority *authority, const struct gate_event *event,
                                  int64_t now_ns)
{
    struct gate_actions actions =
        gate_step(&authority->gate, &gate_config_simulator, event, now_ns);

    if (authority->gate.mode == GATE_ESTOP)
        authority_still(authority);
    else if (authority->gate.mode == GATE_HOLD)
        authority->decaying = is_moving(authority);
    else
        authority->decaying = false;
    return (struct authority_news){
        .accepted = actions.pass,
        .refused = actions.refused,
        .changed = actions.changed,
        .timed_out = actions.changed && authority->gate.reason == GATE_REASON_CMD_TIMEOUT,
    };
}

static void apply_velocity(struct authority *authority, const struct command *command)
{
    authority->velocity[0] = command->data.velocity.linear_x_mps;
    authority->velocity[1] = command->data.velocity.linear_y_mps;
    authority->velocity[2] = command->data.velocity.angular_z_radps;
    if (command->has_cmd_seq)
        authority->cmd_seq = command->cmd_seq;
}

struct authority_news authority_command(struct authority *authority, const struct command *command,
                                        int64_t now_ns)
{
    struct gate_event event = {
        .kind = GATE_EVENT_MOTION,
        .is_velocity = command->action == COMMAND_SET_CMD_VEL,
        .has_cmd_seq = command->has_cmd_seq,
        .cmd_seq = command->cmd_seq,
        .ttl_ns = command->ttl_ms * NS_PER_MS,
    };
    struct authority_news news;

    if (command->action == COMMAND_ESTOP || command->origin == COMMAND_FROM_GATE_ESTOP)
        event.kind = GATE_EVENT_ESTOP;
    else if (command->origin == COMMAND_FROM_GATE_HOLD)
        event.kind = GATE_EVENT_PEER_HOLD;
    else if (command->action == COMMAND_ESTOP_CLEAR)
        event.kind = GATE_EVENT_ESTOP_CLEAR;
    else if (!command_is_motion(command->action))
        return (struct authority_news){.accepted = true};
    news = step(authority, &event, now_ns);
    if (event.kind == GATE_EVENT_PEER_HOLD)
        news.accepted = true;
    else if (news.accepted && event.kind == GATE_EVENT_MOTION && event.is_velocity)
        apply_velocity(authority, command);
    return news;
}

struct authority_news authority_peer(struct authority *authority, bool gated, int64_t now_ns)
{
    struct gate_event event = {.kind = gated ? GATE_EVENT_PEER_GATED : GATE_EVENT_PEER_UNGATED};

    return step(authority, &event, now_ns);
}

struct authority_news authority_tick(struct authority *authority, int64_t now_ns)
{
    struct authority_news news =
        step(authority, &(struct gate_event){.kind = GATE_EVENT_TICK}, now_ns);

    for (unsigned i = 0; i < 3 && authority->decaying; i++) {
        authority->velocity[i] /= 2;
        if (fabs(authority->velocity[i]) < AUTHORITY_STILL)
            authority->velocity[i] = 0;
    }
    authority->decaying = authority->decaying && is_moving(authority);
    return news;
}
