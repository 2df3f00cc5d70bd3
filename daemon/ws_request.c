/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With ws.c the home of libwebsockets, whose headers of a request end with its answer. Owns
 * nothing; runs on the loop thread. What libwebsockets cannot write makes it hang up.
 */
#include "daemon/ws_request.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <libwebsockets.h>
#include <netdb.h>

#include "daemon/inbound.h"

#define HEADER_BYTES_MAX 2048u
#define WS_VERSION "13"
#define NAME_BYTES_MAX 64u /* of a subprotocol; libwebsockets gives up at longer ones */

static bool header_text(struct lws *wsi, enum lws_token_indexes token, char *text, int text_bytes)
{
    text[0] = '\0';
    return lws_hdr_total_length(wsi, token) == 0 || lws_hdr_copy(wsi, text, text_bytes, token) > 0;
}

static int add_header(struct lws *wsi, const char *name, const char *value, uint8_t **at,
                      uint8_t *end)
{
    return lws_add_http_header_by_name(wsi, (const uint8_t *)name, (const uint8_t *)value,
                                       (int)strlen(value), at, end);
}

static int add_headers(struct lws *wsi, const struct http_response *response, uint8_t **at,
                       uint8_t *end)
{
    if (lws_add_http_common_headers(wsi, response->status, response->content_type,
                                    response->body_bytes, at, end) ||
        add_header(wsi, "cache-control:", "no-store", at, end) ||
        add_header(wsi, "x-content-type-options:", "nosniff", at, end) ||
        add_header(wsi, "referrer-policy:", "no-referrer", at, end) ||
        add_header(wsi, "cross-origin-opener-policy:", "same-origin", at, end) ||
        add_header(wsi, "cross-origin-embedder-policy:", "require-corp", at, end) ||
        add_header(wsi, "content-security-policy:",
                   "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
                   "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                   at, end))
        return -1;
    if (response->status == HTTP_STATUS_METHOD_NOT_ALLOWED &&
        add_header(wsi, "allow:", "GET, HEAD", at, end))
        return -1;
    if (response->status == 401 && add_header(wsi, "www-authenticate:", "Bearer", at, end))
        return -1;
    if ((response->status == 429 || response->status == 503) &&
        add_header(wsi, "retry-after:", "1", at, end))
        return -1;
    if (response->status == 426 && (add_header(wsi, "upgrade:", "websocket", at, end) ||
                                    add_header(wsi, "sec-websocket-version:", WS_VERSION, at, end)))
        return -1;
    return lws_finalize_http_header(wsi, at, end);
}

int ws_request_answer(struct lws *wsi, const struct http_response *response, bool head_only)
{
    uint8_t buffer[LWS_PRE + HEADER_BYTES_MAX];
    uint8_t *start = buffer + LWS_PRE;
    uint8_t *at = start;

    if (add_headers(wsi, response, &at, buffer + sizeof(buffer)) ||
        lws_write(wsi, start, (size_t)(at - start), LWS_WRITE_HTTP_HEADERS) < 0)
        return -1;
    if (!head_only && response->body_bytes > 0 &&
        lws_write(wsi, (uint8_t *)response->body, response->body_bytes, LWS_WRITE_HTTP_FINAL) < 0)
        return -1;
    return 0;
}

/* Where it connects from, as a number ("192.0.2.1"), or "unix". */
static void address_of(int fd, char *ret_text, size_t text_bytes)
{
    struct sockaddr_storage address = {0};
    socklen_t address_bytes = sizeof(address);

    if (getpeername(fd, (struct sockaddr *)&address, &address_bytes) < 0 ||
        getnameinfo((struct sockaddr *)&address, address_bytes, ret_text, (socklen_t)text_bytes,
                    NULL, 0, NI_NUMERICHOST) != 0 ||
        address.ss_family == AF_UNIX)
        snprintf(ret_text, text_bytes, "unix");
}

/* The parts of a query, joined by '&' as they came. */
static bool query_text(struct lws *wsi, char *text, int text_bytes)
{
    int used = 0;

    text[0] = '\0';
    for (int i = 0; lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i) > 0; i++) {
        if (i > 0 && used + 1 < text_bytes)
            text[used++] = '&';
        int length =
            lws_hdr_copy_fragment(wsi, text + used, text_bytes - used, WSI_TOKEN_HTTP_URI_ARGS, i);
        if (length < 0)
            return false;
        used += length;
    }
    return true;
}

unsigned ws_request_read(struct lws *wsi, bool head, struct ws_request *ret)
{
    ret->at = (struct http_request){
        .path = ret->path,
        .query = ret->query,
        .origin = ret->origin,
        .host = ret->host,
        .authorization = ret->authorization,
        .address = ret->address,
    };
    address_of(lws_get_socket_fd(wsi), ret->address, sizeof(ret->address));
    if (inbound_refusal(lws_get_socket_fd(wsi)) != 0)
        return inbound_refusal(lws_get_socket_fd(wsi));
    if (!header_text(wsi, head ? WSI_TOKEN_HEAD_URI : WSI_TOKEN_GET_URI, ret->path,
                     sizeof(ret->path)) ||
        !query_text(wsi, ret->query, sizeof(ret->query)))
        return 404;
    if (!header_text(wsi, WSI_TOKEN_ORIGIN, ret->origin, sizeof(ret->origin)) ||
        !header_text(wsi, WSI_TOKEN_HOST, ret->host, sizeof(ret->host)))
        return 403;
    if (!header_text(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, ret->authorization,
                     sizeof(ret->authorization)))
        return 401;
    return 0;
}

bool ws_request_speaks_our_version(struct lws *wsi)
{
    char version[8];

    return header_text(wsi, WSI_TOKEN_VERSION, version, sizeof(version)) &&
           strcmp(version, WS_VERSION) == 0;
}

bool ws_request_offers_one_of(struct lws *wsi, const struct lws_protocols *protocols)
{
    char list[WS_REQUEST_SUBPROTOCOLS_BYTES_MAX];
    char *rest = NULL;

    if (lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) == 0)
        return true;
    if (!header_text(wsi, WSI_TOKEN_PROTOCOL, list, sizeof(list)))
        return false;
    for (char *name = strtok_r(list, ", \t", &rest); name; name = strtok_r(NULL, ", \t", &rest)) {
        for (const struct lws_protocols *one = protocols; one->name; one++) {
            if (strcmp(one->name, name) == 0)
                return true;
        }
        if (strlen(name) >= NAME_BYTES_MAX)
            return false;
    }
    return false;
}

bool ws_request_misreads(const char *name, size_t name_bytes)
{
    bool begins = false;

    for (unsigned i = 0;; i++) {
        const char *token = (const char *)lws_token_to_string((enum lws_token_indexes)i);
        if (!token)
            return begins;
        size_t token_bytes = strlen(token);
        if (token_bytes == 0)
            continue;
        char last = token[token_bytes - 1];
        if (token_bytes < name_bytes + 1) {
            if (last != ':' && strncmp(name, token, token_bytes) == 0)
                return true; /* it ends without a colon, and so all names that begin with it */
        } else if (strncmp(token, name, name_bytes) == 0) {
            if (token[name_bytes] == ':')
                return false;
            begins = true;
        }
    }
}
