/* SPDX-License-Identifier: Apache-2.0 */
/* One table; owns nothing. */
#include "daemon/bus_metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define FIELD(member) offsetof(struct bus_counters, member)

static const struct row {
    const char *name;
    size_t offset;
    const char *help;
} rows[] = {
    {"bus_published", FIELD(published), "Messages handed to the bus."},
    {"bus_received", FIELD(received), "Messages taken from the bus."},
    {"bus_dropped_out", FIELD(dropped_out), "Published while the bus was away or full."},
    {"bus_dropped_in", FIELD(dropped_in), "Lost because they came faster than they were taken."},
    {"bus_slow_episodes", FIELD(slow_episodes), "Times that such a loss began."},
    {"bus_refused", FIELD(refused), "Things that the NATS server did not permit."},
    {"bus_reconnects", FIELD(reconnects), "Connections made anew."},
    {"bus_stop_reconnects", FIELD(stop_reconnects), "The same of the stop lane."},
};

void bus_metrics_write(FILE *file, const struct bus *bus)
{
    struct bus_counters counters;

    bus_counters(bus, &counters);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value;
        memcpy(&value, (const char *)&counters + rows[i].offset, sizeof(value));
        fprintf(file,
                "# HELP simcast_%s_total %s\n# TYPE simcast_%s_total counter\n"
                "simcast_%s_total %" PRIu64 "\n",
                rows[i].name, rows[i].help, rows[i].name, rows[i].name, value);
    }
}
