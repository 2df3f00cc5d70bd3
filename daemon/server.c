/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the parts, the service and the watches on the loop. Creation order: service (it blocks the
 * signals), parts, watches; torn down in reverse.
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
#include <string.h>

#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/inbound.h"
#include "daemon/listen.h"
#include "daemon/parts.h"
#include "daemon/reload.h"
#include "daemon/requests.h"
#include "daemon/service.h"

#define TICK_NS (50 * NS_PER_MS)
#define FAREWELL_NS (1 * NS_PER_S)
#define ACCEPTS_PER_TURN 64

/* One of the sockets that clients connect to. */
struct listening {
    struct server *server;
    int fd;
    struct loop_watch *watch;
};

struct server {
    struct parts parts;
    struct service service;
    struct loop_watch *signal_watch;
    struct listening listening[LISTEN_MAX];
    struct loop_watch *ring_watch;
    struct loop_watch *bus_watch;
    struct loop_watch *tick_watch;
    struct loop_watch *slot_watch;
    struct loop_watch *farewell_watch;
    int64_t slot_period_ns;
    int64_t second_ns; /* when the last second's work was done */
};

static void take_packets(struct parts *parts, bool poll)
{
    struct stream *stream = streams_default(parts->streams);
    int64_t now_ns = clock_now_ns();
    struct packet packet;

    while (source_take(parts->source, poll, now_ns, &packet) == 0) {
        bool broke = fanout_packet(parts->fanout, &packet, now_ns);
        metrics_record_packet(&stream->stages, &packet, now_ns, clock_now_ns());
        relay_packet(parts->relay, &packet, broke, now_ns);
        stream_note(stream, &packet, now_ns);
        source_release(parts->source, &packet);
        now_ns = clock_now_ns();
    }
}

static void on_ring(void *data)
{
    struct server *server = data;

    take_packets(&server->parts, false);
}

static void on_slot(void *data)
{
    struct server *server = data;
    struct source *source = server->parts.source;

    take_packets(&server->parts, true);
    int64_t period_ns = source_period_ns(source, clock_now_ns());
    if (period_ns != server->slot_period_ns) {
        server->slot_period_ns = period_ns;
        loop_watch_set_period(server->slot_watch, period_ns);
    }
}

static void on_bus(void *data)
{
    struct server *server = data;

    relay_bus_readable(server->parts.relay, clock_now_ns());
}

static void on_listen(void *data)
{
    const struct listening *listening = data;

    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = listen_accept(listening->fd);
        if (fd == -EAGAIN)
            return;
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            log_warning("cannot accept a connection now: %s", strerror(-fd));
            loop_watch_pause(listening->watch); /* the tick resumes it */
            return;
        }
        if (fd >= 0 && ws_adopt(listening->server->parts.ws, fd) < 0)
            log_warning("a connection was dropped: no memory or no room for more");
    }
}

/* Whether this client has not taken what it was sent for too long. */
static bool stalled(const struct parts *parts, struct client *client, int64_t now_ns)
{
    const int64_t patience_ns = parts->config->stalled_s * NS_PER_S;

    if (!ws_peer_busy(client->peer))
        client->busy_ns = 0;
    else if (client->busy_ns == 0)
        client->busy_ns = now_ns;
    return patience_ns > 0 && client->busy_ns > 0 && now_ns - client->busy_ns >= patience_ns;
}

static void expel_one(struct client *client, enum ws_close_status status, uint64_t *counter)
{
    (*counter)++;
    client->ended = true;
    ws_peer_close(client->peer, status);
}

/* Ends those who may not be here any more. */
static void expel(struct parts *parts, int64_t now_ns)
{
    for (unsigned i = 0; i < fanout_connections(parts->fanout); i++) {
        struct client *client = fanout_client(parts->fanout, i);
        if (client->ended)
            continue;
        if (access_expired(client, now_ns))
            expel_one(client, WS_CLOSE_VIOLATION, &parts->counters.clients_unauthorized);
        else if (stalled(parts, client, now_ns))
            expel_one(client, WS_CLOSE_TRY_LATER, &parts->counters.clients_stalled);
    }
}

static void on_second(struct parts *parts, int64_t now_ns)
{
    char status[160];

    relay_second(parts->relay);
    streams_second(parts->streams, now_ns);
    snprintf(status, sizeof(status), "%u clients, %u frames/s from %s, gate %s, bus %s",
             fanout_clients(parts->fanout), streams_default(parts->streams)->fps,
             source_name(parts->source, now_ns), gate_mode_name(relay_gate(parts->relay)->mode),
             bus_state(parts->bus) == BUS_CONNECTED ? "connected" : "away");
    service_status(status);
}

static void on_tick(void *data)
{
    struct server *server = data;
    struct parts *parts = &server->parts;
    int64_t now_ns = clock_now_ns();

    relay_tick(parts->relay, now_ns);
    streams_tick(parts->streams, now_ns);
    if (streams_changed(parts->streams))
        requests_tell_streams(parts, NULL, now_ns);
    expel(parts, now_ns);
    inbound_tick(now_ns);
    ws_tick(parts->ws);
    service_tick(&server->service, now_ns);
    for (size_t i = 0; !parts->stopping && i < parts->listeners.count; i++)
        loop_watch_resume(server->listening[i].watch);
    if (now_ns - server->second_ns >= NS_PER_S) {
        server->second_ns = now_ns;
        on_second(parts, now_ns);
    }
}

static void on_farewell(void *data)
{
    struct server *server = data;

    loop_stop(server->parts.loop);
}

/*
 * Nobody is let in and nothing new is sent. Clients get the rest of the frame that is on the way to
 * them, a close frame, and a second for all of it.
 */
static void stop(struct server *server, int signal)
{
    struct parts *parts = &server->parts;

    if (parts->stopping) {
        loop_stop(parts->loop);
        return;
    }
    log_info("stopping: %s", strsignal(signal));
    service_stopping();
    parts->stopping = true;
    for (size_t i = 0; i < parts->listeners.count; i++)
        loop_watch_pause(server->listening[i].watch);
    fanout_quiet(parts->fanout);
    ws_close_all(parts->ws, WS_CLOSE_GOING_AWAY);
    if (ws_peers(parts->ws) == 0 ||
        loop_watch_time(parts->loop, FAREWELL_NS, on_farewell, server, &server->farewell_watch) < 0)
        loop_stop(parts->loop);
}

static void on_signal(void *data)
{
    struct server *server = data;
    int signal = service_signal(&server->service);

    if (signal == SIGHUP) {
        service_reloading(clock_now_ns());
        reload(&server->parts);
        service_ready(&server->service);
    } else if (signal != 0) {
        stop(server, signal);
    }
}

static int open_watches(struct server *server)
{
    const struct parts *parts = &server->parts;
    struct loop *loop = parts->loop;
    int ring_fd = source_fd(parts->source);
    int error =
        loop_watch_fd(loop, service_fd(&server->service), on_signal, server, &server->signal_watch);

    server->slot_period_ns = source_period_ns(parts->source, clock_now_ns());
    for (size_t i = 0; error == 0 && i < parts->listeners.count; i++) {
        struct listening *listening = &server->listening[i];
        *listening = (struct listening){.server = server, .fd = parts->listeners.fds[i]};
        error = loop_watch_fd(loop, listening->fd, on_listen, listening, &listening->watch);
    }
    if (error == 0)
        error = loop_watch_fd(loop, bus_fd(parts->bus), on_bus, server, &server->bus_watch);
    if (error == 0)
        error = loop_watch_time(loop, TICK_NS, on_tick, server, &server->tick_watch);
    if (error == 0 && ring_fd >= 0)
        error = loop_watch_fd(loop, ring_fd, on_ring, server, &server->ring_watch);
    if (error == 0 && server->slot_period_ns > 0)
        error = loop_watch_time(loop, server->slot_period_ns, on_slot, server, &server->slot_watch);
    return error;
}

static int server_open(struct server *server, const struct config *config)
{
    int error = service_open(&server->service);

    if (error == 0)
        error = parts_open(&server->parts, config, clock_now_ns());
    return error == 0 ? open_watches(server) : error;
}

static void server_close(struct server *server)
{
    struct loop_watch *const watches[] = {
        server->farewell_watch, server->slot_watch, server->ring_watch,
        server->tick_watch,     server->bus_watch,  server->signal_watch,
    };

    for (size_t i = 0; i < sizeof(watches) / sizeof(watches[0]); i++)
        loop_watch_destroy(watches[i]);
    for (size_t i = 0; i < LISTEN_MAX; i++)
        loop_watch_destroy(server->listening[i].watch);
    parts_close(&server->parts);
    service_close(&server->service);
}

static void announce(const struct parts *parts)
{
    const struct config *config = parts->config;
    const char *scheme = config->tls_cert[0] != '\0' ? "https" : "http";
    char name[LISTEN_NAME_BYTES];

    for (size_t i = 0; i < parts->listeners.count; i++) {
        listen_name(parts->listeners.fds[i], name);
        log_info("serving %s://%s/ (stream '%s' in %s)", scheme, name, config->stream,
                 config->ipc_dir);
    }
    if (parts->listeners.remote && !parts->auth)
        log_warning("everybody who can reach %s may watch and drive: no token_file is set%s",
                    config->listen,
                    config->allowed_hosts[0] == '\0'
                        ? "; and pages of other sites may drive: set allowed_hosts"
                        : "");
}

int server_run(const struct config *config)
{
    static struct server server;
    int exit_code = 0;

    server = (struct server){0};
    int error = server_open(&server, config);
    if (error == 0) {
        announce(&server.parts);
        service_ready(&server.service);
        loop_run(server.parts.loop);
    } else {
        exit_code = error == -EINVAL ? EX_CONFIG : 1;
    }
    server_close(&server);
    return exit_code;
}
