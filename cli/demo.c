/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns everything that the demo starts, and ends it in the reverse order. One loop on the main
 * thread over signals and children; the built-in viewer has a thread of its own. What cannot be
 * started ends the demo with one sentence; what dies later is started again.
 */
#include "cli/demo.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/children.h"
#include "cli/demo_options.h"
#include "cli/health.h"
#include "cli/ipc_dir.h"
#include "cli/observer.h"
#include "cli/programs.h"
#include "cli/report.h"
#include "cli/walk.h"
#include "cli/ws_client.h"

#define STREAM "front"
#define TICK_MS 100
#define FORWARD_MPS 0.4
#define FIRST_FRAME_PATIENCE_NS (30 * NS_PER_S)
#define TEXT_BYTES 96

/* A program's path and arguments, in memory that lives as long as the demo. */
struct command_line {
    char path[PROGRAM_PATH_BYTES];
    const char *argv[CHILD_ARGS_MAX];
    unsigned argc;
};

struct demo {
    struct demo_options options;
    struct ipc_dir ipc_dir;
    int signal_fd;
    struct children *children;
    struct observer *observer;
    struct ws_client *client; /* NULL: nobody but browsers watches */
    struct walk *walk;        /* NULL: nobody asked how it walks */
    struct command_line nats, daemon, encoder, sim, hal;
    char bus_url[TEXT_BYTES];
    char nats_port[TEXT_BYTES];
    char listen[TEXT_BYTES];

    int64_t start_ns;
    int64_t status_ns;          /* when the last status line was written */
    uint64_t counted;           /* frames that the last status line knew of */
    struct histogram to_packet; /* since then */
    struct measure measure;     /* the client's, as last read */
};

/* ---- the programs ------------------------------------------------------------------------- */

static int resolve(struct command_line *line, const char *name, const char *folder)
{
    int error = program_find(name, folder, line->path);

    if (error < 0) {
        log_error("demo: there is no program %s beside this one nor in PATH; %s", name,
                  folder ? "build it or install simcast" : "install its Debian package");
        return error;
    }
    line->argv[0] = line->path;
    line->argc = 1;
    return 0;
}

static void add(struct command_line *line, const char *flag, const char *value)
{
    const char *both[] = {flag, value};

    for (unsigned i = 0; i < 2 && both[i]; i++) {
        if (line->argc < CHILD_ARGS_MAX - 1)
            line->argv[line->argc++] = both[i];
    }
}

static void add_common(struct demo *demo, struct command_line *line)
{
    add(line, "--ipc-dir", demo->ipc_dir.path);
    add(line, "--stream", STREAM);
    add(line, "--log-level", demo->options.log_level);
}

static int prepare_nats(struct demo *demo)
{
    uint16_t port = 0;
    int error = resolve(&demo->nats, "nats-server", NULL);

    if (error == 0)
        error = port_find(&port);
    snprintf(demo->nats_port, sizeof(demo->nats_port), "%u", (unsigned)port);
    snprintf(demo->bus_url, sizeof(demo->bus_url), "nats://127.0.0.1:%u", (unsigned)port);
    add(&demo->nats, "--addr", "127.0.0.1");
    add(&demo->nats, "--port", demo->nats_port);
    return error;
}

static int prepare_hal(struct demo *demo)
{
    int error = resolve(&demo->hal, "simcast-hal", "hal");

    add_common(demo, &demo->hal);
    add(&demo->hal, "--bus", demo->bus_url);
    add(&demo->hal, "--policy", demo->options.policy);
    return error;
}

static int prepare_programs(struct demo *demo)
{
    const struct demo_options *options = &demo->options;

    if (options->nats) {
        int error = prepare_nats(demo);
        if (error < 0)
            return error;
    } else {
        snprintf(demo->bus_url, sizeof(demo->bus_url), "ipc://%s", demo->ipc_dir.path);
    }
    if (resolve(&demo->daemon, "simcastd", "daemon") < 0 ||
        resolve(&demo->encoder, "simcast-encoder", "encoder") < 0 ||
        resolve(&demo->sim, "simcast-sim", "sim") < 0)
        return -ENOENT;
    snprintf(demo->listen, sizeof(demo->listen), "127.0.0.1:%u", (unsigned)options->port);
    add_common(demo, &demo->daemon);
    add(&demo->daemon, "--listen", demo->listen);
    add(&demo->daemon, "--bus", demo->bus_url);
    add(&demo->daemon, "--video-source", "ring");
    add_common(demo, &demo->encoder);
    if (options->codec)
        add(&demo->encoder, "--codec", options->codec);
    add_common(demo, &demo->sim);
    add(&demo->sim, "--bus", demo->bus_url);
    if (options->size)
        add(&demo->sim, "--size", options->size);
    if (options->fps)
        add(&demo->sim, "--fps", options->fps);
    if (options->pattern)
        add(&demo->sim, "--pattern", NULL);
    return options->policy ? prepare_hal(demo) : 0;
}

static int start_programs(struct demo *demo)
{
    struct {
        const char *name;
        const struct command_line *line;
    } programs[] = {{"nats-server", &demo->nats},
                    {"simcastd", &demo->daemon},
                    {"simcast-encoder", &demo->encoder},
                    {"simcast-sim", &demo->sim},
                    {"simcast-hal", &demo->hal}};

    for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (programs[i].line->argc == 0)
            continue;
        int error = children_start(demo->children, programs[i].name, programs[i].line->argv);
        if (error < 0) {
            log_error("demo: cannot start %s: %s", programs[i].name, strerrordesc_np(-error));
            return error;
        }
    }
    return 0;
}

/* ---- the loop ----------------------------------------------------------------------------- */

static uint64_t frames_counted(const struct demo *demo)
{
    return demo->client ? demo->measure.frames : observer_seen(demo->observer)->frames_encoded;
}

/* On a terminal the status line is rewritten in place; elsewhere it is a line like any other. */
static void write_status(struct demo *demo, const char *text)
{
    FILE *out = demo->options.json ? stderr : stdout;

    if (isatty(fileno(out)))
        fprintf(out, "\r\033[K%s", text);
    else
        fprintf(out, "%s\n", text);
    fflush(out);
}

static void tell_status(struct demo *demo, int64_t now_ns)
{
    struct report_status status = {
        .elapsed_ns = now_ns - demo->start_ns,
        .seen = observer_seen(demo->observer),
        .to_viewer = demo->client != NULL,
    };
    char text[REPORT_BYTES];

    status.answering = health_get(demo->options.port, &status.health) == 0;
    status.fps = (double)(frames_counted(demo) - demo->counted) * (double)NS_PER_S /
                 (double)(now_ns - demo->status_ns);
    status.p50_ns = histogram_percentile_ns(
        demo->client ? &demo->measure.stages[MEASURE_LATENCY] : &demo->to_packet, 50);
    report_status(&status, text);
    write_status(demo, text);
    demo->status_ns = now_ns;
    demo->counted = frames_counted(demo);
    histogram_init(&demo->to_packet);
}

static void look(struct demo *demo)
{
    const struct observation *seen = observer_seen(demo->observer);
    uint64_t before = seen->frames_encoded;

    observer_look(demo->observer);
    if (seen->frames_encoded != before)
        histogram_record(&demo->to_packet, seen->to_packet_ns);
    if (demo->client)
        ws_client_read(demo->client, &demo->measure);
    if (demo->walk)
        walk_look(demo->walk);
}

/* Whether the time that was asked for is over. */
static bool is_over(const struct demo *demo, int64_t now_ns)
{
    int64_t first_ns = demo->measure.first_ns;

    if (demo->options.seconds == 0)
        return false;
    if (first_ns == 0)
        return now_ns - demo->start_ns > FIRST_FRAME_PATIENCE_NS;
    return now_ns - first_ns >= (int64_t)demo->options.seconds * NS_PER_S;
}

/* Runs until a signal, the end of the time, or a program that cannot run. */
static int loop(struct demo *demo)
{
    struct pollfd fds[] = {{.fd = demo->signal_fd, .events = POLLIN},
                           {.fd = children_fd(demo->children), .events = POLLIN}};
    int64_t look_ns = 0;

    for (;;) {
        poll(fds, 2, TICK_MS);
        int64_t now_ns = clock_now_ns();
        int error = children_serve(demo->children, now_ns);
        if (error < 0)
            return error;
        if (fds[0].revents)
            return 0;
        if (now_ns - look_ns < TICK_MS * NS_PER_MS)
            continue;
        look_ns = now_ns;
        look(demo);
        if (now_ns - demo->status_ns >= NS_PER_S)
            tell_status(demo, now_ns);
        if (is_over(demo, now_ns))
            return 0;
    }
}

/* ---- begin and end ------------------------------------------------------------------------ */

static int catch_signals(void)
{
    sigset_t signals;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int check_port(uint16_t port)
{
    int error = port_check(port);

    if (error == -EADDRINUSE)
        log_error("demo: port %u is taken by another program; choose another one with --port N",
                  (unsigned)port);
    else if (error < 0)
        log_error("demo: port %u cannot be used (%s); choose another one with --port N",
                  (unsigned)port, strerrordesc_np(-error));
    return error;
}

/* Everything between the directory and the loop. What was begun before an error is ended by end. */
static int begin(struct demo *demo)
{
    int error = prepare_programs(demo);

    if (error == 0)
        error = children_create(&demo->children);
    if (error == 0)
        error = start_programs(demo);
    if (error < 0)
        return error;
    error = observer_open(demo->ipc_dir.path, STREAM, &demo->observer);
    if (error == 0 && (demo->options.seconds > 0 || demo->options.json))
        error = ws_client_start(demo->options.port, &demo->client);
    if (error == 0 && demo->options.drive) {
        ws_client_drive(demo->client, FORWARD_MPS);
        error = walk_open(demo->ipc_dir.path, STREAM, &demo->walk);
    }
    if (error < 0)
        log_error("demo: cannot watch the video: %s", strerrordesc_np(-error));
    return error;
}

static void end(struct demo *demo)
{
    if (demo->observer)
        look(demo);
    if (demo->client)
        ws_client_stop(demo->client);
    children_destroy(demo->children);
}

/* Tells the result and returns the exit code. */
static int conclude(struct demo *demo, int error)
{
    const struct measure *measure = &demo->measure;
    const struct walk_result *walk = demo->walk ? walk_seen(demo->walk) : NULL;
    char text[REPORT_BYTES];

    if (isatty(fileno(demo->options.json ? stderr : stdout)))
        write_status(demo, "");
    if (measure->torn > 0)
        log_error("demo: %" PRIu64 " torn frames; the last one: %s", measure->torn,
                  measure->torn_why ? measure->torn_why : "a message that is too long");
    if (demo->client && measure->frames == 0)
        log_error("demo: no video flowed; --log-level info shows what the programs say");
    if (demo->client && demo->observer) {
        if (demo->options.json)
            report_json(measure, observer_seen(demo->observer), walk, text);
        else
            report_summary(measure, observer_seen(demo->observer), walk, text);
        puts(text);
    }
    bool failed = error < 0 || measure->torn > 0 || (demo->client && measure->frames == 0);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(struct demo *demo)
{
    int error = ipc_dir_create(&demo->ipc_dir);

    if (error < 0) {
        log_error("demo: cannot create a directory under $XDG_RUNTIME_DIR or /tmp: %s",
                  strerrordesc_np(-error));
        return EXIT_FAILURE;
    }
    demo->start_ns = demo->status_ns = clock_now_ns();
    error = begin(demo);
    if (error == 0) {
        fprintf(demo->options.json ? stderr : stdout,
                "simcast is at http://localhost:%u - Ctrl-C stops it\n",
                (unsigned)demo->options.port);
        error = loop(demo);
    }
    end(demo);
    int exit_code = conclude(demo, error);
    walk_close(demo->walk);
    observer_close(demo->observer);
    ipc_dir_remove(&demo->ipc_dir);
    return exit_code;
}

int demo_main(int argc, char **argv)
{
    static struct demo demo; /* large: some histograms */
    int exit_code;

    log_init("simcast", LOG_LEVEL_INFO);
    if (!demo_options_parse(argc, argv, &demo.options, &exit_code))
        return exit_code;
    if (check_port(demo.options.port) < 0)
        return EXIT_FAILURE;
    demo.signal_fd = catch_signals();
    if (demo.signal_fd < 0) {
        log_error("demo: cannot catch signals: %s", strerrordesc_np(errno));
        return EXIT_FAILURE;
    }
    exit_code = run(&demo);
    close(demo.signal_fd);
    return exit_code;
}
