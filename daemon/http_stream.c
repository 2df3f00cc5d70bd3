/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; writes into the caller's buffer. */
#include "daemon/http_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BOUNDARY "simcast-frame"
#define PART_END "\r\n"

static const struct {
    const char *name;
    enum video_codec codec;
    const char *content_type;
} kinds[] = {
    [CLIENT_V1] = {"websocket", VIDEO_CODEC_NONE, NULL},
    [CLIENT_V2] = {"simcast.v2", VIDEO_CODEC_NONE, NULL},
    [CLIENT_MJPEG] = {"mjpeg", VIDEO_CODEC_JPEG, "multipart/x-mixed-replace; boundary=" BOUNDARY},
    [CLIENT_JPEG] = {"jpeg", VIDEO_CODEC_JPEG, "image/jpeg"},
    [CLIENT_ANNEX_B] = {"h264", VIDEO_CODEC_H264, "video/h264"},
};

static const struct {
    const char *path;
    const char *query; /* NULL: any */
    enum client_kind kind;
} addresses[] = {
    {"/stream", NULL, CLIENT_MJPEG},
    {"/snapshot", NULL, CLIENT_JPEG},
    {"/video.h264", NULL, CLIENT_ANNEX_B},
    /* The addresses of mjpg-streamer, which many programs know. */
    {"/", "action=stream", CLIENT_MJPEG},
    {"/", "action=snapshot", CLIENT_JPEG},
};

/* Whether `wanted` is one of the &-separated parts of `query`. */
static bool has_part(const char *query, const char *wanted)
{
    size_t length = strlen(wanted);

    while (*query != '\0') {
        size_t part = strcspn(query, "&");
        if (part == length && strncmp(query, wanted, length) == 0)
            return true;
        query += part + (query[part] == '&');
    }
    return false;
}

int http_parameter(const char *query, const char *name, char *ret_text, size_t text_bytes)
{
    size_t length = strlen(name);

    while (*query != '\0') {
        size_t part = strcspn(query, "&");
        if (part > length && query[length] == '=' && strncmp(query, name, length) == 0) {
            size_t value = part - length - 1;
            if (value >= text_bytes)
                return -EMSGSIZE;
            memcpy(ret_text, query + length + 1, value);
            ret_text[value] = '\0';
            return 0;
        }
        query += part + (query[part] == '&');
    }
    return -ENOENT;
}

int http_stream_kind(const char *path, const char *query, enum client_kind *ret_kind)
{
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        if (strcmp(path, addresses[i].path) == 0 &&
            (!addresses[i].query || has_part(query, addresses[i].query))) {
            *ret_kind = addresses[i].kind;
            return 0;
        }
    }
    return -ENOENT;
}

const char *http_stream_name(enum client_kind kind)
{
    return kinds[kind].name;
}

enum video_codec http_stream_codec(enum client_kind kind)
{
    return kinds[kind].codec;
}

/* A picture's age, for whoever polls it; a proxy must not make it older. */
static int write_age(int64_t age_ms, char *text, size_t text_bytes)
{
    if (age_ms < 0)
        return 0;
    return snprintf(text, text_bytes, "X-Simcast-Age-Ms: %" PRId64 "\r\n", age_ms);
}

static int write_answer(enum client_kind kind, char *text, size_t text_bytes)
{
    return snprintf(text, text_bytes,
                    "HTTP/1.1 200 OK\r\n"
                    "Content-Type: %s\r\n"
                    "Cache-Control: no-store\r\n"
                    "X-Content-Type-Options: nosniff\r\n"
                    "Cross-Origin-Resource-Policy: same-origin\r\n"
                    "Connection: close\r\n",
                    kinds[kind].content_type);
}

size_t http_stream_head(enum client_kind kind, bool first, size_t payload_bytes, int64_t age_ms,
                        char text[HTTP_STREAM_HEAD_BYTES])
{
    size_t used = first ? (size_t)write_answer(kind, text, HTTP_STREAM_HEAD_BYTES) : 0;

    if (kind == CLIENT_ANNEX_B) {
        if (first)
            used += (size_t)snprintf(text + used, HTTP_STREAM_HEAD_BYTES - used, "\r\n");
        return used;
    }
    if (kind == CLIENT_MJPEG)
        used += (size_t)snprintf(text + used, HTTP_STREAM_HEAD_BYTES - used,
                                 PART_END "--" BOUNDARY "\r\nContent-Type: image/jpeg\r\n");
    used += (size_t)snprintf(text + used, HTTP_STREAM_HEAD_BYTES - used, "Content-Length: %zu\r\n",
                             payload_bytes);
    used += (size_t)write_age(age_ms, text + used, HTTP_STREAM_HEAD_BYTES - used);
    used += (size_t)snprintf(text + used, HTTP_STREAM_HEAD_BYTES - used, "\r\n");
    return used;
}

size_t http_stream_refusal(enum client_kind kind, char text[HTTP_STREAM_HEAD_BYTES])
{
    char body[256];
    int length = snprintf(body, sizeof(body),
                          "503: no frame came as %s; is the simulator running, and can the encoder "
                          "make %s? See /readyz\n",
                          video_codec_name(kinds[kind].codec), video_codec_name(kinds[kind].codec));

    return (size_t)snprintf(text, HTTP_STREAM_HEAD_BYTES,
                            "HTTP/1.1 503 Service Unavailable\r\n"
                            "Content-Type: text/plain; charset=utf-8\r\n"
                            "Content-Length: %d\r\n"
                            "Cache-Control: no-store\r\n"
                            "Retry-After: 1\r\n"
                            "Connection: close\r\n\r\n%s",
                            length, body);
}
