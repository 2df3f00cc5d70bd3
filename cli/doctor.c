/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks and changes nothing: the directory of the sockets and its space, descriptors, the GPU's
 * device files, the two rings, simcastd and what it says of the bus and the gate. Owns nothing that
 * outlives a check; a check that cannot be made is a warning with its reason.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <getopt.h>

#include "base/log.h"
#include "cli/health.h"
#include "shm/ring.h"

#define SPACE_BYTES_MIN (UINT64_C(64) << 20) /* a ring of 1080p pictures needs about this much */
#define DESCRIPTORS_MIN 2048u                /* simcastd's 1,000 clients, with some to spare */

enum verdict { FINE, WARNING, CRITICAL, USAGE };

struct doctor {
    const char *dir;
    const char *stream;
    uint16_t port;
    enum verdict worst;
};

static void LOG_PRINTF(4)
    say(struct doctor *doctor, enum verdict verdict, const char *what, const char *format, ...)
{
    static const char *const marks[] = {"ok", "WARNING", "CRITICAL"};
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    printf("%-8s  %-11s  %s\n", marks[verdict], what, text);
    if (verdict > doctor->worst)
        doctor->worst = verdict;
}

static void check_dir(struct doctor *doctor)
{
    struct statvfs space;

    if (access(doctor->dir, R_OK | W_OK | X_OK) < 0) {
        say(doctor, CRITICAL, "directory",
            "%s: %s; start simcast-sim or simcastd, or join its group", doctor->dir,
            strerror(errno));
        return;
    }
    if (statvfs(doctor->dir, &space) < 0) {
        say(doctor, WARNING, "directory", "%s: %s", doctor->dir, strerror(errno));
        return;
    }
    uint64_t bytes = (uint64_t)space.f_bavail * space.f_frsize;
    if (bytes < SPACE_BYTES_MIN)
        say(doctor, WARNING, "directory", "%s: only %" PRIu64 " MiB are free; enlarge the tmpfs",
            doctor->dir, bytes >> 20);
    else
        say(doctor, FINE, "directory", "%s, %" PRIu64 " MiB free", doctor->dir, bytes >> 20);
}

static void check_descriptors(struct doctor *doctor)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        say(doctor, WARNING, "descriptors", "%s", strerror(errno));
    else if (limit.rlim_max < DESCRIPTORS_MIN)
        say(doctor, WARNING, "descriptors",
            "%" PRIu64 " at most, too few for 1,000 viewers; raise LimitNOFILE or ulimit -n",
            (uint64_t)limit.rlim_max);
    else
        say(doctor, FINE, "descriptors", "%" PRIu64 " at most", (uint64_t)limit.rlim_max);
}

static void check_gpu(struct doctor *doctor)
{
    if (access("/dev/nvidiactl", F_OK) < 0)
        say(doctor, FINE, "gpu", "none; pictures are encoded by the processor");
    else if (access("/dev/nvidiactl", R_OK | W_OK) < 0)
        say(doctor, WARNING, "gpu", "/dev/nvidiactl: %s; join the group video", strerror(errno));
    else
        say(doctor, FINE, "gpu", "an NVIDIA GPU can be used");
}

static void check_ring(struct doctor *doctor, enum ring_kind kind, const char *program)
{
    const char *name = kind == RING_KIND_FRAMES ? "frames" : "packets";
    struct ring_info info;
    int error = ring_inspect(doctor->dir, doctor->stream, kind, &info);

    if (error < 0)
        say(doctor, WARNING, name, "nobody produces '%s' (%s); start %s", doctor->stream,
            strerror(-error), program);
    else
        say(doctor, FINE, name, "process %d, %" PRIu64 " so far, %u readers", info.pid, info.newest,
            info.consumer_count);
}

static void check_daemon(struct doctor *doctor)
{
    struct health health;
    int error = health_get(doctor->port, &health);

    if (error < 0) {
        say(doctor, CRITICAL, "simcastd", "port %u: %s; start simcastd, or name its port by --port",
            (unsigned)doctor->port, strerror(-error));
        return;
    }
    say(doctor, FINE, "simcastd", "port %u, %u clients", (unsigned)doctor->port, health.clients);
    if (strcmp(health.gate, "ESTOP") == 0)
        say(doctor, CRITICAL, "gate", "ESTOP (%s); an operator has to clear it",
            health.gate_reason);
    else if (strcmp(health.gate, "HOLD") == 0 && strcmp(health.gate_reason, "no_video") == 0)
        say(doctor, WARNING, "gate", "HOLD (no_video): the video does not arrive");
    else
        say(doctor, FINE, "gate", "%s (%s)", health.gate, health.gate_reason);
}

static void print_help(void)
{
    puts("Usage: simcast doctor [OPTION]...\n"
         "Says what is wrong on this machine and what to do. Changes nothing.\n"
         "Exit code: 0 fine, 1 warning, 2 critical, 3 wrong options.\n\n"
         "  --ipc-dir DIR   where the rings' sockets lie (SIMCAST_IPC_DIR; " RING_DIR_DEFAULT ")\n"
         "  --stream NAME   the stream (SIMCAST_STREAM; front)\n"
         "  --port N        of simcastd on this machine (8080)\n"
         "  --help");
}

/* Returns whether to go on; else doctor->worst is the exit code. */
static bool read_options(struct doctor *doctor, int argc, char **argv)
{
    static const struct option options[] = {
        {"ipc-dir", required_argument, NULL, 'd'},
        {"stream", required_argument, NULL, 's'},
        {"port", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int found;
    long port = doctor->port;

    optind = 1;
    while ((found = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (found == 'd') {
            doctor->dir = optarg;
        } else if (found == 's') {
            doctor->stream = optarg;
        } else if (found == 'p') {
            port = strtol(optarg, NULL, 10);
        } else {
            if (found == 'h')
                print_help();
            doctor->worst = found == 'h' ? FINE : USAGE;
            return false;
        }
    }
    if (optind < argc || port < 1 || port > UINT16_MAX) {
        log_error("doctor: expected --port from 1 to 65535 and no other words; see --help");
        doctor->worst = USAGE;
        return false;
    }
    doctor->port = (uint16_t)port;
    return true;
}

int doctor_main(int argc, char **argv)
{
    const char *dir = getenv("SIMCAST_IPC_DIR");
    const char *stream = getenv("SIMCAST_STREAM");
    struct doctor doctor = {
        .dir = dir ? dir : RING_DIR_DEFAULT,
        .stream = stream ? stream : "front",
        .port = 8080,
    };

    if (!read_options(&doctor, argc, argv))
        return doctor.worst;
    check_dir(&doctor);
    check_descriptors(&doctor);
    check_gpu(&doctor);
    check_ring(&doctor, RING_KIND_FRAMES, "a simulator");
    check_ring(&doctor, RING_KIND_PACKETS, "simcast-encoder");
    check_daemon(&doctor);
    return doctor.worst;
}
