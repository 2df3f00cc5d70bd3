/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishes a recording with its own timing. What moves a robot, or opens a gate, is left out
 * unless the person says otherwise: a replayed command is as good as a fresh one.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/jetstream.h"
#include "cli/bus_command.h"
#include "cli/bus_link.h"
#include "cli/bus_options.h"
#include "cli/recording.h"
#include "proto/command.h"

#define SPEED_MAX 1000
#define SINCE_S_MAX 31536000
#define FROM_JETSTREAM "jetstream:"

static const char before[] =
    "Usage: simcast bus replay FILE|jetstream:STREAM [OPTION]...\n"
    "Publishes a recording of simcast bus sub --record, or what a NATS server recorded (simcast\n"
    "bus setup --record), each message when it came then.\n"
    "Commands, and the telemetry of the safety gates that others obey, are left out unless you\n"
    "ask for them.\n"
    "\n";
static const char after[] =
    "\n"
    "  simcast bus replay drive.jsonl\n"
    "  simcast bus replay jetstream:TELEMETRY --since 600\n"
    "  simcast bus replay drive.jsonl --only 'telemetry.training.>' --speed 4\n"
    "  simcast bus replay drive.jsonl --motion         the robot moves as it did\n"
    "Exit status: 0 replayed, 78 a wrong option or recording, 1 anything else.\n";

struct replay {
    struct bus_options bus;
    const char *path;
    const char *only; /* NULL: all */
    double speed;
    bool commands;
    bool motion;
    uint32_t since_s; /* of JetStream; 0: all */
    uint64_t published;
    uint64_t left_out;
    uint64_t refused; /* by the bus */
};

static bool take_operand(void *into, const char *word)
{
    struct replay *replay = into;

    if (replay->path)
        return false;
    replay->path = word;
    return true;
}

static bool read_speed(void *into, const char *value)
{
    char *end;
    double speed = strtod(value, &end);

    if (end == value || *end != '\0' || !(speed > 0) || speed > SPEED_MAX)
        return false;
    ((struct replay *)into)->speed = speed;
    return true;
}

static bool read_only(void *into, const char *value)
{
    ((struct replay *)into)->only = value;
    return *value != '\0';
}

static bool read_since(void *into, const char *value)
{
    return option_whole(value, 1, SINCE_S_MAX, &((struct replay *)into)->since_s);
}

static bool read_commands(void *into, const char *value)
{
    (void)value;
    ((struct replay *)into)->commands = true;
    return true;
}

static bool read_motion(void *into, const char *value)
{
    (void)value;
    ((struct replay *)into)->motion = true;
    ((struct replay *)into)->commands = true;
    return true;
}

static const struct option_row rows[] = {
    {"speed", NULL, NULL, "X", read_speed, "a number above 0 and up to 1000",
     "so many times as fast (default 1)"},
    {"only", NULL, NULL, "PATTERN", read_only, "a pattern", "only subjects that match"},
    {"since", NULL, NULL, "N", read_since, "a whole number of seconds",
     "of JetStream: only the last N seconds"},
    {"commands", NULL, NULL, NULL, read_commands, "nothing",
     "commands too, but none that moves the robot"},
    {"motion", NULL, NULL, NULL, read_motion, "nothing",
     "all commands: THE ROBOT MOVES as it did then"},
};

/* Whatever stands under command. may be obeyed by somebody, known to us or not. */
static bool is_wanted(const struct replay *replay, const char *subject)
{
    enum command_action action;

    if (replay->only && !bus_subject_matches(replay->only, subject))
        return false;
    if (bus_subject_matches("telemetry.safety.>", subject))
        return replay->commands;
    if (!bus_subject_matches("command.>", subject))
        return true;
    if (command_action_of_subject(subject, &action) < 0 || command_is_motion(action))
        return replay->motion;
    return replay->commands;
}

/* Where the messages come from: one of the two. */
struct source {
    struct recording *recording;
    struct jetstream *jetstream;
    int64_t first_wall_ns; /* of JetStream; 0: none came yet */
    char reason[JETSTREAM_REASON_BYTES];
};

/* Returns 0, or an exit code after saying why. */
static int open_source(const struct replay *replay, struct source *source)
{
    const char *stream = replay->path + strlen(FROM_JETSTREAM);
    int error;

    snprintf(source->reason, sizeof(source->reason), "no memory");
    if (strncmp(replay->path, FROM_JETSTREAM, strlen(FROM_JETSTREAM)) != 0) {
        error = recording_open(replay->path, &source->recording);
        snprintf(source->reason, sizeof(source->reason), "%s",
                 error == -EPROTO ? "it is no recording of simcast bus sub --record"
                                  : strerrordesc_np(-error));
    } else {
        error = jetstream_open(replay->bus.url ? replay->bus.url : "", &source->jetstream,
                               source->reason);
        if (error == 0)
            error = jetstream_read_begin(source->jetstream, stream, replay->since_s * NS_PER_S,
                                         source->reason);
    }
    if (error == 0)
        return 0;
    log_error("bus replay: cannot replay %s: %s", replay->path, source->reason);
    return EX_CONFIG;
}

static void close_source(struct source *source)
{
    recording_close(source->recording);
    jetstream_close(source->jetstream);
}

/* Errors: -ENODATA the end; else source->reason says why. */
static int next_message(struct source *source, int64_t *ret_since_ns,
                        struct bus_message *ret_message)
{
    int64_t wall_ns;

    if (source->recording)
        return recording_next(source->recording, ret_since_ns, ret_message, source->reason);
    int error = jetstream_read_next(source->jetstream, &wall_ns, ret_message);
    if (error < 0) {
        snprintf(source->reason, sizeof(source->reason), "the server does not answer");
        return error;
    }
    if (source->first_wall_ns == 0)
        source->first_wall_ns = wall_ns;
    *ret_since_ns = wall_ns - source->first_wall_ns;
    return 0;
}

/* Returns 0, or an exit code after saying why. */
static int publish_all(struct replay *replay, struct source *source, struct bus_link *link)
{
    int64_t began_ns = clock_now_ns();
    struct bus_message heard;
    struct bus_message message;
    int64_t since_ns;
    int error;

    while ((error = next_message(source, &since_ns, &message)) == 0) {
        if (!is_wanted(replay, message.subject)) {
            replay->left_out++;
            continue;
        }
        int64_t due_ns = began_ns + llround((double)since_ns / replay->speed);
        if (bus_link_next(link, due_ns, &heard) == BUS_LINK_QUIT)
            return 1;
        error = bus_link_publish(link, &message);
        *(error < 0 ? &replay->refused : &replay->published) += 1;
    }
    if (error == -ENODATA)
        return 0;
    log_error("bus replay: %s: %s; what stood before it was published", replay->path,
              source->reason);
    return EX_CONFIG;
}

static int run(struct replay *replay)
{
    struct source source = {0};
    struct bus_link link;
    int code = open_source(replay, &source);

    if (code == 0)
        code = bus_link_open(&replay->bus, NULL, &link);
    if (code == 0) {
        code = publish_all(replay, &source, &link);
        bus_link_close(&link);
        printf("%llu published, %llu left out, %llu refused by the bus\n",
               (unsigned long long)replay->published, (unsigned long long)replay->left_out,
               (unsigned long long)replay->refused);
        if (replay->left_out > 0 && !replay->motion && !replay->only)
            fputs(
                "simcast: left out are commands and the gates' telemetry; --commands and --motion "
                "replay them\n",
                stderr);
    }
    close_source(&source);
    return code == 0 && replay->refused > 0 ? 1 : code;
}

int bus_replay_main(int argc, char **argv)
{
    struct replay replay = {.bus = bus_options_defaults(), .speed = 1};
    const struct bus_action action = {
        .name = "simcast bus replay",
        .before = before,
        .after = after,
        .own = {rows, sizeof(rows) / sizeof(rows[0]), &replay},
        .operand = take_operand,
        .options = &replay.bus,
    };
    enum option_result result = bus_options_read(&action, argc, argv);

    if (result != OPTION_GO)
        return result == OPTION_DONE ? 0 : EX_CONFIG;
    if (!replay.path) {
        log_error("bus replay: give a FILE that simcast bus sub --record wrote");
        return EX_CONFIG;
    }
    return run(&replay);
}
