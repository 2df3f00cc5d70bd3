/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a viewer asks for in a SIGNALING message (type byte 0x03, then JSON) of subprotocol
 * simcast.v2:
 *
 *   {"type":"subscribe","stream":"front","rendition":"preview","metadata":true,"paused":false}
 *   {"type":"unsubscribe","id":2}
 *   {"type":"pause","id":2,"paused":true}
 *   {"type":"keyframe","id":2}
 *   {"type":"streams"}
 *
 * "stream" is a camera; without it the default one. Without "rendition" its default rendition.
 *
 * Source: docs/wire.md "simcast.v2". Thread: any. Cost: the JSON library allocates; a message is
 * small.
 */
#ifndef SIMCAST_PROTO_VIEWER_REQUEST_H
#define SIMCAST_PROTO_VIEWER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNALING_MESSAGE_TYPE 0x03
#define VIEWER_NAME_BYTES 32 /* of a camera or a rendition, with its NUL */

enum viewer_request_kind {
    VIEWER_SUBSCRIBE,
    VIEWER_UNSUBSCRIBE,
    VIEWER_PAUSE,
    VIEWER_KEYFRAME,
    VIEWER_STREAMS,
    VIEWER_REQUEST_COUNT,
};

struct viewer_request {
    enum viewer_request_kind kind;
    uint16_t id;                       /* all but SUBSCRIBE and STREAMS */
    char stream[VIEWER_NAME_BYTES];    /* SUBSCRIBE; "": the default camera */
    char rendition[VIEWER_NAME_BYTES]; /* SUBSCRIBE; "": its default rendition */
    bool metadata;                     /* SUBSCRIBE */
    bool paused;                       /* SUBSCRIBE, PAUSE */
};

/*
 * Reads the JSON of a message, without its type byte. Errors: -ENOMSG it is not one of these
 * requests; -EPROTO it is one, but malformed: *ret_request then holds its kind alone, and
 * *ret_reason is a constant for a person.
 */
int viewer_request_parse(const char *json, size_t json_bytes, struct viewer_request *ret_request,
                         const char **ret_reason);

/* "subscribe", ...; string constants. */
const char *viewer_request_name(enum viewer_request_kind kind);

#endif
