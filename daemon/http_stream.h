/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one frame looks to a program that asked for video over plain HTTP: MJPEG (a multipart answer
 * without end), one JPEG, or raw Annex-B. A frame's payload follows its head as it is.
 *
 * Source: docs/wire.md "Video over plain HTTP". Thread: any. Cost: no I/O, no allocation.
 */
#ifndef SIMCAST_DAEMON_HTTP_STREAM_H
#define SIMCAST_DAEMON_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/video.h"

enum client_kind {
    CLIENT_V1,      /* the compatible WebSocket protocol */
    CLIENT_V2,      /* WebSocket with subprotocol simcast.v2 */
    CLIENT_MJPEG,   /* the rest is plain HTTP: frames without end, ... */
    CLIENT_JPEG,    /* ... one frame, ... */
    CLIENT_ANNEX_B, /* ... or a bare H.264 stream */
};

/* What a request asks for. Errors: -ENOENT `path` and `query` name no stream. */
int http_stream_kind(const char *path, const char *query, enum client_kind *ret_kind);

/*
 * The value of a parameter in a query such as "camera=front&rendition=jpeg". Errors: -ENOENT it is
 * not there; -EMSGSIZE it is too long for text_bytes, with its NUL.
 */
int http_parameter(const char *query, const char *name, char *ret_text, size_t text_bytes);

/* "websocket", "simcast.v2", "mjpeg", "jpeg", "h264"; a string constant. */
const char *http_stream_name(enum client_kind kind);

/* What the kind must be encoded as; VIDEO_CODEC_NONE: it takes any. */
enum video_codec http_stream_codec(enum client_kind kind);

#define HTTP_STREAM_HEAD_BYTES 768

/*
 * Writes what goes before a frame's payload: the answer's head if it is the `first`, and a part's
 * head. `age_ms` of the picture; negative: unknown. Returns its length.
 */
size_t http_stream_head(enum client_kind kind, bool first, size_t payload_bytes, int64_t age_ms,
                        char text[HTTP_STREAM_HEAD_BYTES]);

/* The whole answer to a request that got no frame; says why. Returns its length. */
size_t http_stream_refusal(enum client_kind kind, char text[HTTP_STREAM_HEAD_BYTES]);

#endif
