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

struct api_stream {
    const char *name;
    const char *source;     /* "ring", "legacy" or "none" */
    enum video_codec codec; /* of the newest frame; VIDEO_CODEC_NONE: none came yet */
    uint32_t width;         /* 0: unknown */
    uint32_t height;
    unsigned fps;              /* frames of the last whole second */
    int64_t last_frame_age_ms; /* -1: no frame yet */
    uint64_t frames;
    unsigned clients;
};

/* Write one JSON document; a full disk cannot be: `file` is memory. */
void api_write_streams(FILE *file, const struct api_stream *stream);
void api_write_clients(FILE *file, const struct fanout *fanout, int64_t now_ns);

#endif
