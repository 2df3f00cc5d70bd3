/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the gate (guard) and what flows back to the encoder (demand). What clients and the bus
 * send is parsed once by proto/command.h; nothing of it ever becomes part of a subject.
 */
#include "daemon/relay.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/access.h"
#include "daemon/acks.h"
#include "daemon/metrics.h"
#include "proto/command.h"
#include "proto/telemetry.h"
#include "proto/viewer.h"

#define BUS_MESSAGES_PER_TURN 256
#define COUNTER_PERIOD_NS (100 * NS_PER_MS) /* against foreign motion */
#define ACK_BYTES 512
#define CODEC_PERIOD_NS (500 * NS_PER_MS) /* between requests for another codec */
#define FRAME_SEQ_LEAP 1000               /* an encoder that starts counts on from the wall clock */
#define EPOCH_MAX (UINT64_C(1) << 53)
#define LIMITED_PERIOD_NS NS_PER_S /* between two words that a velocity was cut */

struct relay {
    struct relay_config config;
    struct guard guard;
    struct demand demand;
    struct acks acks;
    bool last_legacy;
    uint64_t last_frame_seq;
    uint32_t driver; /* the client whose motion passed last; 0: none, or it is gone */
    unsigned last_codec;
    unsigned codec_before; /* what was encoded before we asked for another; NONE: we did not */
    int64_t codec_asked_ns;
    struct arrivals arrivals;
    int64_t countered_ns; /* last zero velocity against foreign motion; 0: none */
    enum bus_state bus_state;
    uint64_t bus_reconnects; /* of both lanes, as far as they were noticed */
    /* For frame.stats: the newest packet of this second, if any came from the ring. */
    bool stats_fresh;
    struct video_header stats_header;
    int64_t stats_encode_ns;
};

static struct gate_actions step(struct relay *relay, enum gate_event_kind kind, int64_t now_ns)
{
    return guard_step(&relay->guard, &(struct gate_event){.kind = kind}, now_ns);
}

int relay_create(const struct relay_config *config, int64_t now_ns, struct relay **ret_relay)
{
    struct relay *relay = calloc(1, sizeof(*relay));

    if (!relay)
        return -ENOMEM;
    relay->config = *config;
    relay->demand = (struct demand){
        .bus = config->bus,
        .audience = fanout_audience(config->fanout),
        .source = config->source,
        .counters = config->counters,
        .coalesce_ns = config->keyframe_coalesce_ns,
        .timeout_ns = config->keyframe_timeout_ns,
    };
    guard_init(&relay->guard, &config->gate, config->bus, config->fanout, now_ns);
    guard_tell_ring(&relay->guard, config->gate_ring, now_ns);
    relay->bus_state = bus_state(config->bus);
    if (relay->bus_state != BUS_CONNECTED)
        step(relay, GATE_EVENT_BUS_DOWN, now_ns);
    *ret_relay = relay;
    return 0;
}

void relay_destroy(struct relay *relay)
{
    free(relay);
}

/* Tells the gate who holds the lease; a repeat changes nothing. */
static void watch_lease(struct relay *relay, int64_t now_ns)
{
    const struct access *access = relay->config.access;
    struct gate_event event = {.kind = GATE_EVENT_LEASE};

    relay->guard.config.lease = access && access->auth;
    if (access && access->holder)
        event.sender = access->holder->id;
    guard_step(&relay->guard, &event, now_ns);
}

/* What the driver sent before he left must not outlive him, wherever it waits. */
static void watch_driver(struct relay *relay, int64_t now_ns)
{
    for (unsigned i = 0; i < fanout_connections(relay->config.fanout); i++)
        if (fanout_client(relay->config.fanout, i)->id == relay->driver)
            return;
    if (relay->driver == 0)
        return;
    relay->driver = 0;
    step(relay, GATE_EVENT_GONE, now_ns);
}

static void update_demand(struct relay *relay, int64_t now_ns)
{
    if (demand_update(&relay->demand, now_ns))
        step(relay, relay->demand.wanted ? GATE_EVENT_WANTED : GATE_EVENT_UNWANTED, now_ns);
}

static void ask_codec(struct relay *relay, unsigned codec)
{
    demand_settings(&relay->demand, &(struct stream_settings){.codec = codec});
}

/* Programs that came over HTTP and are alone need their codec: the encoder is asked for it. */
static void match_codec(struct relay *relay, unsigned codec, int64_t now_ns)
{
    unsigned needed = fanout_codec_needed(relay->config.fanout);

    if (needed == VIDEO_CODEC_NONE || needed == codec ||
        (relay->codec_asked_ns > 0 && now_ns - relay->codec_asked_ns < CODEC_PERIOD_NS))
        return;
    relay->codec_asked_ns = now_ns;
    relay->codec_before = codec;
    ask_codec(relay, needed);
}

enum video_codec relay_fixed_codec(const struct relay *relay)
{
    bool fixed =
        fanout_watchers(relay->config.fanout) > 0 || source_runs_free(relay->config.source);

    return fixed ? (enum video_codec)relay->last_codec : VIDEO_CODEC_NONE;
}

enum video_codec relay_codec(const struct relay *relay)
{
    return (enum video_codec)relay->last_codec;
}

void relay_clients_changed(struct relay *relay, int64_t now_ns)
{
    if (relay->codec_before != VIDEO_CODEC_NONE && !fanout_serves_http(relay->config.fanout)) {
        ask_codec(relay, relay->codec_before);
        relay->codec_before = VIDEO_CODEC_NONE;
    }
    watch_lease(relay, now_ns);
    watch_driver(relay, now_ns);
    update_demand(relay, now_ns);
}

void relay_client_joined(struct relay *relay, struct client *client, int64_t now_ns)
{
    guard_tell(&relay->guard, client, now_ns);
    relay_clients_changed(relay, now_ns);
}

void relay_client_ready(struct relay *relay, int64_t now_ns)
{
    demand_keyframe(&relay->demand, now_ns);
}

/* `detail` is one of our own constants; action and cmd_seq are as far as they could be read. */
static void refuse(struct relay *relay, struct client *client, const char *action,
                   const struct command *command, const char *detail)
{
    char json[ACK_BYTES];
    char cmd_seq[24] = "null";

    relay->config.counters->commands_refused++;
    if (command->has_cmd_seq)
        snprintf(cmd_seq, sizeof(cmd_seq), "%" PRIu64, command->cmd_seq);
    snprintf(json, sizeof(json),
             "{\"action\":\"%s\",\"cmd_seq\":%s,\"status\":\"error\",\"detail\":\"%s\"}", action,
             cmd_seq, detail);
    fanout_telemetry_to(relay->config.fanout, client, "telemetry.command.ack", json);
}

/* `client`: who sent it; NULL: it came by the bus. */
static struct gate_actions ask_gate(struct relay *relay, const struct client *client,
                                    const struct command *command, int64_t now_ns)
{
    struct gate_actions actions = guard_command(&relay->guard, client, command, now_ns);

    if (client && actions.pass && command_is_motion(command->action))
        relay->driver = client->id;
    return actions;
}

/* What the encoder has to know of a command, whoever sent it. */
static void tell_encoder(struct relay *relay, const struct command *command)
{
    if (command->action == COMMAND_SETTINGS)
        demand_settings(&relay->demand, &command->data.settings);
    else if (command->action == COMMAND_FORCE_IDR)
        source_request_keyframe(relay->config.source);
}

/* What an epoch ends: what moves the robot, or lets it move again. */
static bool is_of_an_epoch(enum command_action action)
{
    return command_is_motion(action) || action == COMMAND_ESTOP || action == COMMAND_ESTOP_CLEAR;
}

/* Publishes a client's command as it came. */
static int pass_on(struct relay *relay, const struct command *command, const char *json,
                   size_t json_bytes)
{
    bool stop = command->action == COMMAND_ESTOP;
    uint64_t epoch = is_of_an_epoch(command->action) ? relay->guard.gate.epoch : 0;
    int error = bus_publish(relay->config.bus, stop ? BUS_LANE_STOP : BUS_LANE_NORMAL,
                            &(struct bus_message){
                                .subject = command_subject(command->action),
                                .payload = json,
                                .payload_bytes = json_bytes,
                                .epoch = epoch,
                            });

    if (error < 0 && stop)
        guard_repeat_stop(&relay->guard);
    if (error == 0)
        relay->config.counters->commands_passed++;
    return error;
}

/* Tells the sender now and then, not for each command of a stick that is held at its end. */
static void tell_limited(struct relay *relay, struct client *client, const struct command *command,
                         const double velocity[LIMITS_AXES], int64_t now_ns)
{
    char json[ACK_BYTES];

    relay->config.counters->commands_limited++;
    if (client->limited_ns > 0 && now_ns - client->limited_ns < LIMITED_PERIOD_NS)
        return;
    client->limited_ns = now_ns;
    snprintf(json, sizeof(json),
             "{\"action\":\"%s\",\"detail\":\"cut to the limit of speed\",\"linear_x\":%g,"
             "\"linear_y\":%g,\"angular_z\":%g}",
             command_name(command->action), velocity[0], velocity[1], velocity[2]);
    fanout_telemetry_to(relay->config.fanout, client, "telemetry.command.limited", json);
}

/*
 * What the table of limits has no axis for: a robot that knows angular_y turns by it, so it may not
 * be faster than a turn. Few robots do, and ours does not, so it is refused and not cut.
 */
static bool pitches_too_fast(const struct relay *relay, const struct command *command)
{
    double turn_max = relay->config.limits.speed_max[2];

    return command->action == COMMAND_SET_CMD_VEL && turn_max > 0 &&
           fabs(command->data.velocity.angular_y_radps) > turn_max;
}

/* Passes a velocity on, cut where it is over the limits. Errors: as bus_publish. */
static int pass_velocity_on(struct relay *relay, struct client *client,
                            const struct command *command, const char *json, size_t json_bytes)
{
    double velocity[LIMITS_AXES] = {
        command->data.velocity.linear_x_mps,
        command->data.velocity.linear_y_mps,
        command->data.velocity.angular_z_radps,
    };
    char text[2 * COMMAND_BYTES_MAX];

    if (!limits_cut(&relay->config.limits, velocity))
        return pass_on(relay, command, json, json_bytes);
    int error = command_set_velocity(json, json_bytes, velocity, text, sizeof(text));
    if (error < 0)
        return error;
    tell_limited(relay, client, command, velocity, relay->guard.gate.last_ns);
    return pass_on(relay, command, text, strlen(text));
}

/* Why the client may not give this command now; NULL: it may. A stop always passes. */
static const char *forbid(struct relay *relay, struct client *client, const struct command *command,
                          int64_t now_ns)
{
    struct access *access = relay->config.access;
    const char *reason = NULL;

    if (command->action == COMMAND_ESTOP)
        return NULL;
    if (access && !access_rate(access, client, now_ns))
        return "too many commands";
    if (access)
        reason = access_command(access, client, command->action);
    if (reason)
        relay->config.counters->commands_forbidden++;
    else if (pitches_too_fast(relay, command))
        reason = "angular_y is over the limit of turning";
    return reason;
}

static void client_command(struct relay *relay, struct client *client, const char *json,
                           size_t json_bytes, int64_t now_ns)
{
    struct command command;
    const char *reason = "malformed";

    if (command_parse(json, json_bytes, &command, &reason) < 0) {
        bool known = command_identify(json, json_bytes, &command) == 0;
        refuse(relay, client, known ? command_name(command.action) : "unknown", &command, reason);
        return;
    }
    const char *forbidden = forbid(relay, client, &command, now_ns);
    watch_lease(relay, now_ns); /* it may just have been given the lease */
    if (forbidden) {
        refuse(relay, client, command_name(command.action), &command, forbidden);
        return;
    }
    struct gate_actions actions = ask_gate(relay, client, &command, now_ns);
    if (!actions.pass) {
        refuse(relay, client, command_name(command.action), &command,
               gate_reason_name(actions.refused));
        return;
    }
    if (command.action == COMMAND_FORCE_IDR) {
        demand_keyframe(&relay->demand, now_ns); /* publishes it, coalesced */
        relay->config.counters->commands_passed++;
        return;
    }
    tell_encoder(relay, &command);
    int error = command.action == COMMAND_SET_CMD_VEL
                    ? pass_velocity_on(relay, client, &command, json, json_bytes)
                    : pass_on(relay, &command, json, json_bytes);
    if (error == 0)
        acks_await(&relay->acks, &command, now_ns);
    else
        refuse(relay, client, command_name(command.action), &command,
               command.action == COMMAND_ESTOP
                   ? "the bus is away; the stop will be sent as soon as it is back"
                   : "the bus is away");
}

void relay_client_message(struct relay *relay, struct client *client, const uint8_t *bytes,
                          size_t size, int64_t now_ns)
{
    uint8_t type = size > 0 ? bytes[0] : 0;

    if (type == COMMAND_MESSAGE_TYPE)
        client_command(relay, client, (const char *)bytes + 1, size - 1, now_ns);
    else if (type != CLOCK_MESSAGE_TYPE ||
             fanout_clock(relay->config.fanout, client, bytes, size, now_ns) < 0)
        relay->config.counters->messages_ignored++;
}

/* Another gate's zero velocity; "_safety" on anything that moves a robot is a lie. */
static bool is_a_hold(const struct command *command)
{
    return command->origin == COMMAND_FROM_GATE_HOLD && command->action == COMMAND_SET_CMD_VEL &&
           command->data.velocity.linear_x_mps == 0 && command->data.velocity.linear_y_mps == 0 &&
           command->data.velocity.angular_z_radps == 0 &&
           command->data.velocity.angular_y_radps == 0;
}

/*
 * Motion that somebody else publishes cannot be held back, only countered. What cannot be parsed
 * counts as motion too: its reader may be less strict than we are.
 */
static void foreign_motion(struct relay *relay, const struct command *command, int64_t now_ns)
{
    if (is_a_hold(command))
        return;
    demand_motion(&relay->demand, now_ns);
    update_demand(relay, now_ns);
    if (ask_gate(relay, NULL, command, now_ns).pass ||
        (relay->countered_ns > 0 && now_ns - relay->countered_ns < COUNTER_PERIOD_NS))
        return;
    if (guard_publish_hold(&relay->guard) == 0) {
        relay->countered_ns = now_ns;
        relay->config.counters->motion_countered++;
    }
}

static void bus_command(struct relay *relay, const struct bus_message *message, int64_t now_ns)
{
    struct command command = {0};
    enum command_action action;

    if (command_action_of_subject(message->subject, &action) < 0)
        return; /* an action of some other program */
    command.action = action;
    bool valid =
        command_parse_as(action, message->payload, message->payload_bytes, &command, NULL) == 0;
    if (!valid)
        relay->config.counters->commands_malformed_on_bus++;
    if (command_is_motion(action))
        foreign_motion(relay, &command, now_ns);
    else if (action == COMMAND_ESTOP || action == COMMAND_ESTOP_CLEAR)
        ask_gate(relay, NULL, &command, now_ns);
    else if (valid)
        tell_encoder(relay, &command);
}

/*
 * The robot knows of a later epoch than ours when the wall clock went back before we started. It
 * would refuse all we pass on, so we count on from there. Beyond what JSON's readers can hold it is
 * no epoch of ours.
 */
static void catch_up(struct relay *relay, const struct bus_message *message, int64_t now_ns)
{
    uint64_t epoch = command_epoch_of_state(message->payload, message->payload_bytes);

    if (epoch <= relay->guard.gate.epoch || epoch >= EPOCH_MAX)
        return;
    log_warning("the robot is at a later epoch than we are (did the clock go back?); going on from "
                "there");
    guard_step(&relay->guard, &(struct gate_event){.kind = GATE_EVENT_EPOCH, .epoch = epoch + 1},
               now_ns);
}

/* Some of what comes is for us alone. */
static bool is_shown(const struct relay *relay, const char *subject)
{
    const char *const *shown = relay->config.shown;

    while (shown && *shown && !bus_subject_matches(*shown, subject))
        shown++;
    return !shown || *shown;
}

static void bus_telemetry(struct relay *relay, const struct bus_message *message, int64_t now_ns)
{
    if (relay->config.metrics && strcmp(message->subject, ACKS_SUBJECT) == 0) {
        int64_t ack_ns = acks_take(&relay->acks, message->payload, message->payload_bytes, now_ns);
        if (ack_ns >= 0)
            metrics_record_ack(relay->config.metrics, ack_ns);
    }
    if (relay->config.metrics && strcmp(message->subject, HAL_METRICS_SUBJECT) == 0)
        (void)hal_metrics_take(&relay->config.metrics->hal, message->payload,
                               message->payload_bytes, now_ns);
    if (strcmp(message->subject, COMMAND_STATE_SUBJECT) == 0)
        catch_up(relay, message, now_ns);
    if (!is_shown(relay, message->subject))
        return;
    if (message->payload_bytes > relay->config.telemetry_bytes_max)
        relay->config.counters->telemetry_too_long++;
    else
        fanout_telemetry(relay->config.fanout, message->subject, message->payload,
                         message->payload_bytes);
}

void relay_bus_readable(struct relay *relay, int64_t now_ns)
{
    struct bus_message message;

    for (unsigned i = 0; i < BUS_MESSAGES_PER_TURN; i++) {
        if (bus_take(relay->config.bus, &message) < 0)
            return;
        if (bus_subject_matches(COMMAND_SUBJECT_WILDCARD, message.subject))
            bus_command(relay, &message, now_ns);
        else
            bus_telemetry(relay, &message, now_ns);
    }
}

void relay_packet(struct relay *relay, const struct packet *packet, bool broke, int64_t now_ns)
{
    const struct video_header *header = &packet->video.header;
    bool switched = relay->last_codec != header->codec || relay->last_legacy != packet->legacy ||
                    header->frame_seq - relay->last_frame_seq - 1 >= FRAME_SEQ_LEAP;
    struct gate_event event = {
        .kind = GATE_EVENT_FRAME,
        .codec_changed = relay->last_codec != VIDEO_CODEC_NONE && switched,
    };

    relay->last_legacy = packet->legacy;
    relay->last_frame_seq = header->frame_seq;
    if (packet->legacy)
        update_demand(relay, now_ns); /* the first one makes this source wanted */
    relay->last_codec = header->codec;
    arrivals_add(&relay->arrivals, packet, now_ns);
    if (!packet->legacy)
        match_codec(relay, header->codec, now_ns);
    guard_step(&relay->guard, &event, now_ns);
    if (packet->keyframe)
        demand_satisfied(&relay->demand);
    if (broke)
        demand_keyframe(&relay->demand, now_ns);
    if (!packet->legacy) {
        relay->stats_fresh = true;
        relay->stats_header = *header;
        relay->stats_encode_ns =
            packet->stamp_ns[RING_STAGE_ENCODE_END] - packet->stamp_ns[RING_STAGE_ENCODE_BEGIN];
    }
}

static void watch_bus(struct relay *relay, int64_t now_ns)
{
    enum bus_state state = bus_state(relay->config.bus);
    struct bus_counters counters;

    bus_counters(relay->config.bus, &counters);
    uint64_t reconnects = counters.reconnects + counters.stop_reconnects;
    if (reconnects != relay->bus_reconnects) {
        relay->bus_reconnects = reconnects;
        guard_bus_back(&relay->guard, now_ns);
        if (state == BUS_CONNECTED && relay->bus_state == state) { /* too short to be seen there */
            step(relay, GATE_EVENT_BUS_DOWN, now_ns);
            step(relay, GATE_EVENT_BUS_UP, now_ns);
        }
    }
    if (state == relay->bus_state)
        return;
    relay->bus_state = state;
    step(relay, state == BUS_CONNECTED ? GATE_EVENT_BUS_UP : GATE_EVENT_BUS_DOWN, now_ns);
    if (state == BUS_CONNECTED)
        log_info("the bus is connected");
    else
        log_warning("the bus is away; commands are refused until it is back");
}

void relay_tick(struct relay *relay, int64_t now_ns)
{
    watch_bus(relay, now_ns);
    watch_lease(relay, now_ns);
    for (unsigned ready = fanout_tick(relay->config.fanout, now_ns); ready > 0; ready--)
        demand_keyframe(&relay->demand, now_ns);
    update_demand(relay, now_ns);
    step(relay, GATE_EVENT_TICK, now_ns);
}

void relay_second(struct relay *relay)
{
    static const char subject[] = "telemetry.frame.stats";
    char json[256];

    if (!relay->stats_fresh)
        return;
    relay->stats_fresh = false;
    snprintf(json, sizeof(json),
             "{\"frame_id\":%" PRIu64 ",\"encode_ms\":%.3f,\"codec\":\"%s\",\"frame_bytes\":%u}",
             relay->stats_header.frame_id, (double)relay->stats_encode_ns / (double)NS_PER_MS,
             video_codec_name(relay->stats_header.codec), relay->stats_header.size);
    fanout_telemetry(relay->config.fanout, subject, json, strlen(json));
    bus_publish(relay->config.bus, BUS_LANE_NORMAL,
                &(struct bus_message){
                    .subject = subject,
                    .payload = json,
                    .payload_bytes = strlen(json),
                });
}

void relay_rendition(struct relay *relay, int64_t now_ns)
{
    if (!relay->demand.ring_wanted)
        step(relay, GATE_EVENT_FRAME, now_ns);
}

void relay_renditions_watched(struct relay *relay, bool watched, int64_t now_ns)
{
    demand_renditions(&relay->demand, watched);
    update_demand(relay, now_ns);
}

const struct arrivals *relay_arrivals(const struct relay *relay)
{
    return &relay->arrivals;
}

bool relay_wanted(const struct relay *relay)
{
    return relay->demand.ring_wanted;
}

const struct gate *relay_gate(const struct relay *relay)
{
    return &relay->guard.gate;
}
