/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to plain HTTP requests, as pure functions of the path and what the server knows. Which
 * library speaks HTTP is not visible here.
 *
 * Source: docs/wire.md "WebSocket" for /health. Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_HTTP_H
#define SIMCAST_DAEMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/counters.h"
#include "daemon/http_stream.h"
#include "daemon/web_files.h"

#define HTTP_WS_PATH "/stream/ws"

/* What a request says, as far as it matters here. Strings are "" where it does not. */
struct http_request {
    const char *path; /* decoded, without query */
    const char *query;
    const char *origin;
    const char *host;
    const char *authorization; /* never logged */
    const char *address;       /* of the peer */
};

/* The state that /health, /healthz and /readyz tell of. Strings are borrowed for the call. */
struct http_health {
    const struct counters *counters;
    unsigned clients;
    uint64_t shm_seq;
    int64_t last_frame_age_ms; /* -1: no frame yet */
    int64_t uptime_s;
    const char *source;        /* "ring", "legacy" or "none" */
    const char *source_reason; /* why there is none, for a person */
    bool bus_connected;
    const char *gate_mode;
    const char *gate_reason;
    enum video_codec
        codec; /* what others watch, and cannot be changed; VIDEO_CODEC_NONE: any goes */
};

struct http_response {
    unsigned status;
    const char *content_type;
    const void *body;
    size_t body_bytes;
    bool streams; /* no body: the connection stays open as a client of this kind instead */
    enum client_kind kind;
};

#define HTTP_BODY_BYTES 2048

/*
 * Answers GET. The body points into `files`, a constant, or `buffer`.
 */
void http_get(const struct http_request *request, const struct http_health *health,
              const struct web_files *files, char buffer[HTTP_BODY_BYTES],
              struct http_response *ret_response);

/* The answer for a status alone: 401, 403, 404, 405, 421, 426, 429, 431, 503. */
void http_error(unsigned status, struct http_response *ret_response);

/*
 * Whether a page of `origin` may open a WebSocket: its host and port are those that the request
 * named (`host`), or it stands in `allowed` (comma-separated). An absent origin ("") is a program,
 * not a page, and may.
 */
bool http_origin_allowed(const char *origin, const char *host, const char *allowed);

/*
 * Whether a request may name us `host` (with or without port). A page of another site can reach us
 * under a name of its own that it lets point here (DNS rebinding); an address as a number cannot be
 * such a name. `loopback`: besides those in `allowed` (comma-separated, "*" for any) only numbers
 * and "localhost" go. Otherwise this holds as soon as `allowed` is not empty. An absent host ("")
 * is a program.
 */
bool http_host_allowed(const char *host, const char *allowed, bool loopback);

#endif
