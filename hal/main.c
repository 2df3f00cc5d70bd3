/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-hal: the robot's control loop. The loops have threads of their own (hal.c); this one
 * waits for signals, tells the bus and systemd once a second how the loops do, and ends
 * everything on SIGTERM or SIGINT. A bus that is away costs the telemetry, nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sysexits.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus.h"
#include "hal/dump.h"
#include "hal/game_loop.h"
#include "hal/hal.h"
#include "hal/options.h"
#include "hal/report.h"

struct reporter {
    struct bus *bus;
    struct hal *hal;
    const char *stream;
    struct stats_values before;
    struct stats_values now;
    char json[HAL_REPORT_BYTES];
    char loop[HAL_LOOP_BYTES];
};

/* Blocked before any thread starts, so that all inherit it and only the descriptor tells. */
static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_bus(const char *url, struct bus **ret_bus)
{
    struct bus_config config = {.url = url, .name = "simcast-hal"};
    int error = bus_open(&config, ret_bus);

    if (error < 0 && error != -ENOKEY) /* said already */
        log_error("cannot use the bus '%s': %s: --bus takes nats://host:4222 or ipc:///directory",
                  url, strerrordesc_np(-error));
    return error;
}

static void tell(struct reporter *reporter)
{
    struct bus_message stats = {.subject = HAL_REPORT_SUBJECT, .payload = reporter->json};
    struct bus_message loop = {.subject = HAL_LOOP_SUBJECT, .payload = reporter->loop};
    const char *policy = hal_policy(reporter->hal)->name;

    hal_stats(reporter->hal, &reporter->now);
    stats.payload_bytes = hal_report(policy, &reporter->before, &reporter->now, reporter->json);
    loop.payload_bytes = hal_report_loop(reporter->stream, policy, &reporter->now, reporter->loop);
    (void)bus_publish(reporter->bus, BUS_LANE_NORMAL, &stats);
    (void)bus_publish(reporter->bus, BUS_LANE_NORMAL, &loop);
    log_debug("%s", reporter->json);
    /* The watchdog is fed by a loop that makes progress, not by this thread alone. */
    if (reporter->now.periods != reporter->before.periods)
        sd_notify(0, "WATCHDOG=1");
    reporter->before = reporter->now;
}

static void run_until_signal(struct reporter *reporter, int signal_fd)
{
    struct pollfd fd = {.fd = signal_fd, .events = POLLIN};
    int64_t due_ns = clock_now_ns() + NS_PER_S;

    sd_notify(0, "READY=1");
    while (fd.revents == 0) {
        int64_t left_ms = (due_ns - clock_now_ns()) / NS_PER_MS;
        poll(&fd, 1, left_ms > 0 ? (int)left_ms : 0);
        if (clock_now_ns() < due_ns)
            continue;
        tell(reporter);
        due_ns = clock_now_ns() + NS_PER_S;
    }
    sd_notify(0, "STOPPING=1");
}

static int drive(const struct hal_options *options, int signal_fd)
{
    static struct reporter reporter; /* large: some histograms */
    int error = open_bus(options->bus_url, &reporter.bus);

    reporter.stream = options->hal.stream;
    if (error == 0)
        error = hal_create(&options->hal, &reporter.hal);
    if (error == 0) {
        const struct policy *policy = hal_policy(reporter.hal);
        log_info("stream '%s' in %s, policy %s (version %s), %u Hz", options->hal.stream,
                 options->hal.dir, policy->name, policy->version, options->hal.rate_hz);
        run_until_signal(&reporter, signal_fd);
        log_info("stopping");
    }
    hal_destroy(reporter.hal);
    bus_close(reporter.bus);
    return error;
}

static int run(const struct hal_options *options, int signal_fd)
{
    switch (options->task) {
    case HAL_TASK_DUMP:
        return hal_dump(options->hal.dir, options->hal.stream, options->seconds, signal_fd);
    case HAL_TASK_GAME_LOOP:
        return game_loop_run(&options->hal, options->seconds, signal_fd);
    case HAL_TASK_RUN:
        break;
    }
    return drive(options, signal_fd);
}

/* Names, values and files that a user gave; everything else is the machine's. */
static bool is_configuration(int error)
{
    return error == -EINVAL || error == -ENAMETOOLONG || error == -ENOENT || error == -EPROTO ||
           error == -EPROTONOSUPPORT || error == -ERANGE;
}

int main(int argc, char **argv)
{
    struct hal_options options;
    enum option_result parsed = hal_options_parse(argc, argv, &options);

    if (parsed != OPTION_GO)
        return parsed == OPTION_DONE ? EX_OK : EX_CONFIG;
    log_init("simcast-hal", options.log_level);
    int signal_fd = open_signals();
    if (signal_fd < 0) {
        log_error("cannot catch signals: %s", strerrordesc_np(errno));
        return EXIT_FAILURE;
    }
    int error = run(&options, signal_fd);
    close(signal_fd);
    if (error < 0)
        return is_configuration(error) ? EX_CONFIG : EXIT_FAILURE;
    return EX_OK;
}
