/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-sim: a simulated quadruped whose camera feeds the frame ring. Three threads: physics
 * (world.c), rendering (stream.c), and this one, which waits for commands, ticks the safety
 * layer 50 times a second, and ends everything on SIGTERM or SIGINT.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "sim/control.h"
#include "sim/options.h"
#include "sim/stream.h"
#include "sim/world.h"

struct simulator {
    struct robot_link *link;
    struct world *worlds[OPTIONS_ENVS_MAX]; /* the first has the robot of the rings and the bus */
    struct stream *stream;
    struct control *control;
    int signal_fd;
    int timer_fd;
};

/* Blocked before any thread starts, so that all inherit it and only signal_fd reports them. */
static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_timer(void)
{
    struct itimerspec every = {.it_interval = {.tv_nsec = AUTHORITY_TICK_NS},
                               .it_value = {.tv_nsec = AUTHORITY_TICK_NS}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    if (fd >= 0 && timerfd_settime(fd, 0, &every, NULL) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* With a pattern the environments are in the pictures only. */
static int create_worlds(struct simulator *simulator, const struct stream_config *stream)
{
    unsigned count = stream->pattern || stream->envs < 1 ? 1 : stream->envs;
    int error = 0;

    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = world_create(!stream->pattern, &simulator->worlds[i]);
        if (error == 0 && i > 0)
            world_follow(simulator->worlds[i], simulator->worlds[0], i);
    }
    return error;
}

static int start(struct simulator *simulator, const struct options *options)
{
    int error;

    simulator->signal_fd = open_signals();
    simulator->timer_fd = open_timer();
    if (simulator->signal_fd < 0 || simulator->timer_fd < 0) {
        error = -errno;
        log_error("cannot start: %s", strerrordesc_np(-error));
        return error;
    }
    error = robot_link_open(options->stream.dir, options->stream.name, &simulator->link);
    if (error < 0)
        return error;
    error = create_worlds(simulator, &options->stream);
    if (error < 0)
        return error;
    world_link(simulator->worlds[0], simulator->link);
    error = stream_create(&options->stream, simulator->worlds, &simulator->stream);
    if (error < 0)
        return error;
    return control_create(options->bus_url, &options->safety, simulator->worlds[0],
                          simulator->stream, &simulator->control);
}

static void stop(struct simulator *simulator)
{
    control_destroy(simulator->control);
    stream_destroy(simulator->stream);
    for (unsigned i = OPTIONS_ENVS_MAX; i > 0; i--)
        world_destroy(simulator->worlds[i - 1]); /* who follows goes before who leads */
    robot_link_close(simulator->link);
    if (simulator->timer_fd >= 0)
        close(simulator->timer_fd);
    if (simulator->signal_fd >= 0)
        close(simulator->signal_fd);
}

static void run_until_signal(struct simulator *simulator)
{
    struct pollfd fds[] = {
        {.fd = simulator->signal_fd, .events = POLLIN},
        {.fd = simulator->timer_fd, .events = POLLIN},
        {.fd = control_fd(simulator->control), .events = POLLIN},
    };

    while (fds[0].revents == 0) {
        if (poll(fds, 3, -1) < 0)
            continue;
        if (fds[2].revents != 0)
            control_take_commands(simulator->control);
        if (fds[1].revents != 0) {
            uint64_t expired;
            ssize_t got = read(simulator->timer_fd, &expired, sizeof(expired));
            /* Ticks that were missed are not made up for: the authority goes by the clock. */
            if (got == sizeof(expired))
                control_tick(simulator->control);
        }
    }
}

int main(int argc, char **argv)
{
    struct simulator simulator = {.signal_fd = -1, .timer_fd = -1};
    static struct options options; /* the stream keeps pointers to its names */
    enum option_result parsed = options_parse(argc, argv, &options);

    if (parsed != OPTION_GO)
        return parsed == OPTION_DONE ? EX_OK : EX_CONFIG;
    log_init("simcast-sim", options.log_level);
    int error = start(&simulator, &options);
    if (error == 0) {
        log_info("stream '%s' in %s, %s, %ux%u at %u fps, bus %s", options.stream.name,
                 options.stream.dir, options.stream.pattern ? "test pattern" : "quadruped",
                 options.stream.size.width, options.stream.size.height, options.stream.fps,
                 options.bus_url);
        run_until_signal(&simulator);
        log_info("stopping");
    }
    stop(&simulator);
    if (error < 0)
        return error == -EINVAL ? EX_CONFIG : 1;
    return EX_OK;
}
