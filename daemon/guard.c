/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the gate's state and what is still to be published. Never fails: it tries again. */
#include "daemon/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "proto/gate_state.h"

#define REPEAT_SECONDS 3

/* Flat and nested, so that every existing reader finds the values. */
static const char hold_json[] =
    "{\"action\":\"set_cmd_vel\",\"linear_x\":0.0,\"linear_y\":0.0,\"angular_z\":0.0,"
    "\"data\":{\"linear_x\":0.0,\"linear_y\":0.0,\"angular_z\":0.0},\"_safety\":\"hold\"}";
static const char estop_json[] = "{\"action\":\"estop\",\"reason\":\"video_timeout\","
                                 "\"data\":{\"reason\":\"video_timeout\"},\"_safety\":\"estop\"}";
static const char video_gate_subject[] = "telemetry.safety.video_gate";
static const char epoch_subject[] = "telemetry.safety.epoch";

void guard_init(struct guard *guard, const struct gate_config *config, struct bus *bus,
                struct fanout *fanout, int64_t now_ns)
{
    *guard = (struct guard){
        .config = *config,
        .bus = bus,
        .fanout = fanout,
        .gated = true, /* closed until shown otherwise; nobody needs to be told */
        .gated_mode = GATE_HOLD,
    };
    gate_init(&guard->gate, now_ns);
    const struct gate_event first = {
        .kind = GATE_EVENT_EPOCH,
        .epoch = (uint64_t)(clock_wall_ns() / NS_PER_US),
    };
    gate_step(&guard->gate, &guard->config, &first, now_ns);
}

static int publish(struct guard *guard, enum bus_lane lane, const char *subject, const char *json)
{
    return bus_publish(guard->bus, lane,
                       &(struct bus_message){
                           .subject = subject,
                           .payload = json,
                           .payload_bytes = strlen(json),
                           .epoch = guard->gate.epoch,
                           .lasts = true,
                       });
}

int guard_publish_hold(struct guard *guard)
{
    return publish(guard, BUS_LANE_NORMAL, command_subject(COMMAND_SET_CMD_VEL), hold_json);
}

static void write_announcement(const struct guard *guard, int64_t now_ns, char *json,
                               size_t json_bytes)
{
    int64_t age_ns = gate_video_age_ns(&guard->gate, now_ns);

    if (guard->gated)
        snprintf(json, json_bytes, "{\"gated\":true,\"mode\":\"%s\",\"stale_ms\":%" PRId64 "}",
                 gate_mode_name(guard->gated_mode), age_ns > 0 ? age_ns / NS_PER_MS : 0);
    else
        snprintf(json, json_bytes, "{\"gated\":false}");
}

/* Tells everybody when the video stopped or came back, and when a hold became a stop. */
static void announce(struct guard *guard, int64_t now_ns)
{
    bool gated = !gate_video_fresh(&guard->gate, &guard->config, now_ns);
    enum gate_mode mode = guard->gate.mode == GATE_ESTOP ? GATE_ESTOP : GATE_HOLD;
    bool changed = gated != guard->gated || (gated && mode != guard->gated_mode);
    char json[128];

    if (!changed && !guard->announcement_pending)
        return;
    guard->announced = true;
    guard->gated = gated;
    guard->gated_mode = mode;
    write_announcement(guard, now_ns, json, sizeof(json));
    if (changed)
        fanout_telemetry(guard->fanout, video_gate_subject, json, strlen(json));
    guard->announcement_pending = publish(guard, BUS_LANE_NORMAL, video_gate_subject, json) < 0;
}

static void tell_epoch(const struct guard *guard, struct client *client)
{
    char json[64];

    if (client->kind != CLIENT_V2)
        return;
    snprintf(json, sizeof(json), "{\"epoch\":%" PRIu64 "}", guard->gate.epoch);
    fanout_telemetry_to(guard->fanout, client, epoch_subject, json);
}

static void end_epoch(const struct guard *guard)
{
    bus_end_epochs(guard->bus, guard->gate.epoch);
    for (unsigned i = 0; i < fanout_connections(guard->fanout); i++)
        tell_epoch(guard, fanout_client(guard->fanout, i));
}

void guard_tell(const struct guard *guard, struct client *client, int64_t now_ns)
{
    char json[128];

    tell_epoch(guard, client);
    if (!guard->announced || !guard->gated)
        return;
    write_announcement(guard, now_ns, json, sizeof(json));
    fanout_telemetry_to(guard->fanout, client, video_gate_subject, json);
}

void guard_bus_back(struct guard *guard, int64_t now_ns)
{
    guard->repeats = 1 + REPEAT_SECONDS;
    guard->repeat_ns = now_ns;
}

static void repeat_state(struct guard *guard, int64_t now_ns)
{
    if (guard->repeats == 0 || now_ns < guard->repeat_ns)
        return;
    guard->repeats--;
    guard->repeat_ns = now_ns + NS_PER_S;
    guard->stop_pending = true;
    guard->announcement_pending |= guard->announced;
}

/* Drops what no longer holds. */
static void publish_pending(struct guard *guard)
{
    if (guard->gate.mode == GATE_ARMED)
        guard->hold_pending = false;
    if (guard->gate.mode != GATE_ESTOP)
        guard->stop_pending = false;
    if (guard->stop_pending)
        guard->stop_pending =
            publish(guard, BUS_LANE_STOP, command_subject(COMMAND_ESTOP), estop_json) < 0;
    if (guard->hold_pending && guard->gate.reason != GATE_REASON_NO_BUS)
        guard->hold_pending = guard_publish_hold(guard) < 0;
}

static void tell_ring(struct guard *guard, int64_t now_ns)
{
    struct ring_frame frame = {.payload_bytes = sizeof(struct gate_state),
                               .flags = RING_FRAME_KEYFRAME};
    struct gate_state state = {
        .magic = GATE_STATE_MAGIC,
        .mode = guard->gate.mode,
        .reason = guard->gate.reason,
        .since_ns = guard->gate.since_ns,
        .told_ns = now_ns,
        .count = guard->ring_count + 1,
    };
    struct ring_loan loan;

    if (!guard->ring || ring_loan(guard->ring, &loan) < 0)
        return;
    memcpy(loan.payload, &state, sizeof(state));
    if (ring_publish(guard->ring, &loan, &frame) < 0)
        return;
    guard->ring_count++;
    guard->ring_ns = now_ns;
}

void guard_tell_ring(struct guard *guard, struct ring_producer *ring, int64_t now_ns)
{
    guard->ring = ring;
    tell_ring(guard, now_ns);
}

struct gate_actions guard_step(struct guard *guard, const struct gate_event *event, int64_t now_ns)
{
    struct gate_actions actions = gate_step(&guard->gate, &guard->config, event, now_ns);

    PROBE4(gate, event->kind, guard->gate.mode, guard->gate.reason, actions.pass);
    if (actions.changed)
        log_info("gate: %s (%s)", gate_mode_name(guard->gate.mode),
                 gate_reason_name(guard->gate.reason));
    if (actions.epoch_ended)
        end_epoch(guard);
    if (actions.changed || now_ns - guard->ring_ns >= GATE_STATE_NS_MAX / 5)
        tell_ring(guard, now_ns);
    repeat_state(guard, now_ns);
    guard->stop_pending |= actions.publish_estop;
    guard->hold_pending |= actions.publish_hold;
    publish_pending(guard);
    announce(guard, now_ns);
    return actions;
}

static enum gate_role role_of(const struct client *client)
{
    if (!client)
        return GATE_ROLE_BUS;
    if (client->role == AUTH_OPERATOR)
        return GATE_ROLE_OPERATOR;
    return client->role == AUTH_VIEWER ? GATE_ROLE_VIEWER : GATE_ROLE_NONE;
}

static enum gate_deadman deadman_of(const struct command *command)
{
    if (command->deadman == COMMAND_DEADMAN_ABSENT)
        return GATE_DEADMAN_ABSENT;
    return command->deadman == COMMAND_DEADMAN_HELD ? GATE_DEADMAN_HELD : GATE_DEADMAN_RELEASED;
}

struct gate_actions guard_command(struct guard *guard, const struct client *client,
                                  const struct command *command, int64_t now_ns)
{
    struct gate_event event = {
        .kind = GATE_EVENT_TICK,
        .is_velocity = command->action == COMMAND_SET_CMD_VEL,
        .has_cmd_seq = command->has_cmd_seq,
        .cmd_seq = command->cmd_seq,
        .ttl_ns = (int64_t)command->ttl_ms * NS_PER_MS,
        .tells_display = client && client->tells_display,
        .picture_age_ns = client ? now_ns - client->displayed_ns : 0,
        .age_ns = command->sent_ns > 0 ? now_ns - command->sent_ns : 0,
        .deadman = deadman_of(command),
        .role = role_of(client),
        .sender = client ? client->id : 0,
        .epoch = client ? command->epoch : 0,
    };

    if (command_is_motion(command->action))
        event.kind = GATE_EVENT_MOTION;
    else if (command->action == COMMAND_ESTOP)
        event.kind = GATE_EVENT_ESTOP;
    else if (command->action == COMMAND_ESTOP_CLEAR)
        event.kind = GATE_EVENT_ESTOP_CLEAR;
    struct gate_actions actions = guard_step(guard, &event, now_ns);
    if (event.kind == GATE_EVENT_TICK)
        actions.pass = true; /* the gate has no say in the other commands */
    return actions;
}

void guard_repeat_stop(struct guard *guard)
{
    guard->stop_pending = true;
    publish_pending(guard);
}
