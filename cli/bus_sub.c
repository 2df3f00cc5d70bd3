/* SPDX-License-Identifier: Apache-2.0 */
/* Prints messages as they come, and keeps them in a file if told to. Nothing is held in memory. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/bus_command.h"
#include "cli/bus_link.h"
#include "cli/bus_options.h"
#include "cli/recording.h"

#define SECONDS_MAX 31536000
#define COUNT_MAX 1000000000

static const char before[] =
    "Usage: simcast bus sub [PATTERN]... [OPTION]...\n"
    "Prints each message as it comes: time, subject, payload. Without PATTERN: all telemetry and\n"
    "commands. Ctrl-C ends.\n"
    "\n";
static const char after[] =
    "\n"
    "  simcast bus sub 'telemetry.safety.>'\n"
    "  simcast bus sub --record drive.jsonl --seconds 60\n"
    "Exit status: 0, also when nothing came; 78 a wrong option, 1 anything else.\n";

struct sub {
    struct bus_options bus;
    struct bus_patterns patterns;
    uint32_t seconds; /* 0: until a signal */
    uint32_t count;   /* 0: no limit */
    const char *path; /* of the recording; NULL: none */
    bool json;
    FILE *file;
    int64_t first_ns; /* 0: nothing came yet */
};

static bool read_seconds(void *into, const char *value)
{
    return option_whole(value, 1, SECONDS_MAX, &((struct sub *)into)->seconds);
}

static bool read_count(void *into, const char *value)
{
    return option_whole(value, 1, COUNT_MAX, &((struct sub *)into)->count);
}

static bool read_record(void *into, const char *value)
{
    ((struct sub *)into)->path = value;
    return *value != '\0';
}

static bool read_json(void *into, const char *value)
{
    (void)value;
    ((struct sub *)into)->json = true;
    return true;
}

static const struct option_row rows[] = {
    {"record", NULL, NULL, "FILE", read_record, "a file",
     "keep them in FILE for simcast bus replay, and print none"},
    {"seconds", NULL, NULL, "N", read_seconds, "a whole number from 1", "end after N seconds"},
    {"count", NULL, NULL, "N", read_count, "a whole number from 1", "end after N messages"},
    {"json", NULL, NULL, NULL, read_json, "nothing",
     "print lines of JSON, as --record writes them"},
};

static void print_message(const struct bus_message *message)
{
    int64_t now_ns = clock_wall_ns();
    time_t seconds = now_ns / NS_PER_S;
    struct tm broken;
    char text[32];

    localtime_r(&seconds, &broken);
    strftime(text, sizeof(text), "%H:%M:%S", &broken);
    printf("%s.%03d %s ", text, (int)(now_ns % NS_PER_S / NS_PER_MS), message->subject);
    for (size_t i = 0; i < message->payload_bytes; i++) {
        unsigned char byte = (unsigned char)message->payload[i];
        putchar(byte < ' ' || byte > '~' ? '?' : byte);
    }
    putchar('\n');
}

/* Returns whether to go on. */
static bool keep(struct sub *sub, const struct bus_message *message)
{
    int64_t now_ns = clock_now_ns();
    FILE *file = sub->file ? sub->file : stdout;

    if (sub->first_ns == 0)
        sub->first_ns = now_ns;
    if (sub->file || sub->json)
        recording_write(file, now_ns - sub->first_ns, message);
    else
        print_message(message);
    if (!ferror(file) && (sub->file || fflush(file) == 0))
        return true;
    if (sub->file)
        log_error("bus sub: cannot write %s: %s; what came before is kept", sub->path,
                  strerrordesc_np(errno));
    return false;
}

static int receive(struct sub *sub, struct bus_link *link)
{
    int64_t due_ns = sub->seconds ? clock_now_ns() + (int64_t)sub->seconds * NS_PER_S : INT64_MAX;
    struct bus_counters counters;
    struct bus_message message;
    uint32_t count = 0;
    bool good = true;

    while (good && (sub->count == 0 || count < sub->count) &&
           bus_link_next(link, due_ns, &message) == BUS_LINK_MESSAGE) {
        good = keep(sub, &message);
        count++;
    }
    bus_counters(link->bus, &counters);
    if (sub->file)
        fprintf(stderr, "simcast: %u messages are in %s%s\n", count, sub->path,
                counters.dropped_in > 0 ? "; others came too fast to be kept" : "");
    return good ? 0 : 1;
}

static int run(struct sub *sub)
{
    struct bus_link link;

    if (sub->path) {
        sub->file = fopen(sub->path, "we");
        if (!sub->file || recording_begin(sub->file) < 0) {
            log_error("bus sub: cannot write %s: %s", sub->path, strerrordesc_np(errno));
            return 1;
        }
    }
    int code = bus_link_open(&sub->bus, sub->patterns.words, &link);
    if (code == 0) {
        code = receive(sub, &link);
        bus_link_close(&link);
    }
    if (sub->file && fclose(sub->file) != 0 && code == 0) {
        log_error("bus sub: cannot write %s: %s", sub->path, strerrordesc_np(errno));
        code = 1;
    }
    return code;
}

int bus_sub_main(int argc, char **argv)
{
    struct sub sub = {.bus = bus_options_defaults()};
    const struct bus_action action = {
        .name = "simcast bus sub",
        .before = before,
        .after = after,
        .own = {rows, sizeof(rows) / sizeof(rows[0]), &sub},
        .patterns = &sub.patterns,
        .options = &sub.bus,
    };
    enum option_result result = bus_options_read(&action, argc, argv);

    if (result != OPTION_GO)
        return result == OPTION_DONE ? 0 : EX_CONFIG;
    return run(&sub);
}
