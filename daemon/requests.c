/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns nothing. Names in what it says are those of rings, which hold no character that JSON would
 * have to escape.
 */
#include "daemon/requests.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/api.h"
#include "daemon/parts.h"
#include "proto/viewer.h"
#include "proto/viewer_request.h"

#define REPLY_BYTES 256

/* `text` begins with the type byte. */
static void send_text(struct parts *parts, struct client *client, const char *text, size_t bytes)
{
    struct message *message = message_new(text, bytes);

    if (message)
        client_send(client, message, &parts->counters);
    message_unref(message);
}

static void refuse(struct parts *parts, struct client *client, const struct viewer_request *request,
                   const char *reason)
{
    char text[REPLY_BYTES];
    int bytes = snprintf(text, sizeof(text),
                         "%c{\"type\":\"error\",\"request\":\"%s\","
                         "\"reason\":\"%s\"}",
                         SIGNALING_MESSAGE_TYPE, viewer_request_name(request->kind), reason);

    send_text(parts, client, text, (size_t)bytes);
}

static void tell(struct parts *parts, struct client *client, const char *type,
                 const struct stream *stream, const struct subscription *subscription)
{
    char text[REPLY_BYTES];
    int bytes = snprintf(text, sizeof(text),
                         "%c{\"type\":\"%s\",\"id\":%u,\"stream\":\"%s\",\"rendition\":\"%s\","
                         "\"paused\":%s}",
                         SIGNALING_MESSAGE_TYPE, type, stream->id, stream->camera,
                         stream->rendition, subscription->paused ? "true" : "false");

    send_text(parts, client, text, (size_t)bytes);
}

/* Somebody begins to watch a stream, or goes on. */
static void begin(struct parts *parts, struct stream *stream, int64_t now_ns)
{
    streams_update(parts->streams, stream, now_ns);
    stream_keyframe(stream, now_ns);
}

static const char *why_not(int error)
{
    if (error == -EEXIST)
        return "it is subscribed already";
    if (error == -EMFILE)
        return "too many subscriptions on one connection; unsubscribe from another first";
    return "no memory";
}

static void subscribe(struct parts *parts, struct client *client,
                      const struct viewer_request *request, int64_t now_ns)
{
    const char *camera =
        request->stream[0] != '\0' ? request->stream : streams_default(parts->streams)->camera;
    struct stream *stream = streams_find(parts->streams, camera, request->rendition);
    struct subscription *subscription;

    if (request->stream[0] == '\0' && request->rendition[0] == '\0')
        stream = streams_default(parts->streams);
    if (!stream) {
        refuse(parts, client, request, "there is no such stream; ask for \\\"streams\\\"");
        return;
    }
    int error = audience_join(stream->audience, client, now_ns, &subscription);
    if (error < 0) {
        refuse(parts, client, request, why_not(error));
        return;
    }
    subscription->metadata = request->metadata;
    if (request->paused)
        subscription_pause(subscription, true, now_ns);
    tell(parts, client, "subscribed", stream, subscription);
    if (!request->paused)
        begin(parts, stream, now_ns);
}

static void unsubscribe(struct parts *parts, struct client *client, struct stream *stream,
                        struct subscription *subscription, int64_t now_ns)
{
    tell(parts, client, "unsubscribed", stream, subscription);
    audience_leave(subscription);
    streams_update(parts->streams, stream, now_ns);
}

static void set_paused(struct parts *parts, struct stream *stream,
                       struct subscription *subscription, bool paused, int64_t now_ns)
{
    bool was = subscription->paused;

    if (paused != was)
        subscription_pause(subscription, paused, now_ns);
    tell(parts, subscription->client, "paused", stream, subscription);
    if (was && !paused)
        begin(parts, stream, now_ns);
    else
        streams_update(parts->streams, stream, now_ns);
}

/* Requests about what the client watches already. */
static void change(struct parts *parts, struct client *client, const struct viewer_request *request,
                   int64_t now_ns)
{
    struct subscription *subscription = client_subscription(client, request->id);

    if (!subscription) {
        refuse(parts, client, request, "no stream of this id is subscribed");
        return;
    }
    struct stream *stream = streams_by_id(parts->streams, request->id);
    if (request->kind == VIEWER_UNSUBSCRIBE)
        unsubscribe(parts, client, stream, subscription, now_ns);
    else if (request->kind == VIEWER_PAUSE)
        set_paused(parts, stream, subscription, request->paused, now_ns);
    else
        stream_keyframe(stream, now_ns);
}

bool requests_message(struct parts *parts, struct client *client, const uint8_t *bytes, size_t size,
                      int64_t now_ns)
{
    struct viewer_request request;
    const char *reason;

    if (client->kind != CLIENT_V2 || size == 0 || bytes[0] != SIGNALING_MESSAGE_TYPE)
        return false;
    int error = viewer_request_parse((const char *)bytes + 1, size - 1, &request, &reason);
    if (error == -ENOMSG)
        return false;
    if (error < 0)
        refuse(parts, client, &request, reason);
    else if (!access_rate(&parts->access, client, now_ns))
        refuse(parts, client, &request, "too many requests; slow down");
    else if (request.kind == VIEWER_SUBSCRIBE)
        subscribe(parts, client, &request, now_ns);
    else if (request.kind == VIEWER_STREAMS)
        requests_tell_streams(parts, client, now_ns);
    else
        change(parts, client, &request, now_ns);
    return true;
}

static struct message *streams_message(const struct streams *streams, int64_t now_ns)
{
    char *text = NULL;
    size_t bytes = 0;
    struct message *message = NULL;
    FILE *file = open_memstream(&text, &bytes);

    if (!file)
        return NULL;
    fprintf(file, "%c{\"type\":\"streams\",\"streams\":", SIGNALING_MESSAGE_TYPE);
    api_write_choices(file, streams, now_ns);
    fputs("}", file);
    if (fclose(file) == 0)
        message = message_new(text, bytes);
    free(text);
    return message;
}

void requests_tell_streams(struct parts *parts, struct client *client, int64_t now_ns)
{
    struct message *message = streams_message(parts->streams, now_ns);

    if (!message)
        return;
    for (unsigned i = 0; i < fanout_connections(parts->fanout); i++) {
        struct client *one = fanout_client(parts->fanout, i);
        if (one->kind == CLIENT_V2 && (!client || one == client))
            client_send(one, message, &parts->counters);
    }
    message_unref(message);
}
