/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/streams and /api/v1/clients: what is served and to whom, as JSON for programs.
 *
 * Source: docs/wire.md "What is served, as JSON". Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_API_H
#define SIMCAST_DAEMON_API_H

#include <stdio.h>

#include "daemon/fanout.h"
#include "daemon/streams.h"

/* Write one JSON document; a full disk cannot be: `file` is memory. */
void api_write_streams(FILE *file, const struct streams *streams, int64_t now_ns);

/* What a viewer needs to choose one: [{"id","stream","rendition","codec","width",...}, ...]. */
void api_write_choices(FILE *file, const struct streams *streams, int64_t now_ns);

void api_write_clients(FILE *file, const struct fanout *fanout, const struct streams *streams,
                       int64_t now_ns);

#endif
