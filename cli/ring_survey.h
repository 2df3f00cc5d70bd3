/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rings there are in a directory, and how each of them does: found by their sockets, asked
 * by ring_inspect, and their newest frame looked at for its geometry.
 *
 * A look never says that it wants frames, so nothing is rendered on its account. It takes one
 * lease for as long as it takes to copy one struct; where none is left, the geometry stays unknown.
 *
 * Thread: one. Cost: a look connects twice, and blocks for at most a second when a producer
 * listens but does not answer.
 */
#ifndef SIMCAST_CLI_RING_SURVEY_H
#define SIMCAST_CLI_RING_SURVEY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/un.h>

#include "shm/ring.h"

#define SURVEY_STREAMS_MAX 64
#define SURVEY_NAME_BYTES (RING_STREAM_BYTES + 8) /* "front.packets" */
#define SURVEY_PROCESS_BYTES 32                   /* "simcast-encoder 12345" */

struct survey_look {
    int error; /* of ring_inspect; the rest counts when it is 0 */
    int64_t time_ns;
    struct ring_info info;   /* without ourselves as a consumer */
    bool has_frame;          /* the newest frame could be pinned */
    struct ring_frame frame; /* that one */
};

struct survey_stream {
    char stream[RING_STREAM_BYTES];
    enum ring_kind kind;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct survey_look before;
    struct survey_look now;
};

struct survey {
    const char *dir;
    unsigned count;
    struct survey_stream streams[SURVEY_STREAMS_MAX];
};

/* "frames", "packets", "state", "actions"; a string constant. */
const char *survey_kind_name(enum ring_kind kind);

/*
 * Splits "front" or "front.packets". Without a kind *ret_kind is RING_KIND_COUNT.
 * Errors: -EINVAL no stream can have this name.
 */
int survey_parse(const char *name, char ret_stream[RING_STREAM_BYTES], enum ring_kind *ret_kind);

/*
 * Finds the sockets in survey->dir, by name in order; those beyond SURVEY_STREAMS_MAX are left
 * out. Errors: -ENOENT, -EACCES, -ENOTDIR, ... the directory cannot be read.
 */
int survey_find(struct survey *survey);

/* The previous look becomes `before`. What went wrong is in stream->now.error. */
void survey_look(const char *dir, struct survey_stream *stream);

/* Frames per second between the two looks; 0 without two. */
double survey_rate(const struct survey_stream *stream);

/* What consumer i of the newest look spent spinning, in percent of one processor. */
double survey_spin_percent(const struct survey_stream *stream, unsigned i);

/* Age of the newest frame, or -1. */
int64_t survey_age_ns(const struct survey_stream *stream);

/* Bytes of the frame memory. */
uint64_t survey_memory_bytes(const struct survey_stream *stream);

/* "rgb24", "h264", ..., or "" while unknown. */
const char *survey_format(const struct survey_stream *stream);

/* A process's command name, or "?" when it is gone. */
void survey_command(int32_t pid, char ret_command[SURVEY_PROCESS_BYTES]);

/* What stream->now.error means, and what to do about it: one sentence. */
void survey_explain(const struct survey_stream *stream, char *text, size_t text_bytes);

#endif
