/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /metrics says of each stream, with the name of its ring as the label `stream`.
 *
 * Source: docs/deployment.md "Metrics". Thread: the loop. Cost: walks streams and who watches them.
 */
#ifndef SIMCAST_DAEMON_STREAM_METRICS_H
#define SIMCAST_DAEMON_STREAM_METRICS_H

#include <stdio.h>

#include "daemon/streams.h"

/* Writes the families simcast_stream_* and simcast_stage_seconds; `file` is memory. */
void stream_metrics_write(FILE *file, const struct streams *streams, int64_t now_ns);

#endif
