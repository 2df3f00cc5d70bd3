/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing. The same question has the same answer within one turn of the loop. */
#include "daemon/choice.h"

#include <errno.h>
#include <string.h>

/* -EPROTOTYPE unless the stream may turn out to be what the address needs. */
static int check(const struct stream *stream, enum client_kind kind)
{
    if (stream->codec == VIDEO_CODEC_NONE || stream->codec == http_stream_codec(kind))
        return 0;
    if (!stream->relay)
        return -EPROTOTYPE;
    /* The default stream may be asked for another codec while nobody else watches it. */
    enum video_codec fixed = relay_fixed_codec(stream->relay);
    return fixed == VIDEO_CODEC_NONE || fixed == http_stream_codec(kind) ? 0 : -EPROTOTYPE;
}

static int choose_rendition(const struct streams *streams, const char *camera,
                            enum client_kind kind, int64_t now_ns, struct stream **ret_stream)
{
    enum video_codec codec = http_stream_codec(kind);
    struct stream *usual = streams_find(streams, camera, "");
    struct stream *fitting = streams_find(streams, camera, video_codec_name(codec));

    if (strcmp(camera, streams_default(streams)->camera) == 0)
        usual = streams_default(streams);
    bool fits = usual && stream_live(usual, now_ns) && usual->codec == codec;
    if (!fits && fitting && stream_live(fitting, now_ns))
        usual = fitting;
    if (!usual)
        return -ENOENT;
    *ret_stream = usual;
    return check(usual, kind);
}

int choose_stream(const struct streams *streams, const char *query, enum client_kind kind,
                  int64_t now_ns, struct stream **ret_stream)
{
    char camera[RING_STREAM_BYTES];
    char rendition[RING_STREAM_BYTES];
    int named = http_parameter(query, "camera", camera, sizeof(camera));
    int exact = http_parameter(query, "rendition", rendition, sizeof(rendition));

    if (named == -EMSGSIZE || exact == -EMSGSIZE)
        return -EINVAL;
    if (named < 0)
        memcpy(camera, streams_default(streams)->camera, sizeof(camera));
    if (exact < 0)
        return choose_rendition(streams, camera, kind, now_ns, ret_stream);
    struct stream *stream = streams_find(streams, camera, rendition);
    if (!stream)
        return -ENOENT;
    *ret_stream = stream;
    return check(stream, kind);
}

struct audience *choose_audience(const struct streams *streams, const char *query,
                                 enum client_kind kind)
{
    char wanted[8] = "";

    if (kind == CLIENT_V2 && http_parameter(query, "default", wanted, sizeof(wanted)) == 0 &&
        strcmp(wanted, "0") == 0)
        return NULL;
    return streams_default(streams)->audience;
}
