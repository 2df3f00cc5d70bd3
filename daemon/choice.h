/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which stream a request over plain HTTP gets: ?camera=NAME names the camera, else it is that of
 * the default stream; &rendition=NAME names the rendition, else it is the camera's default one if
 * that is encoded as the address needs, else the rendition that is named after the codec ("jpeg",
 * "h264"), which its encoder makes on demand.
 *
 * Thread: the loop. Cost: walks the streams.
 */
#ifndef SIMCAST_DAEMON_CHOICE_H
#define SIMCAST_DAEMON_CHOICE_H

#include "daemon/http.h"
#include "daemon/streams.h"

/*
 * Errors: -EINVAL a name that cannot be one; -ENOENT no such camera or rendition; -EPROTOTYPE it
 * is encoded as something else, and nobody encodes it as the address needs: *ret_stream is that
 * one.
 */
int choose_stream(const struct streams *streams, const char *query, enum client_kind kind,
                  int64_t now_ns, struct stream **ret_stream);

/* Of a WebSocket: the audience that it starts with; NULL: it asked for none (?default=0). */
struct audience *choose_audience(const struct streams *streams, const char *query,
                                 enum client_kind kind);

#endif
