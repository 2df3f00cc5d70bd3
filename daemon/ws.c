/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libwebsockets 4.1 lives here. It runs in our libev loop as a guest (foreign loop), speaks HTTP
 * and the WebSocket handshake, and reads and checks what clients send. Outgoing frames are built
 * by us and go straight to the socket, unless libwebsockets has something of its own to finish
 * there, or it is TLS. What the socket does not take of a frame is given to lws_write with
 * LWS_WRITE_RAW, which in 4.1.6 copies it to a list that goes out before anything else
 * (lib/core-net/output.c). Close frames wait behind that list, so they never fall into the middle
 * of a frame of ours. Neither way needs the bytes before the buffer, so a read-only mapping will
 * do.
 *
 * Owns the context and one session per connection. Runs on the loop thread. A peer that fails is
 * closed by libwebsockets; our handler hears of it once.
 */
#include "daemon/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "base/log.h"
#ifdef SIMCAST_ECHO
#include "daemon/echo.h"
#endif
#include "daemon/certificate.h"
#include "daemon/head.h"
#include "daemon/inbound.h"
#include "daemon/ws_request.h"
#include "proto/viewer.h"

#define HANDSHAKE_SECONDS 7 /* inbound.h ends it before, and counts it */
#define CLOSE_SECONDS 2
#define RECEIVE_BYTES 512 /* most messages are shorter; longer ones come in pieces */
/* Requests whose headers are held: while they are being read, and as long as a stream over HTTP. */
#define HEADER_POOL 2048

/* Also known as a struct ws_peer. What each frame needs comes first. */
struct session {
    struct lws *wsi;
    int fd;                /* of wsi */
    unsigned close_status; /* close with this as soon as it is writable; 0: stay */
    bool secure;           /* TLS is between us and fd */
    bool full;             /* fd took nothing; it was asked to say when it will */
    bool http;             /* a stream over plain HTTP */
    bool broken;           /* nothing can be sent any more */
    void *client;          /* NULL: not open, or closed for the handler already */
    const struct ws_handler *handler;
    struct session *next; /* of all open WebSockets */
    struct session *previous;
    uint8_t *message; /* the first `received` bytes of one that comes in pieces; NULL: none does */
    size_t received;
};

struct ws {
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct ws_handler handler;
    struct session *sessions;
    unsigned peers;
    unsigned streams; /* of these, over plain HTTP */
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size);

/* The first one also serves who names no subprotocol. */
static const struct lws_protocols protocols[] = {
    {
        .name = "simcast.v1",
        .callback = on_event,
        .per_session_data_size = sizeof(struct session),
        .rx_buffer_size = RECEIVE_BYTES,
        /* Below this a frame would be sent in pieces, each rest copied (8 times the CPU). */
        .tx_packet_size = WS_FRAME_BYTES_MAX,
    },
    {
        .name = VIEWER_SUBPROTOCOL,
        .callback = on_event,
        .per_session_data_size = sizeof(struct session),
        .rx_buffer_size = RECEIVE_BYTES,
        .tx_packet_size = WS_FRAME_BYTES_MAX,
        .id = 2,
    },
    {0},
};

static struct ws *ws_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

static struct session *session_of(struct ws_peer *peer)
{
    return (struct session *)peer;
}

static struct ws_peer *peer_of(struct session *session)
{
    return (struct ws_peer *)session;
}

static void forward_log(int level, const char *line)
{
    (void)level;
    log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

/* Finds the answer to a request; returns whether it is one for the head alone. */
static bool answer(struct ws *ws, struct lws *wsi, struct http_response *ret_response)
{
    struct ws_request request;
    bool head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    unsigned status = 405;

    if (head || lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0)
        status = ws_request_read(wsi, head, &request);
    if (status != 0)
        http_error(status, ret_response);
    else
        ws->handler.get(ws->handler.data, &request.at, ret_response);
    return head;
}

/* Who is told of the WebSockets at this path; NULL: there are none. */
static const struct ws_handler *handler_at(const struct ws *ws, const char *path)
{
#ifdef SIMCAST_ECHO
    if (strcmp(path, ECHO_PATH) == 0)
        return echo_handler();
#endif
    return strcmp(path, HTTP_WS_PATH) == 0 ? &ws->handler : NULL;
}

/* 0: go on with the WebSocket handshake; 1: answered; -1: hang up. */
static int on_upgrade(struct ws *ws, struct lws *wsi, const char *upgrade)
{
    struct ws_request request;
    struct http_response response;

    /* An offer of h2c is turned down by answering as if it had not been made (RFC 7540, 3.2). */
    if (strcasecmp(upgrade, "websocket") != 0) {
        bool head = answer(ws, wsi, &response);
        return ws_request_answer(wsi, &response, head) < 0 ? -1 : 1;
    }
    unsigned status = ws_request_read(wsi, false, &request);
    const struct ws_handler *handler = status == 0 ? handler_at(ws, request.path) : NULL;
    if (status == 0 && !ws_request_speaks_our_version(wsi))
        status = 426;
    if (status == 0 && !ws_request_offers_one_of(wsi, protocols))
        status = inbound_malformed();
    if (status == 0)
        status = handler ? handler->may_connect(handler->data, &request.at) : 404;
    if (status == 0)
        return 0;
    http_error(status, &response);
    return ws_request_answer(wsi, &response, false) < 0 ? -1 : 1;
}

static void session_forget(struct session *session)
{
    void *client = session->client;

    session->client = NULL;
    if (client)
        session->handler->close(session->handler->data, client);
}

static void on_close(struct ws *ws, struct session *session)
{
    if (!session->wsi)
        return;
    session_forget(session);
    free(session->message);
    session->message = NULL;
    if (session->next)
        session->next->previous = session->previous;
    if (session->previous)
        session->previous->next = session->next;
    else
        ws->sessions = session->next;
    ws->peers--;
    ws->streams -= session->http;
    session->wsi = NULL;
}

/* Whoever does not take our pongs does not get more of them. */
static void on_ping(void *data, const uint8_t *payload, size_t size)
{
    struct session *session = data;
    uint8_t frame[2 + FRAMES_CONTROL_BYTES_MAX] = {0x8a, (uint8_t)size};

    memcpy(frame + 2, payload, size);
    if (session->client && !ws_peer_busy(peer_of(session)))
        ws_peer_send(peer_of(session), frame, 2 + size);
}

static void on_fault(void *data, unsigned status)
{
    struct session *session = data;

    if (session->client)
        ws_peer_close(peer_of(session), (enum ws_close_status)status);
}

static int on_open(struct ws *ws, struct lws *wsi, struct session *session, enum client_kind kind)
{
    static const struct inbound_events events = {.ping = on_ping, .fault = on_fault};
    struct ws_request request;
    unsigned status = ws_request_read(wsi, false, &request);
    const struct ws_handler *handler =
        kind <= CLIENT_V2 && status == 0 ? handler_at(ws, request.path) : &ws->handler;

    if (!handler)
        return -1;
    *session = (struct session){
        .wsi = wsi,
        .fd = lws_get_socket_fd(wsi),
        .secure = lws_is_ssl(wsi) != 0,
        .handler = handler,
        .next = ws->sessions,
        .http = kind > CLIENT_V2,
    };
    if (ws->sessions)
        ws->sessions->previous = session;
    ws->sessions = session;
    ws->peers++;
    ws->streams += session->http;
    if (session->http)
        inbound_is_stream(session->fd);
    else
        inbound_is_websocket(lws_get_socket_fd(wsi), &events, session);
    if (status == 0)
        session->client =
            session->handler->open(session->handler->data, peer_of(session), kind, &request.at);
    explicit_bzero(request.authorization, sizeof(request.authorization));
    if (session->client)
        return 0;
    on_close(ws, session);
    return -1;
}

static int on_websocket(struct ws *ws, struct lws *wsi, struct session *session)
{
    return on_open(ws, wsi, session, lws_get_protocol(wsi)->id == 2 ? CLIENT_V2 : CLIENT_V1);
}

static int on_request(struct ws *ws, struct lws *wsi, struct session *session)
{
    struct http_response response;
    bool head = answer(ws, wsi, &response);

    if (!response.streams || head)
        return ws_request_answer(wsi, &response, head) < 0 ||
                       inbound_refusal(lws_get_socket_fd(wsi)) != 0 ||
                       lws_http_transaction_completed(wsi)
                   ? -1
                   : 0;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    return on_open(ws, wsi, session, response.kind);
}

static int close_with(struct session *session, unsigned status)
{
    if (!session->http)
        lws_close_reason(session->wsi, (enum lws_close_status)status, NULL, 0);
    session_forget(session);
    return -1;
}

/* A whole message; the handler may close the connection. */
static void deliver(struct session *session, const uint8_t *bytes, size_t size)
{
    session->handler->message(session->handler->data, session->client, bytes, size,
                              !lws_frame_is_binary(session->wsi));
}

/* Keeps a piece of a message. Errors: -ENOMEM. */
static int keep(struct session *session, const uint8_t *bytes, size_t size)
{
    if (!session->message)
        session->message = malloc(WS_MESSAGE_BYTES_MAX);
    if (!session->message)
        return -ENOMEM;
    if (size > 0)
        memcpy(session->message + session->received, bytes, size);
    session->received += size;
    return 0;
}

static int on_receive(struct session *session, const uint8_t *bytes, size_t size)
{
    bool first = lws_is_first_fragment(session->wsi);
    bool final = lws_is_final_fragment(session->wsi);

    if (!session->client)
        return 0;
    if (first)
        session->received = 0;
    if (size > WS_MESSAGE_BYTES_MAX - session->received)
        return close_with(session, WS_CLOSE_TOO_BIG);
    if (first && final) {
        deliver(session, bytes, size);
        return 0;
    }
    if (keep(session, bytes, size) < 0)
        return close_with(session, WS_CLOSE_TRY_LATER);
    if (!final)
        return 0;
    uint8_t *message = session->message;
    session->message = NULL;
    deliver(session, message, session->received);
    free(message);
    return 0;
}

static int on_writable(struct session *session)
{
    session->full = false;
    if (!session->client)
        return 0;
    if (session->close_status != 0)
        return close_with(session, session->close_status);
    session->handler->drained(session->handler->data, session->client);
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size)
{
    struct ws *ws = ws_of(wsi);
    struct session *session = user;

    switch (reason) {
    case LWS_CALLBACK_HTTP:
        inbound_asked(lws_get_socket_fd(wsi));
        return on_request(ws, wsi, session);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        inbound_asked(lws_get_socket_fd(wsi));
        return on_upgrade(ws, wsi, in);
    case LWS_CALLBACK_ESTABLISHED:
        return on_websocket(ws, wsi, session);
    case LWS_CALLBACK_RECEIVE:
        return on_receive(session, in, size);
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return session ? on_writable(session) : 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        /* Nothing of ours may follow the peer's close frame. */
        session_forget(session);
        return 0;
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_WSI_DESTROY: /* of a connection that timed out, the only one */
        if (session)
            on_close(ws, session);
        if (reason == LWS_CALLBACK_WSI_DESTROY)
            inbound_forget((int)(intptr_t)lws_get_opaque_user_data(wsi) - 1);
        return 0;
    default:
        return 0;
    }
}

/* Descriptors are the limit of connections; direct look-up needs the table to be as large. */
static unsigned raise_descriptor_limit(void)
{
    struct rlimit limit = {1024, 1024};
    const rlim_t enough = 65536;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    rlim_t wish = limit.rlim_max < enough ? limit.rlim_max : enough;
    if (limit.rlim_cur != wish) {
        limit.rlim_cur = wish;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    return (unsigned)limit.rlim_cur;
}

int ws_create(struct loop *loop, const struct ws_handler *handler, const struct ws_tls *tls,
              struct ws **ret_ws)
{
    void *loops[] = {loop_native(loop)};
    bool secure = tls->certificate_path[0] != '\0';
    struct ws *ws = calloc(1, sizeof(*ws));

    if (!ws)
        return -ENOMEM;
    ws->handler = *handler;
    lws_set_log_level(LLL_ERR | LLL_WARN, forward_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .foreign_loops = loops,
        .fd_limit_per_thread = raise_descriptor_limit(),
        .max_http_header_pool = HEADER_POOL,
        /* Whatever passes inbound.h fits. */
        .max_http_header_data = HEAD_BYTES_MAX + 1024,
        .timeout_secs = HANDSHAKE_SECONDS,
        .timeout_secs_ah_idle = HANDSHAKE_SECONDS,
        .user = ws,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   (secure ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
    };
    ws->context = lws_create_context(&info);
    if (!ws->context) {
        free(ws);
        return -ENOTSUP;
    }
    if (secure) {
        info.ssl_cert_filepath = tls->certificate_path;
        info.ssl_private_key_filepath = tls->key_path;
        info.alpn = "http/1.1";
    }
    ws->vhost = lws_create_vhost(ws->context, &info);
    if (!ws->vhost) {
        ws_destroy(ws);
        return secure ? -EINVAL : -ENOMEM;
    }
    *ret_ws = ws;
    return 0;
}

int ws_reload_tls(struct ws *ws, const struct ws_tls *tls)
{
    if (!certificate_fits(tls->certificate_path, tls->key_path))
        return -EINVAL;
    return lws_tls_cert_updated(ws->context, tls->certificate_path, tls->key_path, NULL, 0, NULL,
                                0) == 0
               ? 0
               : -EINVAL;
}

void ws_destroy(struct ws *ws)
{
    if (!ws)
        return;
    lws_context_destroy(ws->context);
    free(ws);
}

int ws_adopt(struct ws *ws, int fd)
{
    int error = inbound_watch(fd);

    if (error < 0) {
        close(fd);
        return error;
    }
    struct lws *wsi = lws_adopt_socket_vhost(ws->vhost, fd);
    if (!wsi) {
        inbound_forget(fd);
        return -ENOMEM;
    }
    /* When libwebsockets tells that it is over, it does not know the descriptor any more. */
    lws_set_opaque_user_data(wsi, (void *)(intptr_t)(fd + 1));
    return 0;
}

/*
 * The connection is broken: close it soon, but not here. A WebSocket asks for a turn in which to
 * close; a broken stream over HTTP would get turns for ever and never the callback, so the tick
 * ends it.
 */
static void break_off(struct session *session)
{
    session->close_status = WS_CLOSE_GOING_AWAY;
    session->broken = true;
    if (!session->http)
        lws_callback_on_writable(session->wsi);
}

/* libwebsockets sends it as soon as it can, before anything else. */
static int hand_over(struct session *session, const uint8_t *bytes, size_t count)
{
    if (count == 0 || lws_write(session->wsi, (uint8_t *)bytes, count, LWS_WRITE_RAW) >= 0)
        return 0;
    break_off(session);
    return -EPIPE;
}

/*
 * What the socket takes of these now, or a negative errno. MSG_EOR: the next frame begins a buffer
 * of its own in the kernel. Otherwise its first part fills up the buffer of the one before it, past
 * all limits, and only the rest is refused: then every stalled client has a tail to keep.
 */
static ssize_t put(const struct session *session, struct iovec *pieces, unsigned count)
{
    const struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR;
    ssize_t taken = count == 1 ? send(session->fd, pieces->iov_base, pieces->iov_len, flags)
                               : sendmsg(session->fd, &message, flags);

    if (taken >= 0)
        return taken;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno;
}

/* Hands over what is left of the pieces after so many bytes. */
static int hand_over_rest(struct session *session, const struct iovec *pieces, unsigned count,
                          size_t taken)
{
    for (unsigned i = 0; i < count; i++) {
        size_t gone = taken < pieces[i].iov_len ? taken : pieces[i].iov_len;
        taken -= gone;
        if (hand_over(session, (uint8_t *)pieces[i].iov_base + gone, pieces[i].iov_len - gone) < 0)
            return -EPIPE;
    }
    return 0;
}

int ws_peer_offer(struct ws_peer *peer, struct iovec *pieces, unsigned count)
{
    struct session *session = session_of(peer);
    ssize_t taken = 0;

    if (session->close_status != 0)
        return -EPIPE;
    if (ws_peer_busy(peer))
        return -EAGAIN;
    if (!session->secure)
        taken = put(session, pieces, count);
    if (taken == -EAGAIN) {
        session->full = true;
        lws_callback_on_writable(session->wsi);
    } else if (taken < 0) {
        break_off(session);
        return -EPIPE;
    }
    return taken < 0 ? (int)taken : hand_over_rest(session, pieces, count, (size_t)taken);
}

int ws_peer_send(struct ws_peer *peer, const uint8_t *frame, size_t frame_bytes)
{
    struct iovec piece = {(uint8_t *)frame, frame_bytes};
    int error = ws_peer_offer(peer, &piece, 1);

    return error == -EAGAIN ? hand_over(session_of(peer), frame, frame_bytes) : error;
}

bool ws_peer_busy(struct ws_peer *peer)
{
    const struct session *session = session_of(peer);

    return session->full || lws_partial_buffered(session->wsi);
}

void ws_peer_close(struct ws_peer *peer, enum ws_close_status status)
{
    struct session *session = session_of(peer);

    if (session->close_status != 0)
        return;
    session->close_status = status;
    lws_callback_on_writable(session->wsi);
    /* Whoever takes nothing will not be told. */
    lws_set_timeout(session->wsi, PENDING_TIMEOUT_CLOSE_SEND, CLOSE_SECONDS);
}

void ws_peer_finish(struct ws_peer *peer)
{
    struct session *session = session_of(peer);

    session->close_status = WS_CLOSE_GOING_AWAY;
    lws_callback_on_writable(session->wsi);
}

unsigned ws_peers(const struct ws *ws)
{
    return ws->peers;
}

/*
 * libwebsockets does not read while an answer goes on, so what can be read wakes it again and
 * again. Nothing belongs there: the peer hung up, or talks where it should listen.
 */
static bool readable(int fd)
{
    uint8_t byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return got >= 0 || (errno != EAGAIN && errno != EINTR);
}

/* At once: while such a socket can be read, libwebsockets' own timers get no turn. */
static void end_dead_streams(struct ws *ws)
{
    struct session *next;

    for (struct session *session = ws->sessions; session; session = next) {
        next = session->next;
        if (session->http && (session->broken || readable(session->fd)))
            lws_set_timeout(session->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
    }
}

void ws_tick(struct ws *ws)
{
    if (ws->streams > 0)
        end_dead_streams(ws);
    lws_cancel_service(ws->context); /* wakes its idle handler, which looks at the time-outs */
}

void ws_close_all(struct ws *ws, enum ws_close_status status)
{
    for (struct session *session = ws->sessions; session; session = session->next) {
        session->close_status = status;
        lws_callback_on_writable(session->wsi);
    }
}
