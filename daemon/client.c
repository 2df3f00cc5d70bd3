/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the client's queue. A failed write needs no handling here: the connection reports its end
 * by itself, and until then writes to it are refused.
 */
#include "daemon/client.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "proto/viewer.h"

#define INFO_FRAME_BYTES (2 + FRAME_INFO_BYTES)

int client_init(struct client *client, struct ws_peer *peer, enum client_kind kind,
                size_t queue_messages)
{
    *client = (struct client){.peer = peer, .kind = kind};
    return outbox_init(&client->outbox, queue_messages);
}

void client_fini(struct client *client)
{
    outbox_fini(&client->outbox);
    explicit_bzero(client->token, sizeof(client->token));
}

void client_set_ready(struct client *client, int64_t now_ns, struct counters *counters)
{
    client->ready = true;
    client->waiting_ns = now_ns;
    client_drained(client, counters);
}

static void send_frame_info(struct client *client, const struct packet *packet)
{
    uint8_t frame[INFO_FRAME_BYTES] = {0x82, FRAME_INFO_BYTES};
    struct frame_info info = {
        .missed = client->missed < UINT16_MAX ? (uint16_t)client->missed : UINT16_MAX,
        .frame_seq = packet->video.header.frame_seq,
        .sim_time_ns = packet->sim_time_ns,
    };

    memcpy(info.stamp_ns, packet->stamp_ns, sizeof(packet->stamp_ns));
    info.stamp_ns[FRAME_STAGE_SENT] = clock_now_ns();
    frame_info_encode(&info, frame + 2);
    ws_peer_send(client->peer, frame, sizeof(frame));
}

/* The picture's age, from when the simulator published it; -1: unknown. */
static int64_t age_ms(const struct packet *packet)
{
    int64_t published_ns = packet->stamp_ns[RING_STAGE_PUBLISHED];

    return published_ns > 0 ? (clock_now_ns() - published_ns) / NS_PER_MS : -1;
}

static void end(struct client *client)
{
    client->ended = true;
    client->ready = false;
    ws_peer_finish(client->peer);
}

static int send_http(struct client *client, const struct packet *packet)
{
    const struct video_packet_view *video = &packet->video;
    char head[HTTP_STREAM_HEAD_BYTES];
    size_t head_bytes =
        http_stream_head(client->kind, !client->started, video->header.size, age_ms(packet), head);

    if (head_bytes > 0 && ws_peer_send(client->peer, (const uint8_t *)head, head_bytes) < 0)
        return -EPIPE;
    return ws_peer_send(client->peer, video->payload, video->header.size);
}

static int send_frame(struct client *client, const struct packet *packet)
{
    if (client->kind > CLIENT_V2)
        return send_http(client, packet);
    if (client->kind == CLIENT_V2)
        send_frame_info(client, packet);
    return ws_peer_send(client->peer, packet->video.ws_frame, packet->video.ws_frame_bytes);
}

static bool makes_sense_to(const struct client *client, const struct packet *packet)
{
    const struct video_header *header = &packet->video.header;

    enum video_codec codec = http_stream_codec(client->kind);

    if (codec != VIDEO_CODEC_NONE && header->codec != codec)
        return false;
    return packet->keyframe || (client->in_step && header->codec == client->last_codec &&
                                header->frame_seq == client->last_seq + 1);
}

void client_offer(struct client *client, const struct packet *packet, int64_t now_ns,
                  struct counters *counters)
{
    if (!client->ready)
        return;
    client->missed += packet->lost;
    client->missed_total += packet->lost;
    if (client->started && client->kind > CLIENT_V2 &&
        packet->video.header.codec != client->last_codec) {
        end(client); /* what follows would be another format */
        return;
    }
    if (ws_peer_busy(client->peer) || !makes_sense_to(client, packet)) {
        client->in_step = false;
        client->missed++;
        client->missed_total++;
        if (client->started)
            counters->client_lag++;
        if (client->waiting_ns == 0)
            client->waiting_ns = now_ns;
        return;
    }
    if (send_frame(client, packet) < 0)
        return;
    client->started = true;
    client->in_step = true;
    client->waiting_ns = 0;
    client->missed = 0;
    client->last_seq = packet->video.header.frame_seq;
    client->last_codec = packet->video.header.codec;
    client->frames++;
    client->frame_bytes += packet->video.header.size;
    counters->frames_delivered++;
    if (client->kind == CLIENT_JPEG)
        end(client);
}

void client_give_up(struct client *client)
{
    char text[HTTP_STREAM_HEAD_BYTES];
    size_t text_bytes = http_stream_refusal(client->kind, text);

    ws_peer_send(client->peer, (const uint8_t *)text, text_bytes);
    end(client);
}

void client_send(struct client *client, struct message *message, struct counters *counters)
{
    if (client->kind > CLIENT_V2 || client->held)
        return;
    if (!client->ready || client->outbox.count > 0 || ws_peer_busy(client->peer)) {
        counters->telemetry_dropped += outbox_push(&client->outbox, message);
        return;
    }
    if (ws_peer_send(client->peer, message->frame, message->frame_bytes) == 0)
        counters->telemetry_sent++;
}

void client_drained(struct client *client, struct counters *counters)
{
    while (client->ready && client->outbox.count > 0 && !ws_peer_busy(client->peer)) {
        struct message *message = outbox_pop(&client->outbox);
        int error = ws_peer_send(client->peer, message->frame, message->frame_bytes);
        message_unref(message);
        if (error < 0)
            return;
        counters->telemetry_sent++;
    }
}
