/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks and changes nothing: the machine, the bus, the two rings, simcastd and what it says of the
 * gate. A check that cannot be made is a warning with its reason.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/options.h"
#include "bus/access.h"
#include "cli/doctor_report.h"
#include "cli/health.h"
#include "cli/values.h"
#include "shm/ring.h"

static void check_ring(struct doctor *doctor, enum ring_kind kind, const char *program)
{
    const char *name = kind == RING_KIND_FRAMES ? "frames" : "packets";
    struct ring_info info;
    int error = ring_inspect(doctor->dir, doctor->stream, kind, &info);

    if (error < 0)
        doctor_say(doctor, WARNING, name, "nobody produces '%s' (%s); start %s", doctor->stream,
                   strerror(-error), program);
    else
        doctor_say(doctor, FINE, name, "process %d, %" PRIu64 " so far, %u readers", info.pid,
                   info.newest, info.consumer_count);
}

static void check_daemon(struct doctor *doctor)
{
    struct health health;
    enum served served = SERVED_HTTP;
    int certificate_days = 0;
    int error = health_get((uint16_t)doctor->port, &health);

    if (error < 0 && error != -ECONNREFUSED &&
        health_get_tls((uint16_t)doctor->port, &health, &certificate_days) == 0) {
        served = SERVED_HTTPS;
        error = 0;
    }
    if (error < 0)
        doctor_say(doctor, CRITICAL, "simcastd",
                   "port %" PRIu32 ": %s; start simcastd, or name its port by --port", doctor->port,
                   strerror(-error));
    else
        doctor_say(doctor, FINE, "simcastd", "port %" PRIu32 ", %u clients", doctor->port,
                   health.clients);
    doctor_check_page(doctor, error < 0 ? SERVED_NOT : served, certificate_days);
    if (error < 0)
        return;
    if (strcmp(health.gate, "ESTOP") == 0)
        doctor_say(doctor, CRITICAL, "gate", "ESTOP (%s); an operator has to clear it",
                   health.gate_reason);
    else if (strcmp(health.gate, "HOLD") == 0 && strcmp(health.gate_reason, "no_video") == 0)
        doctor_say(doctor, WARNING, "gate", "HOLD (no_video): the video does not arrive");
    else
        doctor_say(doctor, FINE, "gate", "%s (%s)", health.gate, health.gate_reason);
}

static bool read_ipc_dir(void *into, const char *value)
{
    ((struct doctor *)into)->dir = value;
    return *value != '\0';
}

static bool read_stream(void *into, const char *value)
{
    ((struct doctor *)into)->stream = value;
    return *value != '\0';
}

static bool read_port(void *into, const char *value)
{
    return option_whole(value, 1, UINT16_MAX, &((struct doctor *)into)->port);
}

static bool read_bus(void *into, const char *value)
{
    ((struct doctor *)into)->bus_url = value;
    return *value != '\0';
}

static bool read_json(void *into, const char *value)
{
    (void)value;
    ((struct doctor *)into)->json = true;
    return true;
}

static const struct option_row rows[] = {
    {"ipc-dir", "SIMCAST_IPC_DIR", NULL, "DIR", read_ipc_dir, "a directory",
     "where the rings' sockets lie (" RING_DIR_DEFAULT ")"},
    {"stream", "SIMCAST_STREAM", NULL, "NAME", read_stream, "a name", "the stream (front)"},
    {"port", NULL, NULL, "N", read_port, "a whole number from 1 to 65535",
     "of simcastd on this machine (8080)"},
    {"json", NULL, NULL, NULL, read_json, "nothing", "one line of JSON"},
    {"bus", "SIMCAST_BUS_URL", "SDR_NATS_URL", "URL", read_bus, "a URL",
     "nats://host:4222 or ipc:///directory (ipc://<ipc-dir>)"},
};

int doctor_main(int argc, char **argv)
{
    struct doctor doctor = {.dir = value_ipc_dir(), .stream = "front", .port = 8080};
    const struct option_group groups[] = {{rows, sizeof(rows) / sizeof(rows[0]), &doctor},
                                          BUS_ACCESS_GROUP};
    const struct option_program program = {
        .name = "simcast doctor",
        .version = SIMCAST_VERSION,
        .before = "Usage: simcast doctor [OPTION]...\n"
                  "Says what is wrong on this machine and what to do. Changes nothing.\n"
                  "\n",
        .after =
            "\n"
            "Exit status, as Nagios reads it: 0 fine, 1 warning, 2 critical, 3 wrong options.\n"
            "The first line names what is not fine.\n",
        .groups = groups,
        .group_count = sizeof(groups) / sizeof(groups[0]),
    };

    signal(SIGPIPE, SIG_IGN);
    log_init("simcast", LOG_LEVEL_ERROR); /* what the bus says is among the findings */
    switch (option_read(&program, argc, argv)) {
    case OPTION_DONE:
        return FINE;
    case OPTION_WRONG:
        return USAGE;
    case OPTION_GO:
        break;
    }
    doctor_check_machine(&doctor);
    check_ring(&doctor, RING_KIND_FRAMES, "a simulator");
    check_ring(&doctor, RING_KIND_PACKETS, "simcast-encoder");
    doctor_check_bus(&doctor);
    check_daemon(&doctor);
    return doctor_print(&doctor);
}
