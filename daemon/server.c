/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns everything. Creation order, each part needing only those before it: signals, listening
 * socket, source, bus, fan-out, relay, viewer files, WebSocket, watches; torn down in reverse.
 *
 * One thread runs the loop; it sleeps in epoll and is woken by the ring's descriptor, the bus's,
 * sockets, signals and two timers. Nothing in it blocks. The bus library has threads of its own
 * that meet this one in a mailbox.
 */
#include "daemon/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sysexits.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus.h"
#include "daemon/access.h"
#include "daemon/api.h"
#include "daemon/auth.h"
#include "daemon/config_paths.h"
#include "daemon/fanout.h"
#include "daemon/http.h"
#include "daemon/listen.h"
#include "daemon/loop.h"
#include "daemon/metrics.h"
#include "daemon/relay.h"
#include "daemon/source.h"
#include "daemon/web_files.h"
#include "daemon/ws.h"
#include "proto/command.h"
#include "proto/gate_state.h"

#define TICK_NS (50 * NS_PER_MS)
#define READY_DELAY_NS (100 * NS_PER_MS)
#define PATIENCE_NS (5 * NS_PER_S)
#define FAREWELL_NS (1 * NS_PER_S)
#define ACCEPTS_PER_TURN 64

struct server {
    const struct config *config;
    struct counters counters;
    struct metrics metrics;
    sigset_t old_signals;
    int signal_fd;
    int listen_fd;
    struct ring_producer *gate_ring; /* NULL: it could not be opened */
    struct source *source;
    struct bus *bus;
    struct fanout *fanout;
    struct relay *relay;
    struct web_files *files;
    struct loop *loop;
    struct ws *ws;
    struct loop_watch *signal_watch;
    struct loop_watch *listen_watch;
    struct loop_watch *ring_watch;
    struct loop_watch *bus_watch;
    struct loop_watch *tick_watch;
    struct loop_watch *slot_watch;
    struct loop_watch *farewell_watch;
    int64_t started_ns;
    int64_t frame_ns; /* arrival of the newest packet; 0: none */
    int64_t slot_period_ns;
    int64_t second_ns;   /* when the last second's work was done */
    int64_t watchdog_ns; /* period of the pings; 0: nobody asks for them */
    int64_t pinged_ns;
    uint64_t frames_before; /* a second ago */
    unsigned fps;           /* in the second before */
    uint32_t width;         /* of the newest frame; 0: unknown */
    uint32_t height;
    bool stopping;
    char http_body[HTTP_BODY_BYTES];
    struct auth *auth; /* NULL: no tokens */
    struct access access;
    char *page; /* an answer that is longer; freed with the next */
};

static void take_packets(struct server *server, bool poll)
{
    int64_t now_ns = clock_now_ns();
    struct packet packet;

    while (source_take(server->source, poll, now_ns, &packet) == 0) {
        bool broke = fanout_packet(server->fanout, &packet, now_ns);
        metrics_record_packet(&server->metrics, &packet, now_ns, clock_now_ns());
        relay_packet(server->relay, &packet, broke, now_ns);
        source_release(server->source, &packet);
        server->frame_ns = now_ns;
        server->width = packet.ring_view.frame.width;
        server->height = packet.ring_view.frame.height;
        now_ns = clock_now_ns();
    }
}

static void on_ring(void *data)
{
    take_packets(data, false);
}

static void on_slot(void *data)
{
    struct server *server = data;

    take_packets(server, true);
    int64_t period_ns = source_period_ns(server->source, clock_now_ns());
    if (period_ns != server->slot_period_ns) {
        server->slot_period_ns = period_ns;
        loop_watch_set_period(server->slot_watch, period_ns);
    }
}

static void on_bus(void *data)
{
    struct server *server = data;

    relay_bus_readable(server->relay, clock_now_ns());
}

static void on_listen(void *data)
{
    struct server *server = data;

    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = listen_accept(server->listen_fd);
        if (fd == -EAGAIN)
            return;
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            log_warning("cannot accept a connection now: %s", strerror(-fd));
            loop_watch_pause(server->listen_watch); /* the tick resumes it */
            return;
        }
        if (fd >= 0 && ws_adopt(server->ws, fd) < 0)
            log_warning("a connection was dropped: no memory or no room for more");
    }
}

/* systemd hears of us from the same tick that runs the gate: a stuck gate is a dead daemon. */
static void ping_watchdog(struct server *server, int64_t now_ns)
{
    if (server->watchdog_ns == 0 || now_ns - server->pinged_ns < server->watchdog_ns)
        return;
    server->pinged_ns = now_ns;
    sd_notify(0, "WATCHDOG=1");
}

static const char *source_name(const struct server *server, int64_t now_ns)
{
    static const char *const names[] = {
        [SOURCE_NONE] = "none",
        [SOURCE_RING] = "ring",
        [SOURCE_LEGACY] = "legacy",
    };

    return names[source_state(server->source, now_ns)];
}

/* Ends those who may not be here any more. */
static void expel(struct server *server, int64_t now_ns)
{
    for (unsigned i = 0; i < fanout_connections(server->fanout); i++) {
        struct client *client = fanout_client(server->fanout, i);
        if (access_expired(client, now_ns)) {
            server->counters.clients_unauthorized++;
            ws_peer_close(client->peer, WS_CLOSE_VIOLATION);
        }
    }
}

static void on_second(struct server *server, int64_t now_ns)
{
    uint64_t frames = server->counters.frames_broadcast;

    relay_second(server->relay);
    server->counters.clients_expelled += ws_expel_floods(server->ws);
    sd_notifyf(0, "STATUS=%u clients, %" PRIu64 " frames/s from %s, gate %s, bus %s",
               fanout_clients(server->fanout), frames - server->frames_before,
               source_name(server, now_ns), gate_mode_name(relay_gate(server->relay)->mode),
               bus_state(server->bus) == BUS_CONNECTED ? "connected" : "away");
    server->fps = (unsigned)(frames - server->frames_before);
    server->frames_before = frames;
}

static void on_tick(void *data)
{
    struct server *server = data;
    int64_t now_ns = clock_now_ns();

    relay_tick(server->relay, now_ns);
    expel(server, now_ns);
    ws_tick(server->ws);
    ping_watchdog(server, now_ns);
    if (!server->stopping)
        loop_watch_resume(server->listen_watch);
    if (now_ns - server->second_ns >= NS_PER_S) {
        server->second_ns = now_ns;
        on_second(server, now_ns);
    }
}

static void on_farewell(void *data)
{
    struct server *server = data;

    loop_stop(server->loop);
}

static struct ws_tls tls_files(const struct server *server)
{
    return (struct ws_tls){
        .certificate_path = server->config->tls_cert,
        .key_path = server->config->tls_key,
    };
}

/* Clients whose token is gone are gone, too. */
static void reload_tokens(struct server *server)
{
    char fault[AUTH_ERROR_BYTES];
    struct auth *former = server->auth;

    if (server->config->token_file[0] == '\0')
        return;
    if (auth_load(server->config->token_file, &server->auth, fault) < 0) {
        log_error("%s; the former tokens stay in force", fault);
        return;
    }
    access_reload(&server->access, server->auth);
    auth_free(former);
    for (unsigned i = 0; i < fanout_connections(server->fanout); i++) {
        struct client *client = fanout_client(server->fanout, i);
        if (!access_revoked(&server->access, client))
            continue;
        server->counters.clients_expelled++;
        ws_peer_close(client->peer, WS_CLOSE_VIOLATION);
    }
}

static void reload(struct server *server)
{
    const struct ws_tls tls = tls_files(server);

    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_now_ns() / NS_PER_US);
    reload_tokens(server);
    if (tls.certificate_path[0] != '\0' && ws_reload_tls(server->ws, &tls) < 0)
        log_error("cannot use %s with %s; the former certificate stays in force",
                  tls.certificate_path, tls.key_path);
    log_info("reloaded: the tokens, the certificate and its key. Everything else, such as listen, "
             "bus_url and limits, needs a restart");
    sd_notify(0, "READY=1");
}

/* Clients get a close frame and a second to answer it. */
static void on_signal(void *data)
{
    struct server *server = data;
    struct signalfd_siginfo info;

    if (read(server->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP) {
        reload(server);
        return;
    }
    if (server->stopping) {
        loop_stop(server->loop);
        return;
    }
    log_info("stopping: %s", strsignal((int)info.ssi_signo));
    sd_notify(0, "STOPPING=1");
    server->stopping = true;
    loop_watch_pause(server->listen_watch);
    ws_close_all(server->ws, WS_CLOSE_GOING_AWAY);
    if (ws_peers(server->ws) == 0 || loop_watch_time(server->loop, FAREWELL_NS, on_farewell, server,
                                                     &server->farewell_watch) < 0)
        loop_stop(server->loop);
}

/* Serves a client that is let in. */
static void welcome(struct server *server, struct client *client, int64_t now_ns)
{
    relay_client_joined(server->relay, client, now_ns);
    if (client->kind > CLIENT_V2 && fanout_heard(server->fanout, client, now_ns))
        relay_client_ready(server->relay, now_ns);
}

static void *on_open(void *data, struct ws_peer *peer, enum client_kind kind,
                     const char *authorization)
{
    struct server *server = data;
    int64_t now_ns = clock_now_ns();

    if (server->stopping)
        return NULL;
    struct client *client = fanout_join(server->fanout, peer, kind, now_ns);
    if (!client)
        return NULL;
    ws_peer_address(peer, client->address, sizeof(client->address));
    if (access_join(&server->access, client, authorization) < 0) {
        fanout_leave(server->fanout, client);
        return NULL;
    }
    if (!client->held)
        welcome(server, client, now_ns);
    return client;
}

/* Whether a message is for the relay; what concerns the right to be here ends here. */
static bool admit_message(struct server *server, struct client *client, const uint8_t *bytes,
                          size_t size)
{
    switch (access_message(&server->access, client, bytes, size)) {
    case ACCESS_OK:
        return true;
    case ACCESS_WELCOME:
        welcome(server, client, clock_now_ns());
        return false;
    case ACCESS_IGNORED:
        server->counters.messages_ignored++;
        return false;
    case ACCESS_VIOLATION:
        ws_peer_close(client->peer, WS_CLOSE_VIOLATION);
        return false;
    case ACCESS_FULL:
        ws_peer_close(client->peer, WS_CLOSE_TRY_LATER);
        return false;
    }
    return false;
}

static void on_message(void *data, void *client, const uint8_t *bytes, size_t size, bool text)
{
    struct server *server = data;
    int64_t now_ns = clock_now_ns();

    if (!text && !admit_message(server, client, bytes, size))
        return;
    if (fanout_heard(server->fanout, client, now_ns))
        relay_client_ready(server->relay, now_ns);
    if (text)
        server->counters.messages_ignored++;
    else
        relay_client_message(server->relay, client, bytes, size, now_ns);
}

static void on_drained(void *data, void *client)
{
    struct server *server = data;

    fanout_drained(server->fanout, client);
}

static void on_close(void *data, void *client)
{
    struct server *server = data;

    access_leave(&server->access, client);
    fanout_leave(server->fanout, client);
    relay_clients_changed(server->relay, clock_now_ns());
}

static int64_t frame_age_ms(const struct server *server, int64_t now_ns)
{
    return server->frame_ns > 0 ? (now_ns - server->frame_ns) / NS_PER_MS : -1;
}

static void write_streams(FILE *file, const struct server *server, int64_t now_ns)
{
    api_write_streams(file, &(struct api_stream){
                                .name = server->config->stream,
                                .source = source_name(server, now_ns),
                                .codec = relay_codec(server->relay),
                                .width = server->width,
                                .height = server->height,
                                .fps = server->fps,
                                .last_frame_age_ms = frame_age_ms(server, now_ns),
                                .frames = server->counters.frames_broadcast,
                                .clients = fanout_clients(server->fanout),
                            });
}

static void write_clients(FILE *file, const struct server *server, int64_t now_ns)
{
    api_write_clients(file, server->fanout, now_ns);
}

static void write_metrics(FILE *file, const struct server *server, int64_t now_ns)
{
    metrics_write(file, &server->metrics,
                  &(struct metrics_state){
                      .counters = &server->counters,
                      .clients = fanout_clients(server->fanout),
                      .connections = fanout_connections(server->fanout),
                      .last_frame_age_ns = server->frame_ns > 0 ? now_ns - server->frame_ns : -1,
                      .uptime_ns = now_ns - server->started_ns,
                      .bus_connected = bus_state(server->bus) == BUS_CONNECTED,
                      .source_attached = source_state(server->source, now_ns) != SOURCE_NONE,
                      .gate_mode = gate_mode_name(relay_gate(server->relay)->mode),
                  });
}

/* Answers of any length. */
static const struct page {
    const char *path;
    const char *content_type;
    void (*write)(FILE *file, const struct server *server, int64_t now_ns);
} pages[] = {
    {"/api/v1/streams", "application/json", write_streams},
    {"/api/v1/clients", "application/json", write_clients},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics},
};

static bool is_page(const char *path)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(path, pages[i].path) == 0)
            return true;
    }
    return false;
}

static void respond_page(struct server *server, const struct page *page,
                         struct http_response *ret_response)
{
    size_t page_bytes = 0;

    free(server->page);
    server->page = NULL;
    FILE *file = open_memstream(&server->page, &page_bytes);
    if (file)
        page->write(file, server, clock_now_ns());
    if (!file || fclose(file) != 0) {
        http_error(503, ret_response);
        return;
    }
    *ret_response = (struct http_response){
        .status = 200,
        .content_type = page->content_type,
        .body = server->page,
        .body_bytes = page_bytes,
    };
}

static void respond_health(struct server *server, const struct http_request *request,
                           struct http_response *ret_response)
{
    int64_t now_ns = clock_now_ns();
    const struct gate *gate = relay_gate(server->relay);
    struct http_health health = {
        .counters = &server->counters,
        .clients = fanout_clients(server->fanout),
        .shm_seq = source_sequence(server->source, now_ns),
        .last_frame_age_ms = frame_age_ms(server, now_ns),
        .uptime_s = (now_ns - server->started_ns) / NS_PER_S,
        .source = source_name(server, now_ns),
        .source_reason = source_reason(server->source),
        .bus_connected = bus_state(server->bus) == BUS_CONNECTED,
        .gate_mode = gate_mode_name(gate->mode),
        .gate_reason = gate_reason_name(gate->reason),
        .codec = relay_fixed_codec(server->relay),
    };

    http_get(request, &health, server->files, server->http_body, ret_response);
}

static void on_get(void *data, const struct http_request *request,
                   struct http_response *ret_response)
{
    struct server *server = data;

    enum client_kind kind;
    bool stream = http_stream_kind(request->path, request->query, &kind) == 0;
    unsigned status =
        access_request(&server->access, request, stream, !stream && !is_page(request->path));

    if (server->stopping)
        status = 503;
    if (status != 0) {
        http_error(status, ret_response);
        return;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(request->path, pages[i].path) == 0) {
            respond_page(server, &pages[i], ret_response);
            return;
        }
    }
    respond_health(server, request, ret_response);
}

static unsigned on_may_connect(void *data, const struct http_request *request)
{
    struct server *server = data;

    return access_request(&server->access, request, true, true);
}

static int open_signals(struct server *server)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &server->old_signals);
    signal(SIGPIPE, SIG_IGN);
    server->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return server->signal_fd < 0 ? -errno : 0;
}

static int open_tokens(struct server *server)
{
    char fault[AUTH_ERROR_BYTES];

    if (server->config->token_file[0] == '\0' ||
        auth_load(server->config->token_file, &server->auth, fault) == 0)
        return 0;
    log_error("%s", fault);
    return -EINVAL;
}

static int open_listener(struct server *server)
{
    const char *address = server->config->listen;
    int fd = listen_open(address);

    if (fd < 0) {
        log_error("cannot listen on %s: %s; choose another address with --listen", address,
                  strerror(-fd));
        return fd;
    }
    server->listen_fd = fd;
    return 0;
}

static int open_source(struct server *server)
{
    int error = source_open(server->config, &server->counters, &server->source);

    if (error < 0)
        log_error("cannot open the stream '%s' in %s: %s", server->config->stream,
                  server->config->ipc_dir, strerror(-error));
    return error;
}

/* Cuts the comma-separated patterns in `text` apart, in place. */
static int split_patterns(char *text, const char **patterns, size_t count_max)
{
    char *rest = NULL;
    size_t count = 0;

    for (char *one = strtok_r(text, ", ", &rest); one; one = strtok_r(NULL, ", ", &rest)) {
        if (count == count_max)
            return -E2BIG;
        patterns[count++] = one;
    }
    return (int)count;
}

static int open_bus(struct server *server)
{
    const struct config *config = server->config;
    char local_url[CONFIG_TEXT_BYTES + 8];
    char shown[CONFIG_TEXT_BYTES + 8];
    char patterns[CONFIG_TEXT_BYTES];
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
    memcpy(patterns, config->telemetry_subjects, sizeof(patterns));
    int count = split_patterns(patterns, bus.subscriptions, BUS_SUBSCRIPTIONS_MAX - 1);
    if (count < 0) {
        log_error("telemetry.subjects: expected at most %d patterns, got '%s'",
                  BUS_SUBSCRIPTIONS_MAX - 1, config->telemetry_subjects);
        return -EINVAL;
    }
    bus.subscriptions[count] = COMMAND_SUBJECT_WILDCARD;
    bus_url_show(bus.url, shown, sizeof(shown));
    int error = bus_open(&bus, &server->bus);
    if (error == -EADDRINUSE)
        log_error("another simcastd serves the bus %s; stop it, or use another --ipc-dir", shown);
    else if (error == -EINVAL)
        log_error("bus_url or telemetry.subjects: not a URL or pattern that the bus understands");
    else if (error < 0)
        log_error("cannot open the bus %s: %s; check the directory (--ipc-dir or --bus)", shown,
                  strerror(-error));
    return error;
}

/* Not being able to is no reason not to run: the bus carries stops as well. */
static void open_gate_ring(struct server *server)
{
    struct ring_producer_config ring = {.dir = server->config->ipc_dir,
                                        .stream = server->config->stream,
                                        .kind = RING_KIND_GATE,
                                        .payload_bytes_max = sizeof(struct gate_state)};
    int error = ring_producer_open(&ring, &server->gate_ring);

    if (error < 0)
        log_warning("cannot open the gate's ring of stream '%s' in %s (%s): a control loop hears "
                    "of stops through the bus alone",
                    ring.stream, ring.dir, strerror(-error));
}

static int open_relay(struct server *server)
{
    const struct config *config = server->config;
    const struct fanout_config fanout = {
        .ready_delay_ns = READY_DELAY_NS,
        .patience_ns = PATIENCE_NS,
        .queue_messages = config->telemetry_queue,
        .counters = &server->counters,
    };
    int error = fanout_create(&fanout, &server->fanout);

    if (error < 0)
        return error;
    open_gate_ring(server);
    bool loopback = true;
    listen_parse(config->listen, &loopback);
    server->access = (struct access){
        .auth = server->auth,
        .fanout = server->fanout,
        .counters = &server->counters,
        .allowed_origins = config->allowed_origins,
        .allowed_hosts = config->allowed_hosts,
        .loopback = loopback,
        .clients_max = config->clients_max,
        .clients_per_address = config->clients_per_address,
        .operator_slots = config->operator_slots,
        .commands_per_s = config->commands_per_s,
    };
    struct relay_config relay = {
        .bus = server->bus,
        .gate_ring = server->gate_ring,
        .fanout = server->fanout,
        .source = server->source,
        .access = &server->access,
        .counters = &server->counters,
        .gate = gate_config_transport,
        .keyframe_coalesce_ns = config->keyframe_coalesce_ms * NS_PER_MS,
        .keyframe_timeout_ns = config->keyframe_timeout_ms * NS_PER_MS,
        .telemetry_bytes_max = config->telemetry_bytes_max,
    };
    relay.gate.video_hold_ns = config->gate_hold_ms * NS_PER_MS;
    relay.gate.video_estop_ns = config->gate_estop_ms * NS_PER_MS;
    relay.gate.codec_grace_ns = config->gate_codec_grace_ms * NS_PER_MS;
    return relay_create(&relay, clock_now_ns(), &server->relay);
}

static int load_files(struct server *server)
{
    const char *dir = server->config->web_dir;

    if (dir[0] != '\0') {
        int error = web_files_load(dir, &server->files);
        if (error < 0)
            log_error("web_dir: cannot read the viewer's files in %s: %s", dir, strerror(-error));
        return error < 0 ? -EINVAL : 0;
    }
    if (web_files_load(WEB_DIR_INSTALLED, &server->files) < 0 &&
        web_files_load(WEB_DIR_SOURCE, &server->files) < 0)
        log_warning("no viewer is installed in %s; GET / will answer 404", WEB_DIR_INSTALLED);
    return 0;
}

static int open_ws(struct server *server)
{
    const struct ws_handler handler = {
        .data = server,
        .open = on_open,
        .message = on_message,
        .drained = on_drained,
        .close = on_close,
        .get = on_get,
        .may_connect = on_may_connect,
    };
    const struct ws_tls tls = tls_files(server);
    int error = loop_create(&server->loop);

    if (error == 0)
        error = ws_create(server->loop, &handler, &tls, &server->ws);
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

static int open_watches(struct server *server)
{
    struct loop *loop = server->loop;
    int ring_fd = source_fd(server->source);
    int error = loop_watch_fd(loop, server->signal_fd, on_signal, server, &server->signal_watch);

    server->slot_period_ns = source_period_ns(server->source, clock_now_ns());
    if (error == 0)
        error = loop_watch_fd(loop, server->listen_fd, on_listen, server, &server->listen_watch);
    if (error == 0)
        error = loop_watch_fd(loop, bus_fd(server->bus), on_bus, server, &server->bus_watch);
    if (error == 0)
        error = loop_watch_time(loop, TICK_NS, on_tick, server, &server->tick_watch);
    if (error == 0 && ring_fd >= 0)
        error = loop_watch_fd(loop, ring_fd, on_ring, server, &server->ring_watch);
    if (error == 0 && server->slot_period_ns > 0)
        error = loop_watch_time(loop, server->slot_period_ns, on_slot, server, &server->slot_watch);
    return error;
}

static int server_open(struct server *server)
{
    static int (*const steps[])(struct server *) = {
        open_signals, open_tokens, open_listener, open_source,  open_bus,
        open_relay,   load_files,  open_ws,       open_watches,
    };

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int error = steps[i](server);
        if (error < 0)
            return error;
    }
    return 0;
}

static void server_close(struct server *server)
{
    struct loop_watch *const watches[] = {
        server->farewell_watch, server->slot_watch,   server->ring_watch,   server->tick_watch,
        server->bus_watch,      server->listen_watch, server->signal_watch,
    };

    for (size_t i = 0; i < sizeof(watches) / sizeof(watches[0]); i++)
        loop_watch_destroy(watches[i]);
    ws_destroy(server->ws);
    loop_destroy(server->loop);
    web_files_free(server->files);
    free(server->page);
    auth_free(server->auth);
    relay_destroy(server->relay);
    fanout_destroy(server->fanout);
    ring_producer_close(server->gate_ring);
    bus_close(server->bus);
    source_close(server->source);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->signal_fd >= 0)
        close(server->signal_fd);
    sigprocmask(SIG_SETMASK, &server->old_signals, NULL);
}

static void announce(struct server *server)
{
    const struct config *config = server->config;
    const char *port = strrchr(config->listen, ':');
    uint64_t watchdog_us = 0;
    bool loopback = true;

    listen_parse(config->listen, &loopback);
    if (!loopback && !server->auth)
        log_warning("everybody who can reach %s may watch and drive: no token_file is set",
                    config->listen);
    log_info("serving %s://%.*s:%d/ (stream '%s' in %s)",
             config->tls_cert[0] != '\0' ? "https" : "http", (int)(port - config->listen),
             config->listen, listen_port(server->listen_fd), config->stream, config->ipc_dir);
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        server->watchdog_ns = (int64_t)watchdog_us * NS_PER_US / 3;
    sd_notify(0, "READY=1");
}

int server_run(const struct config *config)
{
    static struct server server;
    int exit_code = 0;

    server = (struct server){
        .config = config,
        .signal_fd = -1,
        .listen_fd = -1,
        .started_ns = clock_now_ns(),
    };
    int error = server_open(&server);
    if (error == 0) {
        announce(&server);
        loop_run(server.loop);
    } else {
        exit_code = error == -EINVAL ? EX_CONFIG : 1;
    }
    server_close(&server);
    return exit_code;
}
