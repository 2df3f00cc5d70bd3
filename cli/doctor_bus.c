/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the bus as any program would, and waits a moment. Listens to nothing, publishes nothing. */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bus/bus.h"
#include "cli/doctor_report.h"

#define PATIENCE_NS (3 * NS_PER_S)
#define LOOK_MS 10

static bool connects(struct bus *bus, char *trouble, size_t trouble_bytes)
{
    int64_t until_ns = clock_now_ns() + PATIENCE_NS;

    trouble[0] = '\0';
    while (bus_state(bus) != BUS_CONNECTED && trouble[0] == '\0' && clock_now_ns() < until_ns) {
        poll(NULL, 0, LOOK_MS);
        bus_trouble(bus, trouble, trouble_bytes);
    }
    return bus_state(bus) == BUS_CONNECTED;
}

void doctor_check_bus(struct doctor *doctor)
{
    char url[PATH_MAX + 8];
    char shown[PATH_MAX + 8];
    char trouble[DOCTOR_TEXT_BYTES / 2];
    struct bus_config config = {.url = doctor->bus_url ? doctor->bus_url : url,
                                .name = "simcast doctor"};
    struct bus *bus = NULL;

    snprintf(url, sizeof(url), "ipc://%s", doctor->dir);
    bus_url_show(config.url, shown, sizeof(shown));
    bool local = strncmp(config.url, "ipc://", 6) == 0;
    int error = bus_open(&config, &bus);
    if (error < 0) {
        doctor_say(doctor, CRITICAL, "bus",
                   "%.200s: %s; --bus takes nats://host:4222 or "
                   "ipc:///directory",
                   shown, strerrordesc_np(-error));
        return;
    }
    if (connects(bus, trouble, sizeof(trouble)))
        doctor_say(doctor, FINE, "bus", "%.200s: connected", shown);
    else if (local)
        doctor_say(doctor, CRITICAL, "bus", "%.200s: nobody serves it; start simcastd", shown);
    else
        doctor_say(doctor, CRITICAL, "bus", "%.200s: %s", shown,
                   trouble[0] != '\0' ? trouble
                                      : "no answer; check the name, the port and the network");
    bus_close(bus);
}
