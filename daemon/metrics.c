/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; counts in the caller's struct, prints into the caller's file. */
#include "daemon/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"

static_assert(sizeof(struct metrics_stages) == 952, "metrics.h and docs/deployment.md say so");

static const struct {
    int64_t ns;
    const char *le; /* the same in seconds */
} bounds[METRICS_BOUNDS] = {
    {50000, "5e-05"},    {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},
    {1000000, "0.001"},  {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},
    {25000000, "0.025"}, {50000000, "0.05"},  {100000000, "0.1"},  {250000000, "0.25"},
    {500000000, "0.5"},  {1000000000, "1"},
};

static const char *const stage_names[METRICS_STAGE_COUNT] = {
    [METRICS_RENDER] = "render",   [METRICS_WAIT] = "wait", [METRICS_ENCODE] = "encode",
    [METRICS_PUBLISH] = "publish", [METRICS_WAKE] = "wake", [METRICS_FANOUT] = "fanout",
    [METRICS_GLASS] = "glass",
};

#define COUNTER(member) offsetof(struct counters, member)

static const struct {
    const char *name;
    size_t offset;
    const char *help;
} counters[] = {
    {"frames_broadcast", COUNTER(frames_broadcast), "Packets offered to the clients, once each."},
    {"frame_bytes", COUNTER(frame_bytes), "Payload bytes of these packets."},
    {"frames_delivered", COUNTER(frames_delivered), "Frames given to clients, once per client."},
    {"frames_missed", COUNTER(client_lag), "Frames that clients were too slow for, per client."},
    {"packets_malformed", COUNTER(packets_malformed), "Packets refused by the checks."},
    {"packets_lost", COUNTER(packets_lost), "Packets overwritten before they were read."},
    {"clients_accepted", COUNTER(clients_accepted), "Clients that ever connected."},
    {"clients_refused", COUNTER(clients_refused), "Requests with a wrong origin or host."},
    {"clients_unauthorized", COUNTER(clients_unauthorized), "No token in time, or a wrong one."},
    {"clients_over_limit", COUNTER(clients_over_limit), "Clients refused for lack of room."},
    {"clients_expelled", COUNTER(clients_expelled), "Clients closed for a flood or a lost token."},
    {"clients_stalled", COUNTER(clients_stalled), "Clients closed for taking nothing."},
    {"messages_too_long", COUNTER(messages_too_long), "Messages over the limit, each a close."},
    {"protocol_errors", COUNTER(protocol_errors), "Frames and heads that no client may send."},
    {"requests_too_long", COUNTER(requests_too_long), "Requests whose headers were too long."},
    {"handshakes_late", COUNTER(handshakes_late), "Connections that asked for nothing in time."},
    {"handshakes_crowded_out", COUNTER(handshakes_crowded_out),
     "Connections that had asked for nothing and made room for others."},
    {"messages_ignored", COUNTER(messages_ignored), "Messages of a type that nobody knows."},
    {"commands_passed", COUNTER(commands_passed), "Commands passed on to the bus."},
    {"commands_refused", COUNTER(commands_refused), "Commands answered with a reason."},
    {"commands_forbidden", COUNTER(commands_forbidden), "Of the refused: by role or lease."},
    {"commands_over_rate", COUNTER(commands_over_rate), "Of the refused: too many per second."},
    {"commands_limited", COUNTER(commands_limited), "Velocities cut to the limits of speed."},
    {"commands_malformed_on_bus", COUNTER(commands_malformed_on_bus), "Seen on the bus."},
    {"motion_countered", COUNTER(motion_countered), "Foreign motion answered with a zero."},
    {"telemetry_sent", COUNTER(telemetry_sent), "Telemetry messages, once per client."},
    {"telemetry_too_long", COUNTER(telemetry_too_long), "Telemetry messages over the limit."},
    {"telemetry_dropped", COUNTER(telemetry_dropped), "Dropped from slow clients' queues."},
    {"telemetry_superseded", COUNTER(telemetry_superseded),
     "Not sent, for a newer one of its subject came first."},
    {"keyframe_requests", COUNTER(keyframe_requests), "Keyframes asked of the encoder."},
};

static void record(struct metrics_histogram *histogram, int64_t duration_ns)
{
    size_t at = 0;

    if (duration_ns < 0)
        duration_ns = 0;
    while (at < METRICS_BOUNDS && duration_ns > bounds[at].ns)
        at++;
    histogram->buckets[at]++;
    histogram->count++;
    histogram->sum_ns += duration_ns;
}

void metrics_record(struct metrics_stages *stages, enum metrics_stage stage, int64_t duration_ns)
{
    record(&stages->of[stage], duration_ns);
}

void metrics_record_ack(struct metrics *metrics, int64_t duration_ns)
{
    record(&metrics->acks, duration_ns);
}

void metrics_record_packet(struct metrics_stages *stages, const struct packet *packet,
                           int64_t taken_ns, int64_t offered_ns)
{
    const int64_t *stamps = packet->stamp_ns;

    metrics_record(stages, METRICS_FANOUT, offered_ns - taken_ns);
    for (unsigned stage = 0; stage + 1 < RING_STAGE_COUNT; stage++) {
        if (stamps[stage] > 0 && stamps[stage + 1] > 0)
            metrics_record(stages, (enum metrics_stage)stage, stamps[stage + 1] - stamps[stage]);
    }
    if (stamps[RING_STAGE_PACKET_PUBLISHED] > 0)
        metrics_record(stages, METRICS_WAKE, taken_ns - stamps[RING_STAGE_PACKET_PUBLISHED]);
}

static void write_head(FILE *file, const char *name, const char *type, const char *help)
{
    fprintf(file, "# HELP simcast_%s %s\n# TYPE simcast_%s %s\n", name, help, name, type);
}

static void write_counters(FILE *file, const struct counters *values)
{
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        char name[64];
        uint64_t value;
        snprintf(name, sizeof(name), "%s_total", counters[i].name);
        memcpy(&value, (const char *)values + counters[i].offset, sizeof(value));
        write_head(file, name, "counter", counters[i].help);
        fprintf(file, "simcast_%s %" PRIu64 "\n", name, value);
    }
}

static void write_gauge(FILE *file, const char *name, const char *help, double value)
{
    write_head(file, name, "gauge", help);
    fprintf(file, "simcast_%s %.9g\n", name, value);
}

static double seconds(int64_t duration_ns)
{
    return (double)duration_ns / (double)NS_PER_S;
}

static void write_gate(FILE *file, const char *mode)
{
    static const char *const modes[] = {"ARMED", "HOLD", "ESTOP"};

    write_head(file, "gate", "gauge", "1 for the state that the safety gate is in.");
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        fprintf(file, "simcast_gate{state=\"%s\"} %d\n", modes[i], strcmp(mode, modes[i]) == 0);
}

/* `labels`: "" or "name=\"value\"", more after commas. */
static void write_histogram(FILE *file, const char *name, const char *labels,
                            const struct metrics_histogram *histogram)
{
    const char *comma = labels[0] != '\0' ? "," : "";
    uint64_t sum = 0;

    for (size_t i = 0; i < METRICS_BOUNDS; i++) {
        sum += histogram->buckets[i];
        fprintf(file, "simcast_%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels, comma,
                bounds[i].le, sum);
    }
    fprintf(file, "simcast_%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma,
            histogram->count);
    const char *open = labels[0] != '\0' ? "{" : "";
    const char *close = labels[0] != '\0' ? "}" : "";
    fprintf(file, "simcast_%s_sum%s%s%s %.9f\n", name, open, labels, close,
            seconds(histogram->sum_ns));
    fprintf(file, "simcast_%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close,
            histogram->count);
}

void metrics_write(FILE *file, const struct metrics *metrics, const struct metrics_state *state)
{
    write_counters(file, state->counters);
    write_gauge(file, "clients", "Clients served now.", state->clients);
    write_gauge(file, "connections", "Clients and those that have yet to show a token.",
                state->connections);
    write_gauge(file, "uptime_seconds", "Time since the start.", seconds(state->uptime_ns));
    write_gauge(file, "bus_connected", "1 while the bus is connected.", state->bus_connected);
    write_gauge(file, "source_attached", "1 while there is a video source.",
                state->source_attached);
    if (state->last_frame_age_ns >= 0)
        write_gauge(file, "last_frame_age_seconds",
                    "Age of the newest frame of the default stream.",
                    seconds(state->last_frame_age_ns));
    write_gate(file, state->gate_mode);
    write_head(file, "command_ack_seconds", "histogram",
               "From a command's receipt to the robot's command.ack.");
    write_histogram(file, "command_ack_seconds", "", &metrics->acks);
}

void metrics_write_stages_head(FILE *file)
{
    write_head(file, "stage_seconds", "histogram",
               "How long each stage of a frame's way took, by stream.");
}

void metrics_write_stages(FILE *file, const char *stream, const struct metrics_stages *stages)
{
    char labels[RING_STREAM_BYTES + 32];

    for (size_t i = 0; i < METRICS_STAGE_COUNT; i++) {
        snprintf(labels, sizeof(labels), "stream=\"%s\",stage=\"%s\"", stream, stage_names[i]);
        write_histogram(file, "stage_seconds", labels, &stages->of[i]);
    }
}
