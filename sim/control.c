/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the bus, the safety authority and what the operators asked for, all on the main thread.
 * A report that the bus does not take is dropped: the next one is newer.
 */
#include "sim/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus.h"
#include "safety/authority_report.h"
#include "sim/report.h"

#define TICKS_PER_S (NS_PER_S / AUTHORITY_TICK_NS)
#define ROBOT_NAME "quadruped"

struct control {
    struct bus *bus;
    struct world *world;
    struct stream *stream;
    struct authority authority;
    struct world_orders orders;
    bool trots;   /* false: the policy "stand" */
    double alpha; /* as set_alpha gave it */
    uint64_t state_id;
    uint64_t ticks;
    struct report_episode episode;
    uint64_t episode_step;        /* step that the episode began with */
    uint64_t metrics_step;        /* step of the last metrics */
    int64_t metrics_ns;           /* time of the last metrics */
    struct report report;         /* scratch */
    struct authority_report told; /* likewise */
    bool bus_connected;
};

int control_create(const char *bus_url, const struct authority_config *safety, struct world *world,
                   struct stream *stream, struct control **ret_control)
{
    struct control *control = calloc(1, sizeof(*control));
    struct bus_config config = {
        .url = bus_url,
        .name = "simcast-sim",
        .subscriptions = {COMMAND_SUBJECT_WILDCARD, AUTHORITY_VIDEO_GATE, NULL},
        .stop_subscription = command_subject(COMMAND_ESTOP),
    };
    char shown_url[256];

    if (!control)
        return -ENOMEM;
    control->world = world;
    control->stream = stream;
    control->trots = true;
    control->alpha = 1;
    control->metrics_ns = clock_now_ns();
    control->state_id = (uint64_t)(clock_wall_ns() / NS_PER_MS);
    authority_init(&control->authority, safety, clock_now_ns());
    int error = bus_open(&config, &control->bus);
    if (error < 0) {
        bus_url_show(bus_url, shown_url, sizeof(shown_url));
        log_error("cannot use the bus '%s': %s: --bus takes nats://host:4222 or ipc:///directory",
                  shown_url, strerrordesc_np(-error));
        control_destroy(control);
        return error;
    }
    *ret_control = control;
    return 0;
}

void control_destroy(struct control *control)
{
    if (!control)
        return;
    bus_close(control->bus);
    free(control);
}

int control_fd(const struct control *control)
{
    return bus_fd(control->bus);
}

static void send(struct control *control, const char *subject, const char *payload, size_t bytes)
{
    struct bus_message message = {.subject = subject, .payload = payload, .payload_bytes = bytes};

    if (bytes > 0)
        (void)bus_publish(control->bus, BUS_LANE_NORMAL, &message);
}

/* Sends what is in the scratch reports. */
static void send_report(struct control *control)
{
    send(control, control->report.subject, control->report.payload, control->report.bytes);
}

static void send_told(struct control *control)
{
    send(control, control->told.subject, control->told.payload, control->told.bytes);
}

static void send_safety_state(struct control *control)
{
    authority_report_state(&control->authority, ++control->state_id, clock_now_ns(),
                           &control->told);
    send_told(control);
}

static void tell(struct control *control, const struct authority_news *news)
{
    if (news->changed) {
        log_info("safety: %s (%s)", gate_mode_name(control->authority.gate.mode),
                 gate_reason_name(control->authority.gate.reason));
        send_safety_state(control);
    }
    if (news->timed_out) {
        authority_report_timeout(&control->authority, &control->told);
        send_told(control);
    }
}

/* The world does what the authority allows, nothing else. */
static void order_world(struct control *control)
{
    const struct authority *authority = &control->authority;

    memcpy(control->orders.input.velocity, authority->velocity, sizeof(authority->velocity));
    control->orders.input.alpha = control->trots ? control->alpha : 0;
    control->orders.input.powered = authority->gate.mode != GATE_ESTOP;
    control->orders.mode = authority->gate.mode;
    control->orders.cmd_seq = authority->cmd_seq;
    world_order(control->world, &control->orders);
}

static void reset(struct control *control)
{
    struct world_snapshot now;

    authority_still(&control->authority);
    control->orders.resets++;
    stream_look(control->stream, &(struct renderer_camera){.fixed = false});
    world_observe(control->world, &now);
    control->episode_step = now.state.step;
    control->episode.total_reward = 0;
}

static const char *choose_policy(struct control *control, const char *name)
{
    if (strcmp(name, "trot") != 0 && strcmp(name, "stand") != 0)
        return "the built-in quadruped knows only 'stand' and 'trot'";
    control->trots = strcmp(name, "trot") == 0;
    return NULL;
}

static const char *apply_settings(struct control *control, const struct stream_settings *settings)
{
    if (stream_apply(control->stream, settings) == 0)
        return NULL;
    return "camera_res is larger than simcast-sim's --max-size, or too small";
}

static void look(struct control *control, const struct command *command)
{
    struct renderer_camera camera = {.fixed = true};

    memcpy(camera.position_m, command->data.camera.position_m, sizeof(camera.position_m));
    memcpy(camera.lookat_m, command->data.camera.lookat_m, sizeof(camera.lookat_m));
    stream_look(control->stream, &camera);
}

/* Carries out an accepted command. Returns NULL, or why it cannot be done. */
static const char *carry_out(struct control *control, const struct command *command)
{
    switch (command->action) {
    case COMMAND_SET_ALPHA:
        control->alpha = command->data.alpha;
        return NULL;
    case COMMAND_PAUSE:
        control->orders.paused = command->data.paused;
        return NULL;
    case COMMAND_RESET:
        reset(control);
        return NULL;
    case COMMAND_SET_SKILL:
    case COMMAND_SET_MODE:
    case COMMAND_LOAD_POLICY:
        return choose_policy(control, command->data.name);
    case COMMAND_LIST_POLICIES:
        report_policies(control->trots ? "trot" : "stand", &control->report);
        send_report(control);
        return NULL;
    case COMMAND_LOAD_ROBOT:
        return strcmp(command->data.name, ROBOT_NAME) == 0
                   ? NULL
                   : "only the built-in quadruped is available";
    case COMMAND_UNLOAD_ROBOT:
        return "the built-in quadruped cannot be unloaded";
    case COMMAND_CAMERA:
        look(control, command);
        return NULL;
    case COMMAND_SETTINGS:
        return apply_settings(control, &command->data.settings);
    case COMMAND_SET_CMD_VEL: /* the authority has applied these */
    case COMMAND_ESTOP:
    case COMMAND_ESTOP_CLEAR:
    case COMMAND_FORCE_IDR: /* the encoder's */
    case COMMAND_ACTION_COUNT:
        break;
    }
    return NULL;
}

/* Tells the sender; of what it cannot recognise, only that it was refused. */
static void acknowledge(struct control *control, const struct command *command, const char *detail)
{
    if (!command->has_cmd_seq && !detail)
        return;
    authority_report_ack(command, detail, &control->told);
    send_told(control);
}

static void take_message(struct control *control, const struct bus_message *message)
{
    const struct authority_message judged = {
        .subject = message->subject,
        .payload = message->payload,
        .payload_bytes = message->payload_bytes,
        .epoch = message->epoch,
        .sent_ns = message->sent_ns,
    };
    struct command command;
    struct authority_news news;
    int result = authority_take(&control->authority, &judged, clock_now_ns(), &command, &news);

    if (result == -ENOTSUP) {
        log_debug("unknown command %s ignored", message->subject);
        return;
    }
    if (result == 0 && news.accepted && command.origin == COMMAND_FROM_CLIENT)
        news.detail = carry_out(control, &command);
    tell(control, &news);
    order_world(control);
    if (result != -EAGAIN)
        acknowledge(control, &command, news.detail);
}

void control_take_commands(struct control *control)
{
    struct bus_message message;

    while (bus_take(control->bus, &message) == 0)
        take_message(control, &message);
}

static void send_metrics(struct control *control, const struct robot_state *state)
{
    int64_t now_ns = clock_now_ns();
    double passed_s = (double)(now_ns - control->metrics_ns) / (double)NS_PER_S;

    control->episode.steps_per_s = (double)(state->step - control->metrics_step) / passed_s;
    control->episode.length = state->step - control->episode_step;
    control->episode.policy_loaded = control->trots && control->authority.gate.mode != GATE_ESTOP;
    control->metrics_step = state->step;
    control->metrics_ns = now_ns;
    report_metrics(state, &control->episode, &control->report);
    send_report(control);
    report_observation(state, &control->report);
    send_report(control);
}

/* Spread over the second so that no tick sends everything at once. */
static void send_telemetry(struct control *control)
{
    struct world_snapshot now;
    uint64_t tick = control->ticks++ % TICKS_PER_S;

    world_observe(control->world, &now);
    struct report_reward reward = report_judge(&now.state);
    if (!control->orders.paused)
        control->episode.total_reward +=
            (reward.velocity + reward.turn + reward.upright) / (double)TICKS_PER_S;
    if (tick % 5 == 0) {
        report_robot(&now.state, now.fallen, &control->report);
        send_report(control);
    }
    if (tick % 10 == 1) {
        authority_report_velocity(&control->authority, &control->told);
        send_told(control);
    }
    if (tick % 25 == 2)
        send_safety_state(control);
    if (tick == 3)
        send_metrics(control, &now.state);
    if (tick == 4) {
        report_rewards(&reward, &control->report);
        send_report(control);
    }
}

/* A robot that cannot be told to stop does not wait for its commands to run out. */
static void watch_bus(struct control *control)
{
    bool connected = bus_state(control->bus) == BUS_CONNECTED;

    if (connected == control->bus_connected)
        return;
    control->bus_connected = connected;
    struct authority_news news = authority_bus(&control->authority, connected, clock_now_ns());
    tell(control, &news);
}

void control_tick(struct control *control)
{
    watch_bus(control);
    bool was_decaying = control->authority.decaying;
    struct authority_news news = authority_tick(&control->authority, clock_now_ns());

    if (was_decaying && !control->authority.decaying &&
        control->authority.gate.reason == GATE_REASON_CMD_TIMEOUT)
        news.timed_out = true; /* told again when the robot has come to rest */
    tell(control, &news);
    order_world(control);
    send_telemetry(control);
}
