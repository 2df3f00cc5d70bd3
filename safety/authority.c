/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; what cannot be understood is refused. */
#include "safety/authority.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/probe.h"
#include "safety/authority_report.h"

#define TICK_NS_MAX (100 * NS_PER_MS) /* a step after a pause is no reason for a leap */

const struct authority_config authority_config_default = {
    .gate =
        {
            .command_hold_ns = 200 * NS_PER_MS,
            .command_estop_ns = 2000 * NS_PER_MS,
            .check_cmd_seq = true,
            .follows = true,
        },
};

void authority_init(struct authority *authority, const struct authority_config *config,
                    int64_t now_ns)
{
    memset(authority, 0, sizeof(*authority));
    authority->config = config ? *config : authority_config_default;
    authority->tick_ns = now_ns;
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
    memset(authority->target, 0, sizeof(authority->target));
    memset(authority->accel, 0, sizeof(authority->accel));
    authority->decaying = false;
}

static struct authority_news step(struct authority *authority, const struct gate_event *event,
                                  int64_t now_ns)
{
    struct gate_actions actions =
        gate_step(&authority->gate, &authority->config.gate, event, now_ns);

    PROBE4(authority, event->kind, authority->gate.mode, authority->gate.reason, actions.pass);
    if (authority->gate.mode == GATE_ESTOP)
        authority_still(authority);
    else if (authority->gate.mode == GATE_HOLD)
        authority->decaying = is_moving(authority);
    else
        authority->decaying = false;
    if (authority->gate.mode != GATE_ARMED) {
        memset(authority->target, 0, sizeof(authority->target));
        memset(authority->accel, 0, sizeof(authority->accel));
    }
    return (struct authority_news){
        .accepted = actions.pass,
        .refused = actions.refused,
        .detail = actions.pass ? NULL : gate_reason_name(actions.refused),
        .changed = actions.changed,
        .timed_out = actions.changed && authority->gate.reason == GATE_REASON_CMD_TIMEOUT,
    };
}

static bool glides(const struct limits *limits)
{
    return limits_any(limits->accel_max) || limits_any(limits->jerk_max);
}

/* Returns whether the velocity was cut. */
static bool apply_velocity(struct authority *authority, const struct command *command)
{
    authority->target[0] = command->data.velocity.linear_x_mps;
    authority->target[1] = command->data.velocity.linear_y_mps;
    authority->target[2] = command->data.velocity.angular_z_radps;
    bool limited = limits_cut(&authority->config.limits, authority->target);
    if (!glides(&authority->config.limits))
        memcpy(authority->velocity, authority->target, sizeof(authority->velocity));
    if (command->has_cmd_seq)
        authority->cmd_seq = command->cmd_seq;
    return limited;
}

static enum gate_deadman deadman_of(const struct command *command)
{
    if (command->deadman == COMMAND_DEADMAN_ABSENT)
        return GATE_DEADMAN_ABSENT;
    return command->deadman == COMMAND_DEADMAN_HELD ? GATE_DEADMAN_HELD : GATE_DEADMAN_RELEASED;
}

static struct gate_event event_of(const struct command *command,
                                  const struct authority_message *stamp, int64_t now_ns)
{
    struct gate_event event = {
        .kind = GATE_EVENT_MOTION,
        .is_velocity = command->action == COMMAND_SET_CMD_VEL,
        .has_cmd_seq = command->has_cmd_seq,
        .cmd_seq = command->cmd_seq,
        .ttl_ns = command->ttl_ms * NS_PER_MS,
        .age_ns = stamp && stamp->sent_ns > 0 ? now_ns - stamp->sent_ns : 0,
        .deadman = deadman_of(command),
        .role = GATE_ROLE_BUS,
        .epoch = stamp ? stamp->epoch : 0,
    };

    if (command->action == COMMAND_ESTOP || command->origin == COMMAND_FROM_GATE_ESTOP)
        event.kind = GATE_EVENT_ESTOP;
    else if (command->origin == COMMAND_FROM_GATE_HOLD)
        event.kind = GATE_EVENT_PEER_HOLD;
    else if (command->action == COMMAND_ESTOP_CLEAR)
        event.kind = GATE_EVENT_ESTOP_CLEAR;
    else if (!command_is_motion(command->action))
        event.kind = GATE_EVENT_TICK;
    return event;
}

struct authority_news authority_command(struct authority *authority, const struct command *command,
                                        const struct authority_message *stamp, int64_t now_ns)
{
    struct gate_event event = event_of(command, stamp, now_ns);
    struct authority_news news = {.accepted = true};

    if (event.kind != GATE_EVENT_TICK)
        news = step(authority, &event, now_ns);
    if (event.kind == GATE_EVENT_PEER_HOLD) {
        news.accepted = true;
        news.detail = NULL;
    }
    if (news.accepted && event.kind == GATE_EVENT_MOTION && event.is_velocity)
        news.limited = apply_velocity(authority, command);
    authority->accepted += news.accepted;
    authority->refused += !news.accepted;
    return news;
}

struct authority_news authority_peer(struct authority *authority, bool gated, uint64_t epoch,
                                     int64_t now_ns)
{
    struct gate_event event = {.kind = gated ? GATE_EVENT_PEER_GATED : GATE_EVENT_PEER_UNGATED,
                               .epoch = epoch};

    return step(authority, &event, now_ns);
}

struct authority_news authority_bus(struct authority *authority, bool connected, int64_t now_ns)
{
    struct gate_event event = {.kind = connected ? GATE_EVENT_BUS_UP : GATE_EVENT_BUS_DOWN};

    return step(authority, &event, now_ns);
}

int authority_take(struct authority *authority, const struct authority_message *message,
                   int64_t now_ns, struct command *ret_command, struct authority_news *ret_news)
{
    enum command_action action;
    const char *reason = NULL;

    if (strcmp(message->subject, AUTHORITY_VIDEO_GATE) == 0) {
        bool gated = authority_read_gated(message->payload, message->payload_bytes);
        *ret_news = authority_peer(authority, gated, message->epoch, now_ns);
        return -EAGAIN;
    }
    if (command_action_of_subject(message->subject, &action) < 0)
        return -ENOTSUP;
    int error =
        command_parse_as(action, message->payload, message->payload_bytes, ret_command, &reason);
    if (error < 0) {
        command_identify(message->payload, message->payload_bytes, ret_command);
        ret_command->action = action;
        *ret_news = (struct authority_news){.detail = reason};
        authority->refused++;
        return error;
    }
    *ret_news = authority_command(authority, ret_command, message, now_ns);
    return 0;
}

static void decay(struct authority *authority)
{
    for (unsigned i = 0; i < LIMITS_AXES; i++) {
        authority->velocity[i] /= 2;
        if (fabs(authority->velocity[i]) < AUTHORITY_STILL)
            authority->velocity[i] = 0;
    }
    authority->decaying = is_moving(authority);
}

static void glide_on(struct authority *authority, int64_t elapsed_ns)
{
    struct glide glide;

    memcpy(glide.velocity, authority->velocity, sizeof(glide.velocity));
    memcpy(glide.accel, authority->accel, sizeof(glide.accel));
    limits_approach(&authority->config.limits, &glide, authority->target,
                    (double)elapsed_ns / (double)NS_PER_S);
    memcpy(authority->velocity, glide.velocity, sizeof(glide.velocity));
    memcpy(authority->accel, glide.accel, sizeof(glide.accel));
}

struct authority_news authority_tick(struct authority *authority, int64_t now_ns)
{
    int64_t elapsed_ns = now_ns - authority->tick_ns;
    struct authority_news news =
        step(authority, &(struct gate_event){.kind = GATE_EVENT_TICK}, now_ns);

    if (authority->decaying)
        decay(authority);
    else if (authority->gate.mode == GATE_ARMED && glides(&authority->config.limits) &&
             elapsed_ns > 0)
        glide_on(authority, elapsed_ns < TICK_NS_MAX ? elapsed_ns : TICK_NS_MAX);
    if (elapsed_ns > 0)
        authority->tick_ns = now_ns;
    return news;
}
