/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request over HTTP as text, and the answer to it. For ws.c, which has the connections.
 *
 * Thread: the loop. Cost: copies a few hundred bytes; no allocation.
 */
#ifndef SIMCAST_DAEMON_WS_REQUEST_H
#define SIMCAST_DAEMON_WS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/http.h"

#define WS_REQUEST_PATH_BYTES_MAX 256
#define WS_REQUEST_QUERY_BYTES_MAX 256
#define WS_REQUEST_ORIGIN_BYTES_MAX 512
#define WS_REQUEST_AUTHORIZATION_BYTES_MAX 256
#define WS_REQUEST_ADDRESS_BYTES 64

struct lws; /* the connection, as libwebsockets calls it */
struct lws_protocols;

#define WS_REQUEST_SUBPROTOCOLS_BYTES_MAX 100 /* libwebsockets reads less than 127 */

/* The texts of a request; `at` borrows them. */
struct ws_request {
    struct http_request at;
    char path[WS_REQUEST_PATH_BYTES_MAX];
    char query[WS_REQUEST_QUERY_BYTES_MAX];
    char origin[WS_REQUEST_ORIGIN_BYTES_MAX];
    char host[WS_REQUEST_ORIGIN_BYTES_MAX];
    char authorization[WS_REQUEST_AUTHORIZATION_BYTES_MAX];
    char address[WS_REQUEST_ADDRESS_BYTES]; /* "192.0.2.1", or "unix" */
};

/* Returns 0, or the status to answer. The texts are ended in any case. */
unsigned ws_request_read(struct lws *wsi, bool head, struct ws_request *ret);

/* libwebsockets takes any; RFC 6455, 4.4: the answer to another one names ours. */
bool ws_request_speaks_our_version(struct lws *wsi);

/*
 * Whether it names no subprotocol, or, in a list of less than WS_REQUEST_SUBPROTOCOLS_BYTES_MAX
 * characters, one of these. libwebsockets hangs up on others without an answer.
 */
bool ws_request_offers_one_of(struct lws *wsi, const struct lws_protocols *protocols);

/*
 * Whether libwebsockets takes a header of this name, in small letters, for something else: as
 * "conte" is how a name begins that it knows, it looks for more of it behind the colon; and where
 * it knows a method, "put-by" is a second one.
 */
bool ws_request_misreads(const char *name, size_t name_bytes);

/*
 * Writes the whole answer; what the socket does not take follows by itself. Returns 0, or -1: hang
 * up.
 */
int ws_request_answer(struct lws *wsi, const struct http_response *response, bool head_only);

#endif
