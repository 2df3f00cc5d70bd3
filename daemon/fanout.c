/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the clients and their list, which only grows at a join. */
#include "daemon/fanout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/viewer.h"

struct fanout {
    struct fanout_config config;
    struct client **clients;
    size_t count;
    size_t held; /* of these */
    size_t capacity;
    uint32_t last_id;
    int64_t now_ns;           /* of the last tick */
    struct audience audience; /* of the default stream */
};

int fanout_create(const struct fanout_config *config, struct fanout **ret_fanout)
{
    struct fanout *fanout = calloc(1, sizeof(*fanout));

    if (!fanout)
        return -ENOMEM;
    fanout->config = *config;
    audience_init(&fanout->audience, 0, config->counters);
    *ret_fanout = fanout;
    return 0;
}

void fanout_destroy(struct fanout *fanout)
{
    if (!fanout)
        return;
    audience_fini(&fanout->audience);
    free(fanout->clients);
    free(fanout);
}

static int make_room(struct fanout *fanout)
{
    if (fanout->count < fanout->capacity)
        return 0;
    size_t capacity = fanout->capacity > 0 ? 2 * fanout->capacity : 16;
    struct client **clients = realloc(fanout->clients, capacity * sizeof(struct client *));
    if (!clients)
        return -ENOMEM;
    fanout->clients = clients;
    fanout->capacity = capacity;
    return 0;
}

struct audience *fanout_audience(struct fanout *fanout)
{
    return &fanout->audience;
}

struct client *fanout_join(struct fanout *fanout, struct ws_peer *peer, enum client_kind kind,
                           int64_t now_ns)
{
    return fanout_join_audience(fanout, peer, kind, &fanout->audience, now_ns);
}

struct client *fanout_join_audience(struct fanout *fanout, struct ws_peer *peer,
                                    enum client_kind kind, struct audience *audience,
                                    int64_t now_ns)
{
    struct client *client = malloc(sizeof(*client));

    if (!client)
        return NULL;
    if (client_init(client, peer, kind, fanout->config.queue_messages) < 0) {
        free(client);
        return NULL;
    }
    if ((fanout->config.telemetry_per_s > 0 &&
         client_pace(client, fanout->config.telemetry_per_s) < 0) ||
        make_room(fanout) < 0 || (audience && audience_join(audience, client, now_ns, NULL) < 0)) {
        client_fini(client);
        free(client);
        return NULL;
    }
    client->id = ++fanout->last_id;
    client->connected_ns = now_ns;
    client->index = fanout->count;
    fanout->clients[fanout->count++] = client;
    fanout->config.counters->clients_accepted++;
    return client;
}

static void set_held(struct fanout *fanout, struct client *client, bool held)
{
    fanout->held -= client->held;
    fanout->held += held;
    client->held = held;
    for (unsigned i = 0; i < client->subscription_count; i++)
        audience_count(client->subscriptions[i]);
}

void fanout_hold(struct fanout *fanout, struct client *client)
{
    set_held(fanout, client, true);
}

void fanout_admit(struct fanout *fanout, struct client *client)
{
    set_held(fanout, client, false);
}

void fanout_leave(struct fanout *fanout, struct client *client)
{
    struct client *last = fanout->clients[--fanout->count];

    fanout_admit(fanout, client);
    fanout->clients[client->index] = last;
    last->index = client->index;
    while (client->subscription_count > 0)
        audience_leave(client->subscriptions[client->subscription_count - 1]);
    client_fini(client);
    free(client);
}

bool fanout_heard(struct fanout *fanout, struct client *client, int64_t now_ns)
{
    if (client->ready || client->ended || client->held)
        return false;
    client_set_ready(client, now_ns, fanout->config.counters);
    return true;
}

unsigned fanout_tick(struct fanout *fanout, int64_t now_ns)
{
    unsigned ready = 0;

    fanout->now_ns = now_ns;
    for (size_t i = 0; i < fanout->count; i++) {
        struct client *client = fanout->clients[i];
        if (!client->ready && !client->held &&
            now_ns - client->connected_ns >= fanout->config.ready_delay_ns)
            ready += fanout_heard(fanout, client, now_ns) && client_subscription(client, 0);
        if (client->kind > CLIENT_V2 && !client_started(client) && !client->ended &&
            now_ns - client->connected_ns >= fanout->config.patience_ns)
            client_give_up(client);
        client_tick(client, now_ns, fanout->config.counters);
    }
    return ready;
}

bool fanout_packet(struct fanout *fanout, const struct packet *packet, int64_t now_ns)
{
    fanout->config.counters->frames_broadcast++;
    fanout->config.counters->frame_bytes += packet->video.header.size;
    return audience_packet(&fanout->audience, packet, now_ns);
}

void fanout_drained(struct fanout *fanout, struct client *client)
{
    client_drained(client, fanout->config.counters);
}

void fanout_quiet(struct fanout *fanout)
{
    for (size_t i = 0; i < fanout->count; i++) {
        fanout->clients[i]->ready = false;
        fanout->clients[i]->ended = true;
    }
}

static int make_telemetry(struct fanout *fanout, const char *subject, const char *payload,
                          size_t payload_bytes, struct message **ret_message)
{
    int error = message_new_telemetry(subject, payload, payload_bytes, ret_message);

    if (error == -EMSGSIZE)
        fanout->config.counters->telemetry_too_long++;
    return error;
}

int fanout_telemetry(struct fanout *fanout, const char *subject, const char *payload,
                     size_t payload_bytes)
{
    struct message *message;
    int error = make_telemetry(fanout, subject, payload, payload_bytes, &message);

    if (error < 0)
        return error;
    for (size_t i = 0; i < fanout->count; i++)
        client_tell(fanout->clients[i], message, fanout->now_ns, fanout->config.counters);
    message_unref(message);
    return 0;
}

int fanout_telemetry_to(struct fanout *fanout, struct client *client, const char *subject,
                        const char *payload)
{
    struct message *message;
    int error = make_telemetry(fanout, subject, payload, strlen(payload), &message);

    if (error < 0)
        return error;
    client_send(client, message, fanout->config.counters);
    message_unref(message);
    return 0;
}

int fanout_clock(struct fanout *fanout, struct client *client, const uint8_t *request,
                 size_t request_bytes, int64_t now_ns)
{
    uint8_t reply[CLOCK_REPLY_BYTES];

    if (client->kind != CLIENT_V2 || clock_reply_encode(request, request_bytes, now_ns, reply) < 0)
        return -EPROTO;
    struct message *message = message_new(reply, sizeof(reply));
    if (!message)
        return -ENOMEM;
    client_send(client, message, fanout->config.counters);
    message_unref(message);
    return 0;
}

unsigned fanout_clients(const struct fanout *fanout)
{
    return (unsigned)(fanout->count - fanout->held);
}

unsigned fanout_connections(const struct fanout *fanout)
{
    return (unsigned)fanout->count;
}

struct client *fanout_client(const struct fanout *fanout, unsigned at)
{
    return fanout->clients[at];
}

unsigned fanout_watchers(const struct fanout *fanout)
{
    return audience_watchers(&fanout->audience);
}

enum video_codec fanout_codec_needed(const struct fanout *fanout)
{
    return audience_codec_needed(&fanout->audience);
}

bool fanout_serves_http(const struct fanout *fanout)
{
    return audience_serves_http(&fanout->audience);
}
