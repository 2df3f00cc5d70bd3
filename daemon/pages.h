/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What GET answers: health, metrics, what is served and to whom, the viewer's files, and which
 * requests turn into streams.
 *
 * Source: docs/wire.md "WebSocket" and "What is served, as JSON". Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_PAGES_H
#define SIMCAST_DAEMON_PAGES_H

#include "daemon/http.h"

struct parts;

/* Zero it; the fields belong to pages.c. */
struct pages {
    char body[HTTP_BODY_BYTES];
    char *page; /* an answer that is longer; freed with the next */
};

void pages_fini(struct pages *pages);

/* Answers a request that may be answered; else says why not. Valid until the next call. */
void pages_get(struct parts *parts, const struct http_request *request,
               struct http_response *ret_response);

#endif
