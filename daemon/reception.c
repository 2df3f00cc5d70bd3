/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; each event goes to the parts that it concerns. */
#include "daemon/reception.h"

#include "base/clock.h"
#include "daemon/pages.h"
#include "daemon/parts.h"

/* Serves a client that is let in. */
static void welcome(struct parts *parts, struct client *client, int64_t now_ns)
{
    relay_client_joined(parts->relay, client, now_ns);
    if (client->kind > CLIENT_V2 && fanout_heard(parts->fanout, client, now_ns))
        relay_client_ready(parts->relay, now_ns);
}

static void *on_open(void *data, struct ws_peer *peer, enum client_kind kind,
                     const char *authorization)
{
    struct parts *parts = data;
    int64_t now_ns = clock_now_ns();

    if (parts->stopping)
        return NULL;
    struct client *client = fanout_join(parts->fanout, peer, kind, now_ns);
    if (!client)
        return NULL;
    ws_peer_address(peer, client->address, sizeof(client->address));
    if (access_join(&parts->access, client, authorization) < 0) {
        fanout_leave(parts->fanout, client);
        return NULL;
    }
    if (!client->held)
        welcome(parts, client, now_ns);
    return client;
}

/* Whether a message is for the relay; what concerns the right to be here ends here. */
static bool admit_message(struct parts *parts, struct client *client, const uint8_t *bytes,
                          size_t size)
{
    switch (access_message(&parts->access, client, bytes, size)) {
    case ACCESS_OK:
        return true;
    case ACCESS_WELCOME:
        welcome(parts, client, clock_now_ns());
        return false;
    case ACCESS_IGNORED:
        parts->counters.messages_ignored++;
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
        relay_client_ready(parts->relay, now_ns);
    if (text)
        parts->counters.messages_ignored++;
    else
        relay_client_message(parts->relay, client, bytes, size, now_ns);
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
