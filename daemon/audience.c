/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the subscriptions and their list, which only grows at a join. */
#include "daemon/audience.h"

#include <errno.h>
#include <stdlib.h>

#define CACHE_LINE_BYTES 64

void audience_init(struct audience *audience, uint16_t stream, struct counters *counters)
{
    *audience = (struct audience){.stream = stream, .counters = counters};
}

void audience_fini(struct audience *audience)
{
    free(audience->members);
    audience->members = NULL;
}

static int make_room(struct audience *audience)
{
    if (audience->count < audience->capacity)
        return 0;
    size_t capacity = audience->capacity > 0 ? 2 * audience->capacity : 16;
    struct subscription **members =
        realloc(audience->members, capacity * sizeof(struct subscription *));
    if (!members)
        return -ENOMEM;
    audience->members = members;
    audience->capacity = capacity;
    return 0;
}

int audience_join(struct audience *audience, struct client *client, int64_t now_ns,
                  struct subscription **ret_subscription)
{
    if (client_subscription(client, audience->stream))
        return -EEXIST;
    if (client->subscription_count == CLIENT_SUBSCRIPTIONS_MAX)
        return -EMFILE;
    struct subscription *subscription = calloc(1, sizeof(*subscription));
    if (!subscription || make_room(audience) < 0) {
        free(subscription);
        return -ENOMEM;
    }
    subscription->client = client;
    subscription->audience = audience;
    subscription->stream = audience->stream;
    subscription->waiting_ns = client->ready ? now_ns : 0;
    subscription->index = audience->count;
    audience->members[audience->count++] = subscription;
    audience_count(subscription);
    client->subscriptions[client->subscription_count++] = subscription;
    if (ret_subscription)
        *ret_subscription = subscription;
    return 0;
}

void audience_leave(struct subscription *subscription)
{
    struct audience *audience = subscription->audience;
    struct subscription *last = audience->members[--audience->count];

    audience->watchers -= subscription->counted;
    audience->members[subscription->index] = last;
    last->index = subscription->index;
    client_forget(subscription->client, subscription);
    free(subscription);
}

/*
 * What is said about the next clients is on its way into the cache while this one is sent to: each
 * send() of a picture drives it out again. One step further along the pointers for each client that
 * is nearer.
 */
static void fetch_ahead(const struct audience *audience, size_t at)
{
    const struct subscription *fourth = audience->members[(at + 4) % audience->count];
    const struct subscription *third = audience->members[(at + 3) % audience->count];
    const struct subscription *second = audience->members[(at + 2) % audience->count];

    __builtin_prefetch(fourth, 1);
    __builtin_prefetch((const char *)fourth + CACHE_LINE_BYTES, 1);
    __builtin_prefetch((const char *)fourth + 2 * CACHE_LINE_BYTES, 1);
    __builtin_prefetch(third->client);
    __builtin_prefetch(second->client->peer);
}

bool audience_packet(struct audience *audience, const struct packet *packet, int64_t now_ns)
{
    const struct video_header *header = &packet->video.header;
    bool broke =
        !packet->keyframe && (!audience->streaming || header->codec != audience->last_codec ||
                              header->frame_seq != audience->last_seq + 1);

    audience->streaming = true;
    audience->last_seq = header->frame_seq;
    audience->last_codec = header->codec;
    for (size_t i = 0; i < audience->count; i++) {
        size_t at = (audience->first + i) % audience->count;
        fetch_ahead(audience, at);
        subscription_offer(audience->members[at], packet, now_ns, audience->counters);
    }
    audience->first++;
    return broke && audience_watchers(audience) > 0;
}

void audience_count(struct subscription *subscription)
{
    bool watches = subscription_watches(subscription);

    subscription->audience->watchers -= subscription->counted;
    subscription->audience->watchers += watches;
    subscription->counted = watches;
}

unsigned audience_watchers(const struct audience *audience)
{
    return audience->watchers;
}

enum video_codec audience_codec_needed(const struct audience *audience)
{
    enum video_codec needed = VIDEO_CODEC_NONE;

    for (size_t i = 0; i < audience->count; i++) {
        enum video_codec codec = http_stream_codec(audience->members[i]->client->kind);
        if (codec == VIDEO_CODEC_NONE || (i > 0 && codec != needed))
            return VIDEO_CODEC_NONE;
        needed = codec;
    }
    return needed;
}

bool audience_serves_http(const struct audience *audience)
{
    for (size_t i = 0; i < audience->count; i++) {
        if (audience->members[i]->client->kind > CLIENT_V2)
            return true;
    }
    return false;
}

int64_t audience_waiting_ns(const struct audience *audience, int64_t now_ns)
{
    int64_t longest = 0;

    for (size_t i = 0; i < audience->count; i++) {
        const struct subscription *subscription = audience->members[i];
        if (subscription->waiting_ns > 0 && now_ns - subscription->waiting_ns > longest &&
            !ws_peer_busy(subscription->client->peer))
            longest = now_ns - subscription->waiting_ns;
    }
    return longest;
}
