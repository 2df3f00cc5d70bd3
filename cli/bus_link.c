/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one bus and a signalfd. Whatever keeps it from connecting is said with what to do. */
#include "cli/bus_link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/command.h"

#define LOOK_MS 10 /* a bus has no descriptor that tells of its state; we wait for it only here */
#define SEND_TIMEOUT_NS NS_PER_S

static int open_signals(void)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Returns 0, or an exit code. */
static int wait_connected(struct bus_link *link, uint32_t timeout_s)
{
    struct pollfd signal_fd = {.fd = link->signal_fd, .events = POLLIN};
    int64_t until_ns = clock_now_ns() + (int64_t)timeout_s * NS_PER_S;

    while (bus_state(link->bus) != BUS_CONNECTED) {
        if (timeout_s > 0 && clock_now_ns() > until_ns) {
            log_error("nobody serves the bus %s after %u s: %s, or name another by --bus",
                      link->shown_url, timeout_s,
                      strncmp(link->shown_url, "ipc://", 6) == 0 ? "start simcastd"
                                                                 : "start its NATS server");
            return 1;
        }
        if (poll(&signal_fd, 1, LOOK_MS) > 0)
            return 1;
    }
    return 0;
}

int bus_link_open(const struct bus_options *options, const char *const *patterns,
                  struct bus_link *ret_link)
{
    struct bus_link link = {.signal_fd = open_signals()};
    char url[PATH_MAX + 8];
    struct bus_config config = {.url = options->url ? options->url : url, .name = "simcast bus"};

    snprintf(url, sizeof(url), "ipc://%s", options->ipc_dir);
    for (unsigned i = 0; patterns && patterns[i] && i < BUS_SUBSCRIPTIONS_MAX; i++)
        config.subscriptions[i] = patterns[i];
    bus_url_show(config.url, link.shown_url, sizeof(link.shown_url));
    int error = link.signal_fd < 0 ? -errno : bus_open(&config, &link.bus);
    if (error == -EINVAL)
        log_error("'%s' is no bus, or a subject is none: give nats://host:4222 or "
                  "ipc:///directory, and subjects such as telemetry.> or command.genesis.estop",
                  link.shown_url);
    else if (error < 0 && error != -ENOKEY)
        log_error("cannot open the bus %s: %s", link.shown_url, strerrordesc_np(-error));
    int code = error == 0 ? wait_connected(&link, options->timeout_s) : EX_CONFIG;
    if (code != 0) {
        bus_link_close(&link);
        return code;
    }
    *ret_link = link;
    return 0;
}

void bus_link_close(struct bus_link *link)
{
    bus_close(link->bus);
    if (link->signal_fd >= 0)
        close(link->signal_fd);
}

enum bus_link_event bus_link_next(struct bus_link *link, int64_t due_ns,
                                  struct bus_message *ret_message)
{
    struct pollfd fds[] = {
        {.fd = link->signal_fd, .events = POLLIN},
        {.fd = bus_fd(link->bus), .events = POLLIN},
    };

    while (true) {
        int64_t left_ns = due_ns - clock_now_ns();
        struct timespec left = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};

        if (left_ns <= 0)
            return BUS_LINK_DUE;
        ppoll(fds, sizeof(fds) / sizeof(fds[0]), due_ns == INT64_MAX ? NULL : &left, NULL);
        if (fds[0].revents)
            return BUS_LINK_QUIT;
        if (fds[1].revents && bus_take(link->bus, ret_message) == 0)
            return BUS_LINK_MESSAGE;
    }
}

int bus_link_publish(struct bus_link *link, const struct bus_message *message)
{
    struct bus_counters before;
    struct bus_counters now;
    bool stop = strcmp(message->subject, command_subject(COMMAND_ESTOP)) == 0;
    int64_t until_ns = clock_now_ns() + SEND_TIMEOUT_NS;

    bus_counters(link->bus, &before);
    int error = bus_publish(link->bus, stop ? BUS_LANE_STOP : BUS_LANE_NORMAL, message);
    if (error < 0)
        return error;
    do {
        bus_counters(link->bus, &now);
        if (now.published > before.published)
            return 0;
    } while (now.dropped_out == before.dropped_out && clock_now_ns() < until_ns &&
             poll(NULL, 0, 1) == 0);
    return -EPIPE;
}
