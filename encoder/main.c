/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-encoder: options, signals, and the loop that looks after the cameras and tells systemd
 * that they move. Each camera has a thread of its own; rings' doors, JPEG and libx264 have theirs.
 */
#include <errno.h>
#include <poll.h>
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
#include "encoder/cameras.h"
#include "encoder/options.h"

#define TICK_MS 1000
#define STATUS_BYTES 512
/* A camera that encodes for longer than this is stuck. */
#define STUCK_NS (5 * NS_PER_S)

/* What is told to systemd, once per tick. */
struct report {
    bool watched;
    bool stuck_named;
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

/* The watchdog is fed for as long as every camera moves. */
static void feed_watchdog(struct report *report, struct cameras *cameras, int64_t now_ns)
{
    bool stuck = now_ns - cameras_alive_ns(cameras) > STUCK_NS;

    if (report->watched && !stuck)
        sd_notify(0, "WATCHDOG=1");
    if (stuck && !report->stuck_named)
        log_warning("a camera has not moved for %d s; %s", (int)(STUCK_NS / NS_PER_S),
                    report->watched ? "systemd will restart this process"
                                    : "its encoder hangs or has no processor time");
    report->stuck_named = stuck;
}

static void report_tick(struct report *report, struct cameras *cameras)
{
    char status[STATUS_BYTES];
    int64_t now_ns = clock_now_ns();

    if (now_ns < report->next_ns)
        return;
    report->next_ns = now_ns + report->tick_ms * NS_PER_MS;
    feed_watchdog(report, cameras, now_ns);
    cameras_describe(cameras, status, sizeof(status));
    if (strcmp(status, report->status) == 0)
        return;
    memcpy(report->status, status, sizeof(status));
    sd_notifyf(0, "STATUS=%s", status);
    log_debug("%s", status);
}

/* Runs until a signal says stop. */
static int run(struct cameras *cameras, int signal_fd)
{
    struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                           {.fd = cameras_fd(cameras), .events = POLLIN}};
    struct report report;

    report_init(&report);
    sd_notify(0, "READY=1");
    for (;;) {
        if (poll(fds, 2, report.tick_ms) < 0 && errno != EINTR) {
            log_error("poll failed: %s", strerrordesc_np(errno));
            return EXIT_FAILURE;
        }
        if (fds[0].revents)
            return EXIT_SUCCESS;
        cameras_tick(cameras);
        report_tick(&report, cameras);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct cameras *cameras;

    log_init("simcast-encoder", LOG_LEVEL_INFO);
    enum option_result result = options_read(argc, argv, &options);
    if (result != OPTION_GO)
        return result == OPTION_DONE ? EXIT_SUCCESS : EX_CONFIG;
    log_init("simcast-encoder", options.log_level);
    int signal_fd = open_signals();
    if (signal_fd < 0) {
        log_error("cannot receive signals: %s", strerrordesc_np(-signal_fd));
        return EXIT_FAILURE;
    }
    int rc = cameras_open(&options.cameras, &cameras);
    if (rc < 0)
        return rc == -ENAMETOOLONG || rc == -EINVAL ? EX_CONFIG : EXIT_FAILURE;
    int code = run(cameras, signal_fd);
    sd_notify(0, "STOPPING=1");
    cameras_close(cameras);
    close(signal_fd);
    return code;
}
