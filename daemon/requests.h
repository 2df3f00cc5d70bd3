/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out what a viewer of subprotocol simcast.v2 asks for (proto/viewer_request.h), answers
 * it, and tells all of them when the set of streams changes.
 *
 * Source: docs/wire.md "simcast.v2". Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_REQUESTS_H
#define SIMCAST_DAEMON_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct parts;

/* One message of a client that is let in, type byte first. Returns false when it is none of ours.
 */
bool requests_message(struct parts *parts, struct client *client, const uint8_t *bytes, size_t size,
                      int64_t now_ns);

/* Tells a client which streams there are; NULL: all that speak simcast.v2. */
void requests_tell_streams(struct parts *parts, struct client *client, int64_t now_ns);

#endif
