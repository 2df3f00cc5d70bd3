/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; each event goes to the parts that it concerns. */
#include "daemon/reception.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/choice.h"
#include "daemon/pages.h"
#include "daemon/parts.h"
#include "daemon/requests.h"
#include "proto/viewer.h"

/* The client may be sent to: all that it watches starts with a keyframe. */
static void begin(struct parts *parts, const struct client *client, int64_t now_ns)
{
    for (unsigned i = 0; i < client->subscription_count; i++) {
        struct stream *stream = streams_by_id(parts->streams, client->subscriptions[i]->stream);
        streams_update(parts->streams, stream, now_ns);
        stream_keyframe(stream, now_ns);
    }
}

/* Serves a client that is let in. */
static void welcome(struct parts *parts, struct client *client, int64_t now_ns)
{
    relay_client_joined(parts->relay, client, now_ns);
    if (client->kind == CLIENT_V2)
        requests_tell_streams(parts, client, now_ns);
    if (client->kind > CLIENT_V2 && fanout_heard(parts->fanout, client, now_ns))
        begin(parts, client, now_ns);
}

/* Whom a new client watches; NULL: nobody yet, or the stream that it came for is gone. */
static struct audience *audience_for(const struct parts *parts, enum client_kind kind,
                                     const struct http_request *request, int64_t now_ns)
{
    struct stream *stream = NULL;

    if (kind <= CLIENT_V2)
        return choose_audience(parts->streams, request->query, kind);
    if (choose_stream(parts->streams, request->query, kind, now_ns, &stream) < 0)
        return NULL;
    return stream->audience;
}

static void *on_open(void *data, struct ws_peer *peer, enum client_kind kind,
                     const struct http_request *request)
{
    struct parts *parts = data;
    int64_t now_ns = clock_now_ns();
    struct audience *audience = audience_for(parts, kind, request, now_ns);

    if (parts->stopping || (!audience && kind > CLIENT_V2))
        return NULL;
    struct client *client = fanout_join_audience(parts->fanout, peer, kind, audience, now_ns);
    if (!client)
        return NULL;
    snprintf(client->address, sizeof(client->address), "%s", request->address);
    if (access_join(&parts->access, client, request->authorization) < 0) {
        fanout_leave(parts->fanout, client);
        return NULL;
    }
    if (!client->held)
        welcome(parts, client, now_ns);
    return client;
}

/*
 * A client tells what it shows: how long that took from the simulator to its screen, and, of the
 * default camera, how old the picture is that its operator drives by.
 */
static void take_displayed(struct parts *parts, struct client *client, const uint8_t *bytes,
                           size_t size, int64_t now_ns)
{
    struct displayed displayed;
    struct stream *stream = NULL;

    if (displayed_decode(bytes, size, &displayed) == 0)
        stream = streams_by_id(parts->streams, displayed.stream);
    if (!stream) {
        parts->counters.messages_ignored++;
        return;
    }
    const struct arrival *arrival = arrivals_find(stream->arrivals, displayed.frame_seq);
    bool drives = strcmp(stream->camera, streams_default(parts->streams)->camera) == 0;
    client_shows(client, arrival && drives ? arrival->ns : 0);
    if (arrival && arrival->published_ns > 0 && displayed.shown_ns >= arrival->ns &&
        displayed.shown_ns <= now_ns)
        metrics_record(&stream->stages, METRICS_GLASS, displayed.shown_ns - arrival->published_ns);
}

/* Hands a message to whom it is for. */
static void take_message(struct parts *parts, struct client *client, const uint8_t *bytes,
                         size_t size, int64_t now_ns)
{
    if (size > 0 && bytes[0] == DISPLAYED_MESSAGE_TYPE)
        take_displayed(parts, client, bytes, size, now_ns);
    else if (!requests_message(parts, client, bytes, size, now_ns))
        relay_client_message(parts->relay, client, bytes, size, now_ns);
}

/* Whether a message goes on; what concerns the right to be here ends here. */
static bool admit_message(struct parts *parts, struct client *client, const uint8_t *bytes,
                          size_t size)
{
    switch (access_message(&parts->access, client, bytes, size)) {
    case ACCESS_OK:
    case ACCESS_IGNORED: /* not one of its own */
        return true;
    case ACCESS_DONE:
        return false;
    case ACCESS_WELCOME:
        welcome(parts, client, clock_now_ns());
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
    struct parts *parts = data;
    int64_t now_ns = clock_now_ns();

    if (!text && !admit_message(parts, client, bytes, size))
        return;
    if (fanout_heard(parts->fanout, client, now_ns))
        begin(parts, client, now_ns);
    if (text)
        parts->counters.messages_ignored++;
    else
        take_message(parts, client, bytes, size, now_ns);
}

static void on_drained(void *data, void *client)
{
    struct parts *parts = data;
    struct client *drained = client;

    drained->busy_ns = 0;
    fanout_drained(parts->fanout, drained);
}

static void on_close(void *data, void *client)
{
    struct parts *parts = data;

    access_leave(&parts->access, client);
    fanout_leave(parts->fanout, client);
    relay_clients_changed(parts->relay, clock_now_ns());
}

static void on_get(void *data, const struct http_request *request,
                   struct http_response *ret_response)
{
    pages_get(data, request, ret_response);
}

static unsigned on_may_connect(void *data, const struct http_request *request)
{
    struct parts *parts = data;

    return access_request(&parts->access, request, true, true);
}

struct ws_handler reception_handler(struct parts *parts)
{
    return (struct ws_handler){
        .data = parts,
        .open = on_open,
        .message = on_message,
        .drained = on_drained,
        .close = on_close,
        .get = on_get,
        .may_connect = on_may_connect,
    };
}
