/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-encoder: options, signals, and the loop that runs the stage and tells systemd that it
 * does. One thread of ours; the packet ring's door and libx264 have their own.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sysexits.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "encoder/options.h"
#include "encoder/stage.h"

#define TICK_MS 1000
#define STATUS_BYTES 256

/* What is told to systemd, once per tick. */
struct report {
    bool watched;
    int tick_ms;
    int64_t next_ns;
    char status[STATUS_BYTES];
};

static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (rc != 0)
        return -rc;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static void report_init(struct report *report)
{
    uint64_t watchdog_us = 0;

    *report = (struct report){.tick_ms = TICK_MS};
    report->watched = sd_watchdog_enabled(0, &watchdog_us) > 0;
    if (report->watched && watchdog_us / 2000 < TICK_MS)
        report->tick_ms = watchdog_us / 2000 > 0 ? (int)(watchdog_us / 2000) : 1;
}

static void report_tick(struct report *report, struct stage *stage)
{
    char status[STATUS_BYTES];
    int64_t now_ns = clock_now_ns();

    if (now_ns < report->next_ns)
        return;
    report->next_ns = now_ns + report->tick_ms * NS_PER_MS;
    if (report->watched)
        sd_notify(0, "WATCHDOG=1");
    stage_describe(stage, status, sizeof(status));
    if (strcmp(status, report->status) == 0)
        return;
    memcpy(report->status, status, sizeof(status));
    sd_notifyf(0, "STATUS=%s", status);
    log_debug("%s", status);
}

/* Runs until a signal says stop. */
static int run(struct stage *stage, int signal_fd)
{
    struct pollfd fds[STAGE_POLL_FDS_MAX + 1];
    struct report report;
    bool more = true;

    report_init(&report);
    sd_notify(0, "READY=1");
    for (;;) {
        unsigned count = stage_poll_fds(stage, fds);
        fds[count] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
        if (poll(fds, count + 1, more ? 0 : report.tick_ms) < 0 && errno != EINTR) {
            log_error("poll failed: %s", strerrordesc_np(errno));
            return EXIT_FAILURE;
        }
        if (fds[count].revents)
            return EXIT_SUCCESS;
        more = stage_step(stage);
        report_tick(&report, stage);
    }
}

static void log_summary(const struct rendition *rendition)
{
    const char *name = rendition_name(rendition);
    struct rendition_counts counts = rendition_counts(rendition);
    const struct histogram *times = rendition_encode_times(rendition);

    if (counts.encoded + counts.refused + counts.lost == 0)
        return;
    log_info("%s: %" PRIu64 " pictures encoded (%" PRIu64 " keyframes, %" PRIu64 " bytes, %" PRIu64
             " degraded), %" PRIu64 " over the rate, %" PRIu64 " refused, %" PRIu64 " lost",
             name, counts.encoded, counts.keyframes, counts.bytes, counts.degraded,
             counts.over_rate, counts.refused, counts.lost);
    if (times->count > 0) {
        log_info("%s: encode time: p50 %.2f ms, p99 %.2f ms, longest %.2f ms", name,
                 (double)histogram_percentile_ns(times, 50) / NS_PER_MS,
                 (double)histogram_percentile_ns(times, 99) / NS_PER_MS,
                 (double)times->max_ns / NS_PER_MS);
    }
}

static int report_open_failure(const struct stage_config *config, int error)
{
    const char *remedy = "check that the directory exists and is writable, and that memory is free";

    if (error == -EADDRINUSE)
        remedy = "another simcast-encoder serves this stream: stop it or choose another --stream";
    else if (error == -ENOSPC)
        remedy = "memory is full: choose a smaller --packet-bytes-max";
    else if (error == -EACCES)
        remedy = "give this user write access to the directory or choose another --ipc-dir";
    log_error("cannot serve %s/%s.packets: %s; %s", config->dir, config->stream,
              strerrordesc_np(-error), remedy);
    return error == -ENAMETOOLONG || error == -EINVAL ? EX_CONFIG : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options options;
    struct stage *stage;
    char reason[OPTIONS_REASON_BYTES];

    log_init("simcast-encoder", LOG_LEVEL_INFO);
    if (options_read(argc, argv, &options, reason) < 0) {
        log_error("%s", reason);
        return EX_CONFIG;
    }
    if (options.request == OPTIONS_HELP) {
        options_help();
        return EXIT_SUCCESS;
    }
    if (options.request == OPTIONS_VERSION) {
        puts("simcast-encoder " SIMCAST_VERSION);
        return EXIT_SUCCESS;
    }
    log_init("simcast-encoder", options.log_level);
    int signal_fd = open_signals();
    if (signal_fd < 0) {
        log_error("cannot receive signals: %s", strerrordesc_np(-signal_fd));
        return EXIT_FAILURE;
    }
    int rc = stage_open(&options.stage, &stage);
    if (rc < 0)
        return report_open_failure(&options.stage, rc);
    log_info("serving %s/%s.packets", options.stage.dir, options.stage.stream);
    int code = run(stage, signal_fd);
    sd_notify(0, "STOPPING=1");
    for (unsigned i = 0; i < stage_rendition_count(stage); i++)
        log_summary(stage_rendition(stage, i));
    stage_close(stage);
    close(signal_fd);
    return code;
}
