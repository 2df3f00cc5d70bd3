/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `simcast top` shows: how rings, stages, clients, bus, gate and control loops did between
 * the last two looks, from the rings of this machine and from a simcastd's pages.
 *
 * Thread: one. Cost: a look asks each ring (ring_survey.h) and four pages.
 */
#ifndef SIMCAST_CLI_TOP_VIEW_H
#define SIMCAST_CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/ring_survey.h"
#include "cli/top_page.h"

#define TOP_STREAMS_MAX (2 * SURVEY_STREAMS_MAX)
#define TOP_CLIENTS_MAX 256
#define TOP_STAGES_MAX 12
#define TOP_ROBOTS_MAX 8
#define TOP_TEXT_BYTES 192
#define TOP_NAME_BYTES 64

/* Unknown numbers are NaN. */
struct top_stream {
    char name[TOP_NAME_BYTES]; /* "front.packets" */
    char picture[TOP_NAME_BYTES];
    char producer[TOP_NAME_BYTES];
    char problem[TOP_TEXT_BYTES]; /* "": none; else the rest is unknown */
    double fps;
    double mbit_per_s;
    double age_s;
    double lost; /* frames that its consumers missed since they came */
    unsigned wanting;
};

/* p50 and p99 of what came between the looks, seconds. */
struct top_times {
    char name[TOP_NAME_BYTES];
    double p50_s;
    double p99_s;
};

struct top_client {
    char who[TOP_NAME_BYTES]; /* address, or the name that it gave */
    char kind[TOP_NAME_BYTES];
    char role[TOP_NAME_BYTES];
    double fps;
    double mbit_per_s;
    uint64_t missed;
    uint64_t queued;
    uint64_t connected_s;
};

enum { TOP_ROBOT_TIMES = 5 };

struct top_robot {
    char stream[TOP_NAME_BYTES];
    char mode[TOP_NAME_BYTES];
    double rate_hz;
    struct top_times times[TOP_ROBOT_TIMES]; /* period, jitter, latency, reaction, step */
    double overruns;                         /* this and what follows: since its start */
    double late;
    double stale;
    double missed;
    double stands;
};

struct top_view {
    char problem[TOP_TEXT_BYTES]; /* why simcastd's part is missing; "": it is not */
    double uptime_s;
    char gate[TOP_NAME_BYTES];
    char gate_reason[TOP_NAME_BYTES];
    bool bus_connected;
    double clients;
    double commands_per_s;
    double refused_per_s;
    struct top_times ack; /* from a command to the robot's acknowledgement */
    unsigned stream_count;
    struct top_stream streams[TOP_STREAMS_MAX];
    unsigned stage_count;
    struct top_times stages[TOP_STAGES_MAX];
    unsigned client_count; /* of those that are listed */
    struct top_client list[TOP_CLIENTS_MAX];
    unsigned robot_count;
    struct top_robot robots[TOP_ROBOTS_MAX];
};

struct top;

/* Borrows both. Errors: -ENOMEM. */
int top_create(const struct top_server *server, const char *ipc_dir, struct top **ret_top);

/* Takes NULL. */
void top_destroy(struct top *top);

/*
 * Looks, and compares with the look before: rates need two. The view is valid until the next one.
 * What cannot be asked is left out, and the view says why.
 */
const struct top_view *top_look(struct top *top);

#endif
