/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the client's queue. Its subscriptions belong to the audiences of their streams. */
#include "daemon/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

int client_init(struct client *client, struct ws_peer *peer, enum client_kind kind,
                size_t queue_messages)
{
    *client = (struct client){.peer = peer, .kind = kind};
    return outbox_init(&client->outbox, queue_messages);
}

int client_pace(struct client *client, unsigned telemetry_per_s)
{
    client->pacing = calloc(1, sizeof(*client->pacing));
    if (!client->pacing)
        return -ENOMEM;
    client->pacing->period_ns = NS_PER_S / telemetry_per_s;
    return 0;
}

void client_fini(struct client *client)
{
    outbox_fini(&client->outbox);
    if (client->pacing)
        pacing_fini(client->pacing);
    free(client->pacing);
    explicit_bzero(client->token, sizeof(client->token));
}

struct subscription *client_subscription(const struct client *client, uint16_t stream)
{
    for (unsigned i = 0; i < client->subscription_count; i++) {
        if (client->subscriptions[i]->stream == stream)
            return client->subscriptions[i];
    }
    return NULL;
}

void client_forget(struct client *client, const struct subscription *subscription)
{
    unsigned at = 0;

    while (client->subscriptions[at] != subscription)
        at++;
    client->subscription_count--;
    for (; at < client->subscription_count; at++)
        client->subscriptions[at] = client->subscriptions[at + 1];
}

void client_totals(const struct client *client, struct client_totals *ret_totals)
{
    struct client_totals totals = {.in_step = client->subscription_count > 0};

    for (unsigned i = 0; i < client->subscription_count; i++) {
        const struct subscription *subscription = client->subscriptions[i];
        totals.frames += subscription->frames;
        totals.frame_bytes += subscription->frame_bytes;
        totals.missed += subscription->missed_total;
        totals.in_step = totals.in_step && subscription->in_step;
    }
    *ret_totals = totals;
}

void client_set_ready(struct client *client, int64_t now_ns, struct counters *counters)
{
    client->ready = true;
    for (unsigned i = 0; i < client->subscription_count; i++)
        client->subscriptions[i]->waiting_ns = now_ns;
    client_drained(client, counters);
}

bool client_started(const struct client *client)
{
    for (unsigned i = 0; i < client->subscription_count; i++) {
        if (client->subscriptions[i]->started)
            return true;
    }
    return false;
}

void client_shows(struct client *client, int64_t arrived_ns)
{
    client->tells_display = true;
    if (arrived_ns > client->displayed_ns)
        client->displayed_ns = arrived_ns;
}

void client_end(struct client *client)
{
    client->ended = true;
    client->ready = false;
    ws_peer_finish(client->peer);
}

void client_give_up(struct client *client)
{
    char text[HTTP_STREAM_HEAD_BYTES];
    size_t text_bytes = http_stream_refusal(client->kind, text);

    ws_peer_send(client->peer, (const uint8_t *)text, text_bytes);
    client_end(client);
}

void client_send(struct client *client, struct message *message, struct counters *counters)
{
    if (client->kind > CLIENT_V2 || client->held)
        return;
    if (!client->ready || client->outbox.count > 0 || ws_peer_busy(client->peer)) {
        enum outbox_push push = outbox_push(&client->outbox, message);
        counters->telemetry_dropped += push == OUTBOX_DROPPED;
        counters->telemetry_superseded += push == OUTBOX_REPLACED;
        return;
    }
    if (ws_peer_send(client->peer, message->frame, message->frame_bytes) == 0)
        counters->telemetry_sent++;
}

void client_tell(struct client *client, struct message *message, int64_t now_ns,
                 struct counters *counters)
{
    enum pacing_take take =
        client->pacing ? pacing_take(client->pacing, message, now_ns) : PACING_SEND;

    counters->telemetry_superseded += take == PACING_SUPERSEDED;
    if (take == PACING_SEND)
        client_send(client, message, counters);
}

void client_tick(struct client *client, int64_t now_ns, struct counters *counters)
{
    struct message *message;

    while (client->pacing && (message = pacing_due(client->pacing, now_ns))) {
        client_send(client, message, counters);
        message_unref(message);
    }
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
