/* SPDX-License-Identifier: Apache-2.0 */
/* Owns all parts. What cannot be opened is told to the person who started us, with what to do. */
#include "daemon/parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/acks.h"
#include "daemon/config_paths.h"
#include "daemon/inbound.h"
#include "daemon/reception.h"
#include "proto/command.h"
#include "proto/gate_state.h"

#define READY_DELAY_NS (100 * NS_PER_MS)
#define PATIENCE_NS (5 * NS_PER_S)

struct ws_tls parts_tls(const struct parts *parts)
{
    return (struct ws_tls){
        .certificate_path = parts->config->tls_cert,
        .key_path = parts->config->tls_key,
    };
}

static int open_tokens(struct parts *parts)
{
    char fault[AUTH_ERROR_BYTES];

    if (parts->config->token_file[0] == '\0' ||
        auth_load(parts->config->token_file, &parts->auth, fault) == 0)
        return 0;
    log_error("%s", fault);
    return -EINVAL;
}

/* What systemd passes may be reachable from elsewhere, whatever `listen` says. */
static int open_listeners(struct parts *parts)
{
    const struct config *config = parts->config;
    char fault[LISTEN_ERROR_BYTES];
    int error = listeners_open(config->listen, &parts->listeners, fault);

    if (error < 0) {
        log_error("%s", fault);
        return error;
    }
    if (parts->listeners.remote && !config->insecure &&
        (!parts->auth || config->tls_cert[0] == '\0')) {
        log_error("a socket that systemd passed can be reached from other machines, so simcastd "
                  "needs tokens and a certificate; see ListenStream= in simcastd.socket");
        return -EINVAL;
    }
    return 0;
}

static int open_source(struct parts *parts)
{
    int error = source_open(parts->config, &parts->counters, &parts->source);

    if (error < 0)
        log_error("cannot open the stream '%s' in %s: %s", parts->config->stream,
                  parts->config->ipc_dir, strerror(-error));
    return error;
}

/* Cuts the comma-separated patterns apart. Errors: -E2BIG. */
static int split_patterns(struct shown *shown)
{
    char *rest = NULL;
    size_t count = 0;

    for (char *one = strtok_r(shown->text, ", ", &rest); one; one = strtok_r(NULL, ", ", &rest)) {
        if (count == PARTS_PATTERNS_MAX)
            return -E2BIG;
        shown->patterns[count++] = one;
    }
    return 0;
}

static bool is_covered(const struct shown *shown, const char *subject)
{
    for (size_t i = 0; shown->patterns[i]; i++) {
        if (bus_subject_matches(shown->patterns[i], subject))
            return true;
    }
    return false;
}

/*
 * What clients get, and what simcastd itself lives by, whatever they get. None twice: NATS would
 * deliver it twice.
 */
static void subscribe(const struct shown *shown, struct bus_config *bus)
{
    static const char *const own[] = {ACKS_SUBJECT, COMMAND_STATE_SUBJECT, HAL_METRICS_SUBJECT};
    size_t count = 0;

    static_assert(PARTS_PATTERNS_MAX + 1 + sizeof(own) / sizeof(own[0]) <= BUS_SUBSCRIPTIONS_MAX,
                  "each has its place");
    for (; shown->patterns[count]; count++)
        bus->subscriptions[count] = shown->patterns[count];
    bus->subscriptions[count++] = COMMAND_SUBJECT_WILDCARD;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (!is_covered(shown, own[i]))
            bus->subscriptions[count++] = own[i];
    }
}

static int open_bus(struct parts *parts)
{
    const struct config *config = parts->config;
    char local_url[CONFIG_TEXT_BYTES + 8];
    char shown[CONFIG_TEXT_BYTES + 8];
    struct bus_config bus = {
        .url = config->bus_url,
        .name = "simcastd",
        .serve = true,
        .stop_subscription = "command.genesis.estop",
    };

    if (config->bus_url[0] == '\0') {
        snprintf(local_url, sizeof(local_url), "ipc://%s", config->ipc_dir);
        bus.url = local_url;
    }
    memcpy(parts->shown.text, config->telemetry_subjects, sizeof(parts->shown.text));
    if (split_patterns(&parts->shown) < 0) {
        log_error("telemetry.subjects: expected at most %d patterns, got '%s'", PARTS_PATTERNS_MAX,
                  config->telemetry_subjects);
        return -EINVAL;
    }
    subscribe(&parts->shown, &bus);
    bus_url_show(bus.url, shown, sizeof(shown));
    bus_access_use(&(struct bus_access){
        .login = config->bus_login,
        .ca = config->bus_ca,
        .cert = config->bus_cert,
        .key = config->bus_key,
    });
    int error = bus_open(&bus, &parts->bus);
    if (error == -EADDRINUSE)
        log_error("another simcastd serves the bus %s; stop it, or use another --ipc-dir", shown);
    else if (error == -EINVAL)
        log_error("bus_url or telemetry.subjects: not a URL or pattern that the bus understands");
    else if (error < 0 && error != -ENOKEY) /* said already */
        log_error("cannot open the bus %s: %s; check the directory (--ipc-dir or --bus)", shown,
                  strerror(-error));
    return error;
}

/* Not being able to is no reason not to run: the bus carries stops as well. */
static void open_gate_ring(struct parts *parts)
{
    struct ring_producer_config ring = {.dir = parts->config->ipc_dir,
                                        .stream = parts->config->stream,
                                        .kind = RING_KIND_GATE,
                                        .payload_bytes_max = sizeof(struct gate_state)};
    int error = ring_producer_open(&ring, &parts->gate_ring);

    if (error < 0)
        log_warning("cannot open the gate's ring of stream '%s' in %s (%s): a control loop hears "
                    "of stops through the bus alone",
                    ring.stream, ring.dir, strerror(-error));
}

static int open_relay(struct parts *parts)
{
    const struct config *config = parts->config;
    const struct fanout_config fanout = {
        .ready_delay_ns = READY_DELAY_NS,
        .patience_ns = PATIENCE_NS,
        .queue_messages = config->telemetry_queue,
        .telemetry_per_s = config->telemetry_per_s,
        .counters = &parts->counters,
    };
    int error = fanout_create(&fanout, &parts->fanout);

    if (error < 0)
        return error;
    open_gate_ring(parts);
    parts->access = (struct access){
        .auth = parts->auth,
        .fanout = parts->fanout,
        .counters = &parts->counters,
        .loopback = !parts->listeners.remote,
    };
    access_settings(&parts->access, config);
    struct relay_config relay = {
        .bus = parts->bus,
        .gate_ring = parts->gate_ring,
        .fanout = parts->fanout,
        .source = parts->source,
        .access = &parts->access,
        .counters = &parts->counters,
        .metrics = &parts->metrics,
        .gate = gate_config_transport,
        .keyframe_coalesce_ns = config->keyframe_coalesce_ms * NS_PER_MS,
        .keyframe_timeout_ns = config->keyframe_timeout_ms * NS_PER_MS,
        .shown = parts->shown.patterns,
        .telemetry_bytes_max = config->telemetry_bytes_max,
    };
    relay.gate.video_hold_ns = config->gate_hold_ms * NS_PER_MS;
    relay.gate.video_estop_ns = config->gate_estop_ms * NS_PER_MS;
    relay.gate.codec_grace_ns = config->gate_codec_grace_ms * NS_PER_MS;
    relay.gate.deadman_ns = config->gate_deadman_ms * NS_PER_MS;
    limits_parse(config->gate_speed_max, relay.limits.speed_max); /* config.c has checked it */
    return relay_create(&relay, clock_now_ns(), &parts->relay);
}

static int load_files(struct parts *parts)
{
    const char *dir = parts->config->web_dir;

    if (dir[0] != '\0') {
        int error = web_files_load(dir, &parts->files);
        if (error < 0)
            log_error("web_dir: cannot read the viewer's files in %s: %s", dir, strerror(-error));
        return error < 0 ? -EINVAL : 0;
    }
    if (web_files_load(WEB_DIR_INSTALLED, &parts->files) < 0 &&
        web_files_load(WEB_DIR_SOURCE, &parts->files) < 0)
        log_warning("no viewer is installed in %s; GET / will answer 404", WEB_DIR_INSTALLED);
    return 0;
}

static int open_ws(struct parts *parts)
{
    const struct ws_handler handler = reception_handler(parts);
    const struct ws_tls tls = parts_tls(parts);
    const struct inbound_config inbound = {
        .counters = &parts->counters,
        .waiting_max = parts->config->handshakes_max,
        .message_bytes_max = WS_MESSAGE_BYTES_MAX,
    };
    int error = loop_create(&parts->loop);

    if (error == 0)
        error = inbound_open(&inbound);
    if (error == 0)
        error = ws_create(parts->loop, &handler, &tls, &parts->ws);
    if (error == -ENOTSUP)
        log_error("libwebsockets cannot use libev; install libwebsockets-evlib-ev");
    else if (error == -EINVAL)
        log_error(
            "tls_cert and tls_key: cannot use %s with %s; both must be PEM and fit each other",
            tls.certificate_path, tls.key_path);
    else if (error < 0)
        log_error("cannot start the WebSocket server: %s", strerror(-error));
    return error;
}

static int open_streams(struct parts *parts)
{
    const struct config *config = parts->config;
    const struct streams_config streams = {
        .name = config->stream,
        .loop = parts->loop,
        .source = parts->source,
        .fanout = parts->fanout,
        .relay = parts->relay,
        .terms = {.dir = config->ipc_dir,
                  .keyframe_coalesce_ns = config->keyframe_coalesce_ms * NS_PER_MS,
                  .keyframe_timeout_ns = config->keyframe_timeout_ms * NS_PER_MS,
                  .counters = &parts->counters},
    };
    int error = streams_open(&streams, clock_now_ns(), &parts->streams);

    if (error < 0)
        log_error("cannot watch %s for streams: %s", config->ipc_dir, strerror(-error));
    return error;
}

int parts_open(struct parts *parts, const struct config *config, int64_t now_ns)
{
    static int (*const steps[])(struct parts *) = {
        open_tokens, open_listeners, open_source, open_bus,
        open_relay,  load_files,     open_ws,     open_streams,
    };

    *parts = (struct parts){.config = config, .started_ns = now_ns};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int error = steps[i](parts);
        if (error < 0)
            return error;
    }
    return 0;
}

void parts_close(struct parts *parts)
{
    ws_destroy(parts->ws); /* all clients leave */
    streams_close(parts->streams);
    inbound_close();
    loop_destroy(parts->loop);
    web_files_free(parts->files);
    pages_fini(&parts->pages);
    auth_free(parts->auth);
    relay_destroy(parts->relay);
    fanout_destroy(parts->fanout);
    ring_producer_close(parts->gate_ring);
    bus_close(parts->bus);
    source_close(parts->source);
    listeners_close(&parts->listeners);
}
