/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of daemon/relay.h with guard.h and demand.h: what reaches the bus, the encoder and the
 * clients. Bus, source and sockets are stand-ins defined here, so the linker leaves the real ones
 * out; include it once per program. Time is the tests' own.
 */
#ifndef SIMCAST_TESTS_RELAY_KIT_H
#define SIMCAST_TESTS_RELAY_KIT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/access.h"
#include "daemon/metrics.h"
#include "daemon/relay.h"
#include "proto/telemetry.h"
#include "proto/viewer.h"

#define MS NS_PER_MS
#define PUBLISHED_MAX 64
#define HEARD_MAX 64
#define TEXT_BYTES 512

struct text {
    char subject[128];
    char payload[TEXT_BYTES];
    enum bus_lane lane;
    uint64_t epoch;
};

static struct {
    enum bus_state state;
    uint64_t stop_reconnects;
    struct text published[PUBLISHED_MAX];
    size_t published_count;
    struct text waiting;
    bool has_waiting;
    uint64_t epoch; /* older ones have ended */
} bus;

static struct {
    bool wanted;
    unsigned keyframes;
    struct stream_settings settings;
    bool runs_free;
} source;

static struct text heard[HEARD_MAX]; /* telemetry that clients got */
static size_t heard_count;
static struct counters counters;
static struct metrics metrics;
/* Settings of the next set_up. */
static struct access tokens; /* in use when its `auth` is set */
static struct limits limits;
static int64_t deadman_ns;

static struct fanout *fanout;
static struct relay *relay;
static struct client *client;
static int64_t now_ns;

int bus_publish(struct bus *unused, enum bus_lane lane, const struct bus_message *message)
{
    (void)unused;
    if (bus.state != BUS_CONNECTED)
        return -EPIPE;
    ck_assert_uint_lt(bus.published_count, PUBLISHED_MAX);
    struct text *text = &bus.published[bus.published_count++];
    snprintf(text->subject, sizeof(text->subject), "%s", message->subject);
    snprintf(text->payload, sizeof(text->payload), "%.*s", (int)message->payload_bytes,
             message->payload);
    text->lane = lane;
    text->epoch = message->epoch;
    return 0;
}

void bus_end_epochs(struct bus *unused, uint64_t before)
{
    (void)unused;
    ck_assert_uint_gt(before, bus.epoch);
    bus.epoch = before;
}

int bus_take(struct bus *unused, struct bus_message *ret_message)
{
    (void)unused;
    if (!bus.has_waiting)
        return -EAGAIN;
    bus.has_waiting = false;
    *ret_message = (struct bus_message){
        .subject = bus.waiting.subject,
        .payload = bus.waiting.payload,
        .payload_bytes = strlen(bus.waiting.payload),
    };
    return 0;
}

enum bus_state bus_state(const struct bus *unused)
{
    (void)unused;
    return bus.state;
}

void bus_counters(const struct bus *unused, struct bus_counters *ret_counters)
{
    (void)unused;
    *ret_counters = (struct bus_counters){.stop_reconnects = bus.stop_reconnects};
}

bool bus_subject_matches(const char *pattern, const char *subject)
{
    return strncmp(pattern, subject, strlen(pattern) - 1) == 0;
}

void source_want(struct source *unused, bool wanted)
{
    (void)unused;
    source.wanted = wanted;
}

void source_request_keyframe(struct source *unused)
{
    (void)unused;
    source.keyframes++;
}

void source_settings(struct source *unused, const struct stream_settings *settings)
{
    (void)unused;
    source.settings = *settings;
}

bool source_runs_free(const struct source *unused)
{
    (void)unused;
    return source.runs_free;
}

int ws_peer_send(struct ws_peer *peer, const uint8_t *frame, size_t frame_bytes)
{
    size_t header_bytes = frame[1] < 126 ? 2 : 4;
    struct telemetry telemetry;

    (void)peer;
    if (telemetry_decode(frame + header_bytes, frame_bytes - header_bytes, &telemetry) < 0)
        return 0;
    ck_assert_uint_lt(heard_count, HEARD_MAX);
    struct text *text = &heard[heard_count++];
    snprintf(text->subject, sizeof(text->subject), "%.*s", (int)telemetry.subject_bytes,
             telemetry.subject);
    snprintf(text->payload, sizeof(text->payload), "%.*s", (int)telemetry.payload_bytes,
             telemetry.payload);
    return 0;
}

int ws_peer_offer(struct ws_peer *peer, struct iovec *pieces, unsigned count)
{
    (void)peer;
    (void)pieces;
    (void)count;
    return 0;
}

void ws_peer_close(struct ws_peer *peer, enum ws_close_status status)
{
    (void)peer;
    (void)status;
}

void ws_peer_finish(struct ws_peer *peer)
{
    (void)peer;
}

bool ws_peer_busy(struct ws_peer *peer)
{
    (void)peer;
    return false;
}

static inline uint64_t epoch(void)
{
    return relay_gate(relay)->epoch;
}

static inline void forget(void)
{
    bus.published_count = 0;
    heard_count = 0;
}

static inline void set_up(void)
{
    static const struct fanout_config fanout_config = {
        .ready_delay_ns = 100 * MS,
        .queue_messages = 16,
        .counters = &counters,
    };
    struct relay_config config = {
        .counters = &counters,
        .metrics = &metrics,
        .access = tokens.auth ? &tokens : NULL,
        .gate = gate_config_transport,
        .limits = limits,
        .keyframe_coalesce_ns = 500 * MS,
        .keyframe_timeout_ns = 5000 * MS,
        .telemetry_bytes_max = 100,
    };

    memset(&bus, 0, sizeof(bus));
    memset(&source, 0, sizeof(source));
    memset(&counters, 0, sizeof(counters));
    bus.state = BUS_CONNECTED;
    now_ns = 1000 * NS_PER_S;
    ck_assert_int_eq(fanout_create(&fanout_config, &fanout), 0);
    config.fanout = fanout;
    config.gate.deadman_ns = deadman_ns;
    tokens.fanout = fanout;
    tokens.counters = &counters;
    ck_assert_int_eq(relay_create(&config, now_ns, &relay), 0);
    client = NULL;
    forget();
}

static inline void tear_down(void)
{
    if (client)
        fanout_leave(fanout, client);
    relay_destroy(relay);
    fanout_destroy(fanout);
}

static inline void connect_kind(enum client_kind kind)
{
    client = fanout_join(fanout, NULL, kind, now_ns);
    ck_assert_ptr_nonnull(client);
    relay_client_joined(relay, client, now_ns);
    ck_assert(fanout_heard(fanout, client, now_ns));
    relay_client_ready(relay, now_ns);
}

static inline void connect_client(void)
{
    connect_kind(CLIENT_V1);
}

static inline void disconnect_client(void)
{
    fanout_leave(fanout, client);
    client = NULL;
    relay_clients_changed(relay, now_ns);
}

static uint64_t frame_seq; /* of the newest frame */

static inline void frame(enum video_codec codec, bool legacy)
{
    struct packet packet = {.keyframe = true, .legacy = legacy};

    packet.video.header.codec = (uint16_t)codec;
    packet.video.header.frame_seq = ++frame_seq;
    relay_packet(relay, &packet, false, now_ns);
}

/* Lets time pass in ticks of 50 ms, with or without a frame in each. */
static inline void pass_ms(unsigned ms, bool video)
{
    for (unsigned i = 0; i < ms / 50; i++) {
        now_ns += 50 * MS;
        if (video)
            frame(VIDEO_CODEC_JPEG, false);
        relay_tick(relay, now_ns);
    }
}

static inline void command(const char *json)
{
    char message[1024];
    int length = snprintf(message, sizeof(message), "\x04%s", json);

    relay_client_message(relay, client, (const uint8_t *)message, (size_t)length, now_ns);
}

static inline void from_bus(const char *subject, const char *payload)
{
    snprintf(bus.waiting.subject, sizeof(bus.waiting.subject), "%s", subject);
    snprintf(bus.waiting.payload, sizeof(bus.waiting.payload), "%s", payload);
    bus.has_waiting = true;
    relay_bus_readable(relay, now_ns);
}

static inline size_t count_published(const char *subject)
{
    size_t count = 0;

    for (size_t i = 0; i < bus.published_count; i++)
        count += strcmp(bus.published[i].subject, subject) == 0;
    return count;
}

static inline const struct text *find(const struct text *texts, size_t count, const char *subject)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i].subject, subject) == 0)
            return &texts[i];
    }
    ck_abort_msg("nothing with subject %s", subject);
    return NULL;
}

static inline const struct text *published(const char *subject)
{
    return find(bus.published, bus.published_count, subject);
}

static inline void assert_refused(const char *json, const char *ack)
{
    forget();
    command(json);
    ck_assert_uint_eq(bus.published_count, 0);
    ck_assert_str_eq(find(heard, heard_count, "telemetry.command.ack")->payload, ack);
}

/* What reception.c does with a DISPLAYED message of the default camera. */
static inline void displayed(uint64_t seq)
{
    const struct arrival *arrival = arrivals_find(relay_arrivals(relay), seq);

    client_shows(client, arrival ? arrival->ns : 0);
}

#define MOTION "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"data\":{\"linear_x\":1}}"

#endif
