/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns one libwebsockets context and the thread that serves it. Everything but `stopping` and
 * `measure` belongs to that thread; `measure` is shared under the mutex. A connection that fails
 * or closes is opened again by a timer on the same loop, for ever.
 */
#include "cli/ws_client.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#include "base/clock.h"
#include "proto/command.h"

#define RECONNECT_US (100 * LWS_US_PER_MS)
#define COMMAND_EVERY_US (50 * LWS_US_PER_MS)
#define COMMAND_BYTES 192
#define RECEIVE_BYTES 65536
#define HOST_BYTES 32

struct ws_client {
    struct lws_context *context;
    lws_sorted_usec_list_t reconnect;
    char host[HOST_BYTES];
    uint16_t port;
    uint8_t *message; /* WS_CLIENT_MESSAGE_BYTES_MAX bytes, touched only as far as needed */
    size_t message_bytes;
    bool oversized;
    struct lws *wsi; /* the open connection; NULL: none */
    lws_sorted_usec_list_t drive;
    uint64_t cmd_seq;

    pthread_t thread;
    atomic_bool stopping;
    atomic_bool driving; /* released by ws_client_drive with forward_mps */
    double forward_mps;
    pthread_mutex_t lock;
    struct measure measure;
};

static void connect_now(lws_sorted_usec_list_t *reconnect)
{
    struct ws_client *client = lws_container_of(reconnect, struct ws_client, reconnect);
    struct lws_client_connect_info info = {
        .context = client->context,
        .address = "127.0.0.1",
        .port = client->port,
        .path = "/stream/ws",
        .host = client->host,
        .protocol = VIEWER_SUBPROTOCOL,
        .local_protocol_name = VIEWER_SUBPROTOCOL,
    };

    client->message_bytes = 0;
    client->oversized = false;
    /* A failure also arrives as LWS_CALLBACK_CLIENT_CONNECTION_ERROR, which sets the timer; when
     * libwebsockets cannot even begin, it may not, so the timer is set here as well. */
    if (!lws_client_connect_via_info(&info))
        lws_sul_schedule(client->context, 0, &client->reconnect, connect_now, RECONNECT_US);
}

/* The timer of commands; they go out when the connection can take one. */
static void command_now(lws_sorted_usec_list_t *drive)
{
    struct ws_client *client = lws_container_of(drive, struct ws_client, drive);

    /* Pairs with the release in ws_client_drive. */
    if (client->wsi && atomic_load_explicit(&client->driving, memory_order_acquire))
        lws_callback_on_writable(client->wsi);
    lws_sul_schedule(client->context, 0, &client->drive, command_now, COMMAND_EVERY_US);
}

static void send_command(struct ws_client *client, struct lws *wsi)
{
    uint8_t message[LWS_PRE + COMMAND_BYTES];
    char *json = (char *)message + LWS_PRE;
    int count = snprintf(json, COMMAND_BYTES,
                         "%c{\"action\":\"set_cmd_vel\",\"cmd_seq\":%" PRIu64
                         ",\"ttl_ms\":500,\"data\":{\"linear_x\":%.3f,\"linear_y\":0.0,"
                         "\"angular_z\":0.0}}",
                         COMMAND_MESSAGE_TYPE, ++client->cmd_seq, client->forward_mps);

    (void)lws_write(wsi, message + LWS_PRE, (size_t)count, LWS_WRITE_BINARY);
}

static void receive(struct ws_client *client, struct lws *wsi, const void *bytes, size_t count)
{
    if (count > WS_CLIENT_MESSAGE_BYTES_MAX - client->message_bytes)
        client->oversized = true;
    if (!client->oversized) {
        memcpy(client->message + client->message_bytes, bytes, count);
        client->message_bytes += count;
    }
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
        return;
    int64_t now_ns = clock_now_ns();
    pthread_mutex_lock(&client->lock);
    if (client->oversized)
        client->measure.torn++;
    else
        measure_message(&client->measure, client->message, client->message_bytes, now_ns);
    pthread_mutex_unlock(&client->lock);
    client->message_bytes = 0;
    client->oversized = false;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t in_bytes)
{
    struct lws_context *context = lws_get_context(wsi);
    struct ws_client *client = lws_context_user(context);

    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        pthread_mutex_lock(&client->lock);
        measure_connected(&client->measure);
        pthread_mutex_unlock(&client->lock);
        client->wsi = wsi;
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (atomic_load_explicit(&client->driving, memory_order_acquire))
            send_command(client, wsi);
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        receive(client, wsi, in, in_bytes);
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
        client->wsi = NULL;
        if (!atomic_load_explicit(&client->stopping, memory_order_relaxed))
            lws_sul_schedule(context, 0, &client->reconnect, connect_now, RECONNECT_US);
        break;
    default:
        break;
    }
    return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = VIEWER_SUBPROTOCOL, .callback = on_event, .rx_buffer_size = RECEIVE_BYTES},
    {.name = NULL},
};

static void *serve(void *data)
{
    struct ws_client *client = data;

    connect_now(&client->reconnect);
    command_now(&client->drive);
    while (!atomic_load_explicit(&client->stopping, memory_order_relaxed)) {
        if (lws_service(client->context, 0) < 0)
            break;
    }
    return NULL;
}

static void ws_client_destroy(struct ws_client *client)
{
    if (client->context)
        lws_context_destroy(client->context);
    pthread_mutex_destroy(&client->lock);
    free(client->message);
    free(client);
}

int ws_client_start(uint16_t port, struct ws_client **ret_client)
{
    struct ws_client *client = calloc(1, sizeof(*client));

    if (!client)
        return -ENOMEM;
    pthread_mutex_init(&client->lock, NULL);
    client->port = port;
    snprintf(client->host, sizeof(client->host), "localhost:%u", (unsigned)port);
    client->message = malloc(WS_CLIENT_MESSAGE_BYTES_MAX);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .user = client,
        .gid = -1,
        .uid = -1,
    };
    lws_set_log_level(0, NULL);
    if (client->message)
        client->context = lws_create_context(&info);
    if (!client->context) {
        ws_client_destroy(client);
        return -ENOMEM;
    }
    int error = pthread_create(&client->thread, NULL, serve, client);
    if (error) {
        ws_client_destroy(client);
        return -error;
    }
    *ret_client = client;
    return 0;
}

void ws_client_drive(struct ws_client *client, double forward_mps)
{
    client->forward_mps = forward_mps;
    atomic_store_explicit(&client->driving, true, memory_order_release);
}

void ws_client_read(struct ws_client *client, struct measure *ret_measure)
{
    pthread_mutex_lock(&client->lock);
    *ret_measure = client->measure;
    pthread_mutex_unlock(&client->lock);
}

void ws_client_stop(struct ws_client *client)
{
    if (!client)
        return;
    atomic_store_explicit(&client->stopping, true, memory_order_relaxed);
    lws_cancel_service(client->context);
    pthread_join(client->thread, NULL);
    ws_client_destroy(client);
}
