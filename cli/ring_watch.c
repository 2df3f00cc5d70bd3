/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look a second until Ctrl-C; signals are blocked and taken where we sleep. On a terminal the
 * table is drawn anew each time, elsewhere each look adds a line per ring.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <getopt.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/ring_command.h"
#include "cli/ring_survey.h"
#include "cli/ring_table.h"
#include "cli/values.h"

#define SECONDS_MAX 86400
#define CLEAR_SCREEN "\033[H\033[J"

enum { FLAG_SECONDS = 1, FLAG_IPC_DIR, FLAG_HELP };

static const struct option flags[] = {
    {"seconds", required_argument, NULL, FLAG_SECONDS},
    {"ipc-dir", required_argument, NULL, FLAG_IPC_DIR},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static const char help[] =
    "Usage: simcast ring watch NAME[.KIND] [OPTION]...\n"
    "Shows the rings of a stream once a second until Ctrl-C; KIND is frames, packets, state,\n"
    "actions or gate. Not on a terminal: one line per ring and second. The columns are those of\n"
    "simcast ring list --help. Watching does not make anybody render.\n"
    "\n"
    "  --seconds N     stop after N looks\n"
    "  --ipc-dir DIR   where the rings are (SIMCAST_IPC_DIR, " RING_DIR_DEFAULT ")\n"
    "\n"
    "  simcast ring watch front\n"
    "  simcast ring watch front.packets --seconds 5\n";

struct watch {
    struct survey survey;
    char stream[RING_STREAM_BYTES];
    enum ring_kind kind; /* RING_KIND_COUNT: all that there are */
    uint64_t seconds;    /* 0: until a signal */
    bool terminal;
};

/* The rows of the stream; those of all kinds appear once their sockets do. */
static void refresh_rows(struct watch *watch)
{
    struct survey *survey = &watch->survey;

    if (watch->kind != RING_KIND_COUNT && survey->count == 1)
        return;
    for (unsigned kind = 0; kind < RING_KIND_COUNT; kind++) {
        struct survey_stream row = {.kind = (enum ring_kind)kind};
        bool known = false;
        for (unsigned i = 0; i < survey->count; i++)
            known = known || survey->streams[i].kind == row.kind;
        memcpy(row.stream, watch->stream, sizeof(row.stream));
        if (known || (watch->kind != RING_KIND_COUNT && watch->kind != row.kind) ||
            ring_socket_path(survey->dir, row.stream, row.kind, row.path, sizeof(row.path)) < 0)
            continue;
        if (watch->kind == row.kind || access(row.path, F_OK) == 0)
            survey->streams[survey->count++] = row;
    }
}

static void show(const struct watch *watch)
{
    const struct survey *survey = &watch->survey;

    if (watch->terminal)
        printf(CLEAR_SCREEN "%s in %s, once a second; Ctrl-C ends\n\n", watch->stream, survey->dir);
    if (survey->count == 0)
        printf("%s  no ring of this stream in %s yet\n", watch->stream, survey->dir);
    else if (watch->terminal)
        ring_table_print(survey, stdout);
    else
        for (unsigned i = 0; i < survey->count; i++)
            ring_table_print_line(&survey->streams[i], stdout);
    fflush(stdout);
}

/* Returns whether to go on. */
static bool sleep_until(int64_t due_ns, const sigset_t *ends)
{
    struct timespec timeout;
    int number;

    do {
        int64_t left_ns = due_ns - clock_now_ns();
        left_ns = left_ns > 0 ? left_ns : 0;
        timeout = (struct timespec){.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
        number = sigtimedwait(ends, NULL, &timeout);
    } while (number < 0 && errno == EINTR);
    return number < 0;
}

static void look(struct watch *watch)
{
    refresh_rows(watch);
    for (unsigned i = 0; i < watch->survey.count; i++)
        survey_look(watch->survey.dir, &watch->survey.streams[i]);
}

static int run(struct watch *watch)
{
    sigset_t ends;
    int64_t due_ns = clock_now_ns();

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    look(watch); /* the first rates need a look before them */
    for (uint64_t looks = 0; watch->seconds == 0 || looks < watch->seconds; looks++) {
        due_ns += NS_PER_S;
        if (!sleep_until(due_ns, &ends))
            break;
        look(watch);
        show(watch);
        if (ferror(stdout))
            return 1; /* nobody reads us any more */
    }
    return 0;
}

static int refuse(const char *what, const char *which)
{
    log_error("ring watch: %s '%.80s'; try simcast ring watch --help", what, which);
    return EX_CONFIG;
}

int ring_watch_main(int argc, char **argv)
{
    static struct watch watch; /* large for a stack */
    int flag;

    watch.survey.dir = value_ipc_dir();
    watch.terminal = isatty(STDOUT_FILENO);
    optind = 0; /* glibc: start anew */
    while ((flag = getopt_long(argc, argv, ":", flags, NULL)) != -1) {
        if (flag == FLAG_HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (flag == FLAG_IPC_DIR)
            watch.survey.dir = optarg;
        else if (flag != FLAG_SECONDS)
            return refuse("unknown option, or one without its value,", argv[optind - 1]);
        else if (!value_number(optarg, 1, SECONDS_MAX, &watch.seconds))
            return refuse("--seconds: expected a whole number from 1 to 86400, got", optarg);
    }
    if (optind != argc - 1)
        return refuse("expected the name of one stream after", argv[0]);
    if (survey_parse(argv[optind], watch.stream, &watch.kind) < 0)
        return refuse("no stream can be called", argv[optind]);
    return run(&watch);
}
