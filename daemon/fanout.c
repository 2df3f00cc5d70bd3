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
    size_t first; /* who is served first moves on by one per packet */
    bool streaming;
    uint64_t last_seq;
    unsigned last_codec;
    uint32_t last_id;
};

int fanout_create(const struct fanout_config *config, struct fanout **ret_fanout)
{
    struct fanout *fanout = calloc(1, sizeof(*fanout));

    if (!fanout)
        return -ENOMEM;
    fanout->config = *config;
    *ret_fanout = fanout;
    return 0;
}

void fanout_destroy(struct fanout *fanout)
{
    if (!fanout)
        return;
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

struct client *fanout_join(struct fanout *fanout, struct ws_peer *peer, enum client_kind kind,
                           int64_t now_ns)
{
    struct client *client = malloc(sizeof(*client));

    if (!client)
        return NULL;
    if (make_room(fanout) < 0 ||
        client_init(client, peer, kind, fanout->config.queue_messages) < 0) {
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

void fanout_hold(struct fanout *fanout, struct client *client)
{
    fanout->held += !client->held;
    client->held = true;
}

void fanout_admit(struct fanout *fanout, struct client *client)
{
    fanout->held -= client->held;
    client->held = false;
}

void fanout_leave(struct fanout *fanout, struct client *client)
{
    struct client *last = fanout->clients[--fanout->count];

    fanout_admit(fanout, client);
    fanout->clients[client->index] = last;
    last->index = client->index;
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

    for (size_t i = 0; i < fanout->count; i++) {
        struct client *client = fanout->clients[i];
        if (!client->ready && !client->held &&
            now_ns - client->connected_ns >= fanout->config.ready_delay_ns)
            ready += fanout_heard(fanout, client, now_ns);
        if (client->kind > CLIENT_V2 && !client->started && !client->ended &&
            now_ns - client->connected_ns >= fanout->config.patience_ns)
            client_give_up(client);
    }
    return ready;
}

bool fanout_packet(struct fanout *fanout, const struct packet *packet, int64_t now_ns)
{
    const struct video_header *header = &packet->video.header;
    struct counters *counters = fanout->config.counters;
    bool broke = !packet->keyframe && (!fanout->streaming || header->codec != fanout->last_codec ||
                                       header->frame_seq != fanout->last_seq + 1);

    fanout->streaming = true;
    fanout->last_seq = header->frame_seq;
    fanout->last_codec = header->codec;
    counters->frames_broadcast++;
    counters->frame_bytes += header->size;
    for (size_t i = 0; i < fanout->count; i++) {
        size_t at = (fanout->first + i) % fanout->count;
        client_offer(fanout->clients[at], packet, now_ns, counters);
    }
    fanout->first++;
    return broke && fanout_clients(fanout) > 0;
}

void fanout_drained(struct fanout *fanout, struct client *client)
{
    client_drained(client, fanout->config.counters);
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
        client_send(fanout->clients[i], message, fanout->config.counters);
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

enum video_codec fanout_codec_needed(const struct fanout *fanout)
{
    enum video_codec needed = VIDEO_CODEC_NONE;

    for (size_t i = 0; i < fanout->count; i++) {
        enum video_codec codec = http_stream_codec(fanout->clients[i]->kind);
        if (codec == VIDEO_CODEC_NONE || (i > 0 && codec != needed))
            return VIDEO_CODEC_NONE;
        needed = codec;
    }
    return needed;
}

bool fanout_serves_http(const struct fanout *fanout)
{
    for (size_t i = 0; i < fanout->count; i++) {
        if (fanout->clients[i]->kind > CLIENT_V2)
            return true;
    }
    return false;
}

int64_t fanout_waiting_ns(const struct fanout *fanout, int64_t now_ns)
{
    int64_t longest = 0;

    for (size_t i = 0; i < fanout->count; i++) {
        const struct client *client = fanout->clients[i];
        if (client->waiting_ns > 0 && now_ns - client->waiting_ns > longest &&
            !ws_peer_busy(client->peer))
            longest = now_ns - client->waiting_ns;
    }
    return longest;
}
