/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bus counts, for /metrics: messages out and in, losses, reconnections.
 *
 * Thread: the loop. Cost: some loads.
 */
#ifndef SIMCAST_DAEMON_BUS_METRICS_H
#define SIMCAST_DAEMON_BUS_METRICS_H

#include <stdio.h>

#include "bus/bus.h"

/* Each with HELP and TYPE; `file` is memory. */
void bus_metrics_write(FILE *file, const struct bus *bus);

#endif
