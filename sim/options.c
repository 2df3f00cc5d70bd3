/* SPDX-License-Identifier: Apache-2.0 */
/* Reads argv and the environment once, on the main thread; a wrong value ends the program. */
#include "sim/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>

#include "shm/ring.h"

#define FPS_MAX 240
#define SIDE_MAX 4096

static const char help_text[] =
    "simcast-sim: a simulated quadruped (or a test pattern) as a source of camera frames\n"
    "\n"
    "Usage: simcast-sim [OPTION]...\n"
    "\n"
    "  --ipc-dir DIR     where rings and local bus meet   (SIMCAST_IPC_DIR, " RING_DIR_DEFAULT ")\n"
    "  --stream NAME     name of the frame ring           (SIMCAST_STREAM, front)\n"
    "  --bus URL         nats://host:4222 or ipc:///dir   (SIMCAST_BUS_URL, SDR_NATS_URL,\n"
    "                                                      ipc://<ipc-dir>)\n"
    "  --size WxH        picture at start                 (640x480)\n"
    "  --max-size WxH    largest that camera_res may ask  (1280x720, or --size if larger)\n"
    "  --fps N           pictures per second, 1 to 240    (30)\n"
    "  --pattern         a test pattern with a readable frame counter; needs no OpenGL\n"
    "  --log-level L     error, warning, info or debug    (SIMCAST_LOG_LEVEL, info)\n"
    "  --help, --version\n"
    "\n"
    "Renders only while an encoder asks for frames, on a GPU if EGL finds one, else in software.\n"
    "It obeys command.genesis.* on the bus and answers on telemetry.*; docs/wire.md lists both.\n"
    "\n"
    "Example: simcast-sim --ipc-dir /tmp/try --size 1280x720\n"
    "Exit status: 0 stopped by SIGTERM or SIGINT, 78 a wrong flag or value, 1 anything else.\n";

enum option_code {
    IPC_DIR = 1000,
    STREAM,
    BUS,
    SIZE,
    MAX_SIZE,
    FPS,
    PATTERN,
    LEVEL,
    HELP,
    VERSION
};

static const struct option long_options[] = {
    {"ipc-dir", required_argument, NULL, IPC_DIR},
    {"stream", required_argument, NULL, STREAM},
    {"bus", required_argument, NULL, BUS},
    {"size", required_argument, NULL, SIZE},
    {"max-size", required_argument, NULL, MAX_SIZE},
    {"fps", required_argument, NULL, FPS},
    {"pattern", no_argument, NULL, PATTERN},
    {"log-level", required_argument, NULL, LEVEL},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): before threads start

    return value && *value ? value : otherwise;
}

static int parse_number(const char *text, unsigned long max, uint32_t *ret_value)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < 1 || value > max)
        return -EINVAL;
    *ret_value = (uint32_t)value;
    return 0;
}

static int parse_size(const char *text, struct renderer_size *ret_size)
{
    char width[8];
    const char *cross = strchr(text, 'x');

    if (!cross || cross == text || (size_t)(cross - text) >= sizeof(width))
        return -EINVAL;
    snprintf(width, sizeof(width), "%.*s", (int)(cross - text), text);
    if (parse_number(width, SIDE_MAX, &ret_size->width) < 0)
        return -EINVAL;
    return parse_number(cross + 1, SIDE_MAX, &ret_size->height);
}

static enum options_result wrong(const char *option, const char *value, const char *expected)
{
    fprintf(stderr, "simcast-sim: %s %s is not valid: give %s\n", option, value, expected);
    return OPTIONS_WRONG;
}

struct raw_options {
    const char *bus;
    const char *log_level;
    struct renderer_size size_max;
};

static enum options_result take_option(int code, struct options *options, struct raw_options *raw)
{
    switch (code) {
    case IPC_DIR:
        options->stream.dir = optarg;
        break;
    case STREAM:
        options->stream.name = optarg;
        break;
    case BUS:
        raw->bus = optarg;
        break;
    case SIZE:
        if (parse_size(optarg, &options->stream.size) < 0)
            return wrong("--size", optarg, "a width and height such as 640x480");
        break;
    case MAX_SIZE:
        if (parse_size(optarg, &raw->size_max) < 0)
            return wrong("--max-size", optarg, "a width and height such as 1280x720");
        break;
    case FPS:
        if (parse_number(optarg, FPS_MAX, &options->stream.fps) < 0)
            return wrong("--fps", optarg, "a whole number from 1 to 240");
        break;
    case PATTERN:
        options->stream.pattern = true;
        break;
    case LEVEL:
        raw->log_level = optarg;
        break;
    case HELP:
        fputs(help_text, stdout);
        return OPTIONS_DONE;
    case VERSION:
        puts("simcast-sim " SIMCAST_VERSION);
        return OPTIONS_DONE;
    default: /* getopt has said what is wrong */
        fputs("simcast-sim --help lists the options\n", stderr);
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}

static enum options_result complete(struct options *options, const struct raw_options *raw)
{
    struct stream_config *stream = &options->stream;
    char size[32];

    stream->size_max = raw->size_max;
    if (raw->size_max.width == 0) {
        stream->size_max = (struct renderer_size){1280, 720};
        if (stream->size.width > stream->size_max.width)
            stream->size_max.width = stream->size.width;
        if (stream->size.height > stream->size_max.height)
            stream->size_max.height = stream->size.height;
    }
    snprintf(size, sizeof(size), "%ux%u", stream->size.width, stream->size.height);
    if (!stream_size_fits(stream->size, stream->size_max))
        return wrong("--size", size,
                     "even numbers, a width of 64 or more, no picture flatter than 8:1, and "
                     "nothing above --max-size");
    if (log_level_parse(raw->log_level, &options->log_level) < 0)
        return wrong("--log-level", raw->log_level, "error, warning, info or debug");
    const char *prefix = raw->bus ? "" : "ipc://";
    int used = snprintf(options->bus_url, sizeof(options->bus_url), "%s%s", prefix,
                        raw->bus ? raw->bus : stream->dir);
    if (used < 0 || (size_t)used >= sizeof(options->bus_url))
        return wrong("--ipc-dir", stream->dir, "a shorter path");
    return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char **argv, struct options *ret_options)
{
    struct options options = {
        .stream = {.dir = from_environment("SIMCAST_IPC_DIR", RING_DIR_DEFAULT),
                   .name = from_environment("SIMCAST_STREAM", "front"),
                   .size = {640, 480},
                   .fps = 30},
    };
    struct raw_options raw = {
        .bus = from_environment("SIMCAST_BUS_URL", from_environment("SDR_NATS_URL", NULL)),
        .log_level = from_environment("SIMCAST_LOG_LEVEL", "info"),
    };
    enum options_result result = OPTIONS_RUN;

    for (;;) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads start
        int code = getopt_long(argc, argv, "", long_options, NULL);
        if (code == -1)
            break;
        result = take_option(code, &options, &raw);
        if (result != OPTIONS_RUN)
            return result;
    }
    if (optind < argc) {
        fprintf(stderr, "simcast-sim: '%s' is not an option: simcast-sim --help lists them\n",
                argv[optind]);
        return OPTIONS_WRONG;
    }
    result = complete(&options, &raw);
    if (result == OPTIONS_RUN)
        *ret_options = options;
    return result;
}
