/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns nothing. A failed write needs no handling here: the connection reports its end by itself,
 * and until then writes to it are refused.
 */
#include "daemon/subscription.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/probe.h"
#include "daemon/audience.h"
#include "daemon/client.h"
#include "proto/viewer.h"

#define WS_HEADER_BYTES 2    /* of a message of up to 125 bytes */
#define WS_HEADER_16_BYTES 4 /* of one that is longer */
#define TURN_NS (100 * NS_PER_MS)
#define STARVED_NS (1 * NS_PER_S)
#define KEYFRAME_STARVED_NS                                                                        \
    (5 * NS_PER_S)                       /* by then the demand asks for one (keyframe_timeout)     \
                                          */
#define KEYFRAME_TURN_NS (10 * NS_PER_S) /* longer, and it has fallen silent */

static_assert(FRAME_INFO_BYTES < 126 && METADATA_HEADER_BYTES + RING_USER_BYTES <= UINT16_MAX,
              "their WebSocket headers are as long as said above");

bool subscription_watches(const struct subscription *subscription)
{
    return !subscription->paused && !subscription->client->held;
}

void subscription_pause(struct subscription *subscription, bool paused, int64_t now_ns)
{
    subscription->paused = paused;
    subscription->in_step = false;
    subscription->waiting_ns = paused ? 0 : now_ns;
    subscription->refused_ns = 0;
    audience_count(subscription);
}

/* Writes a message that says what the simulator said of this frame; returns its length. */
static size_t write_metadata(const struct subscription *subscription, const struct packet *packet,
                             uint8_t *frame)
{
    size_t user_bytes = packet->legacy ? 0 : packet->ring_view.frame.user_bytes;

    if (!subscription->metadata || user_bytes == 0)
        return 0;
    size_t message_bytes = metadata_encode(
        &(struct metadata){
            .stream = subscription->stream,
            .frame_seq = packet->video.header.frame_seq,
            .bytes = packet->ring_view.user,
            .size = user_bytes,
        },
        frame + WS_HEADER_16_BYTES);
    size_t header_bytes = message_bytes < 126 ? WS_HEADER_BYTES : WS_HEADER_16_BYTES;
    if (header_bytes == WS_HEADER_BYTES)
        memmove(frame + WS_HEADER_BYTES, frame + WS_HEADER_16_BYTES, message_bytes);
    frame[0] = 0x82;
    frame[1] = message_bytes < 126 ? (uint8_t)message_bytes : 126;
    if (header_bytes == WS_HEADER_16_BYTES) {
        frame[2] = (uint8_t)(message_bytes >> 8);
        frame[3] = (uint8_t)message_bytes;
    }
    return header_bytes + message_bytes;
}

static size_t write_frame_info(const struct subscription *subscription, const struct packet *packet,
                               uint8_t *frame)
{
    struct frame_info info = {
        .missed = subscription->missed < UINT16_MAX ? (uint16_t)subscription->missed : UINT16_MAX,
        .stream = subscription->stream,
        .frame_seq = packet->video.header.frame_seq,
        .sim_time_ns = packet->sim_time_ns,
    };

    memcpy(info.stamp_ns, packet->stamp_ns, sizeof(packet->stamp_ns));
    info.stamp_ns[FRAME_STAGE_SENT] = clock_now_ns();
    frame[0] = 0x82;
    frame[1] = FRAME_INFO_BYTES;
    frame_info_encode(&info, frame + WS_HEADER_BYTES);
    return WS_HEADER_BYTES + FRAME_INFO_BYTES;
}

/* The picture's age, from when the simulator published it; -1: unknown. */
static int64_t age_ms(const struct packet *packet)
{
    int64_t published_ns = packet->stamp_ns[RING_STAGE_PUBLISHED];

    return published_ns > 0 ? (clock_now_ns() - published_ns) / NS_PER_MS : -1;
}

/* Over HTTP: a head, if the kind has one, and the picture. */
static int send_http(const struct subscription *subscription, const struct packet *packet)
{
    struct client *client = subscription->client;
    const struct video_packet_view *video = &packet->video;
    char head[HTTP_STREAM_HEAD_BYTES];
    size_t head_bytes = http_stream_head(client->kind, !subscription->started, video->header.size,
                                         age_ms(packet), head);
    struct iovec pieces[] = {{head, head_bytes}, {(uint8_t *)video->payload, video->header.size}};

    return ws_peer_offer(client->peer, pieces, 2);
}

/* To a WebSocket of simcast.v2: what there is to say about the frame, and the frame. */
static int send_v2(const struct subscription *subscription, const struct packet *packet)
{
    const struct video_packet_view *video = &packet->video;
    uint8_t about[WS_HEADER_16_BYTES + METADATA_HEADER_BYTES + RING_USER_BYTES + WS_HEADER_BYTES +
                  FRAME_INFO_BYTES];
    size_t used = write_metadata(subscription, packet, about);

    used += write_frame_info(subscription, packet, about + used);
    struct iovec pieces[] = {{about, used}, {(uint8_t *)video->ws_frame, video->ws_frame_bytes}};
    return ws_peer_offer(subscription->client->peer, pieces, 2);
}

static int send_frame(const struct subscription *subscription, const struct packet *packet)
{
    struct client *client = subscription->client;
    struct iovec frame = {(uint8_t *)packet->video.ws_frame, packet->video.ws_frame_bytes};

    if (client->kind > CLIENT_V2)
        return send_http(subscription, packet);
    if (client->kind == CLIENT_V2)
        return send_v2(subscription, packet);
    return ws_peer_offer(client->peer, &frame, 1);
}

static bool makes_sense_to(const struct subscription *subscription, const struct packet *packet)
{
    const struct video_header *header = &packet->video.header;
    enum video_codec codec = http_stream_codec(subscription->client->kind);

    if (codec != VIDEO_CODEC_NONE && header->codec != codec)
        return false;
    return packet->keyframe ||
           (subscription->in_step && header->codec == subscription->last_codec &&
            header->frame_seq == subscription->last_seq + 1);
}

/*
 * Whether another stream waits for its turn: its last useful frame found the socket busy, and not
 * long ago; or all the keyframes did, one after the other, so that only a quiet socket helps.
 */
static bool waits(const struct subscription *other, int64_t now_ns)
{
    int64_t patience_ns = TURN_NS;

    if (other->refused_ns <= other->served_ns)
        return false;
    if (other->waiting_ns > 0 && now_ns - other->waiting_ns >= KEYFRAME_STARVED_NS)
        patience_ns = KEYFRAME_TURN_NS;
    return now_ns - other->refused_ns < patience_ns;
}

/*
 * Whether another stream of this client goes first: it waits, and was served longer ago. A stream
 * that would lose its step by giving way does so only for one that starves.
 */
static bool gives_way(const struct subscription *subscription, const struct packet *packet,
                      int64_t now_ns)
{
    const struct client *client = subscription->client;

    for (unsigned i = 0; i < client->subscription_count; i++) {
        const struct subscription *other = client->subscriptions[i];
        bool starves = now_ns - other->served_ns >= STARVED_NS;
        if (other->served_ns < subscription->served_ns && waits(other, now_ns) &&
            (packet->keyframe || starves))
            return true;
    }
    return false;
}

static void pass_by(struct subscription *subscription, int64_t now_ns, struct counters *counters)
{
    subscription->in_step = false;
    subscription->missed++;
    subscription->missed_total++;
    if (subscription->started)
        counters->client_lag++;
    if (subscription->waiting_ns == 0)
        subscription->waiting_ns = now_ns;
}

static void took(struct subscription *subscription, const struct packet *packet, int64_t now_ns)
{
    subscription->started = true;
    subscription->in_step = true;
    subscription->waiting_ns = 0;
    subscription->served_ns = now_ns;
    subscription->missed = 0;
    subscription->last_seq = packet->video.header.frame_seq;
    subscription->last_codec = packet->video.header.codec;
    subscription->frames++;
    subscription->frame_bytes += packet->video.header.size;
}

void subscription_offer(struct subscription *subscription, const struct packet *packet,
                        int64_t now_ns, struct counters *counters)
{
    struct client *client = subscription->client;

    if (!client->ready || subscription->paused)
        return;
    subscription->missed += packet->lost;
    subscription->missed_total += packet->lost;
    if (subscription->started && client->kind > CLIENT_V2 &&
        packet->video.header.codec != subscription->last_codec) {
        client_end(client); /* what follows would be another format */
        return;
    }
    bool useful = makes_sense_to(subscription, packet);
    bool passes =
        !useful || (client->subscription_count > 1 && gives_way(subscription, packet, now_ns));
    int error = passes ? 0 : send_frame(subscription, packet);
    PROBE4(frame_offered, client->id, packet->video.header.frame_seq, packet->video.header.size,
           passes ? -EAGAIN : error);
    if (error == -EAGAIN || (useful && passes && ws_peer_busy(client->peer)))
        subscription->refused_ns = now_ns;
    if (error == -EAGAIN || passes) {
        pass_by(subscription, now_ns, counters);
        return;
    }
    if (error < 0)
        return;
    took(subscription, packet, now_ns);
    counters->frames_delivered++;
    if (client->kind == CLIENT_JPEG)
        client_end(client);
}
