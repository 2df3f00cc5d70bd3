/* SPDX-License-Identifier: Apache-2.0 */
/* Works on argv and its own tables; a wrong value ends in one sentence that says what fits. */
#include "cli/demo_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>
#include <sysexits.h>

#include "base/log.h"
#include "cli/values.h"
#include "proto/video.h"

#define SECONDS_MAX 86400
#define FPS_MAX 240

enum demo_flag {
    FLAG_SECONDS = 1,
    FLAG_JSON,
    FLAG_PATTERN,
    FLAG_NATS,
    FLAG_POLICY,
    FLAG_PORT,
    FLAG_CODEC,
    FLAG_SIZE,
    FLAG_FPS,
    FLAG_LOG_LEVEL,
    FLAG_HELP,
};

static const struct option flags[] = {
    {"seconds", required_argument, NULL, FLAG_SECONDS},
    {"json", no_argument, NULL, FLAG_JSON},
    {"pattern", no_argument, NULL, FLAG_PATTERN},
    {"nats", no_argument, NULL, FLAG_NATS},
    {"policy", required_argument, NULL, FLAG_POLICY},
    {"port", required_argument, NULL, FLAG_PORT},
    {"codec", required_argument, NULL, FLAG_CODEC},
    {"size", required_argument, NULL, FLAG_SIZE},
    {"fps", required_argument, NULL, FLAG_FPS},
    {"log-level", required_argument, NULL, FLAG_LOG_LEVEL},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static const char help[] =
    "Usage: simcast demo [OPTION]...\n"
    "Starts the simulator, the encoder, simcastd and the bus, restarts each that dies, and says\n"
    "once a second how the video flows. Ctrl-C stops everything and leaves nothing behind.\n"
    "\n"
    "  --pattern           a test pattern with a frame counter in place of the robot\n"
    "  --nats              a NATS server as the bus (default: simcastd's own local bus)\n"
    "  --policy NAME       what moves the legs, in simcast-hal (default trot): stand, mlp:FILE or\n"
    "                      ./mine.so; none leaves them to the simulator. With --seconds the\n"
    "                      viewer commands the robot ahead, and its way and falls are reported\n"
    "  --port N            where the browser finds it (default 8080)\n"
    "  --codec h264|jpeg   how pictures are coded at first; a viewer may change it\n"
    "  --size WxH          pixels of a picture, even numbers (default 640x480)\n"
    "  --fps N             pictures per second, 1 to 240 (default 30)\n"
    "  --log-level LEVEL   what the programs say: error, warning (default), info, debug\n"
    "\n"
    "Unattended, with a built-in viewer that checks and measures every frame:\n"
    "  --seconds N         stop N seconds after the first frame\n"
    "  --json              end with one line of JSON on stdout; all else goes to stderr\n"
    "Exit code: 0 when video flowed and every frame was whole, 78 for a wrong option, else 1.\n"
    "\n"
    "  simcast demo                         then open http://localhost:8080\n"
    "  simcast demo --pattern --codec jpeg --size 1280x720 --fps 60\n"
    "  simcast demo --seconds 15 --json\n";

/* A whole number from low to high, or 0. */
static unsigned number(const char *text, unsigned low, unsigned high)
{
    uint64_t value = 0;

    return value_number(text, low, high, &value) ? (unsigned)value : 0;
}

static bool is_size(const char *text)
{
    uint32_t width;
    uint32_t height;

    return value_size(text, &width, &height);
}

static bool is_codec(const char *text)
{
    enum video_codec codec;

    return video_codec_parse(text, &codec) == 0 && codec != VIDEO_CODEC_HEVC;
}

static bool is_log_level(const char *text)
{
    enum log_level level;

    return log_level_parse(text, &level) == 0;
}

/* Takes one option. Returns NULL, or what its value should have been. */
static const char *take(enum demo_flag flag, const char *value, struct demo_options *options)
{
    switch (flag) {
    case FLAG_SECONDS:
        options->seconds = number(value, 1, SECONDS_MAX);
        return options->seconds ? NULL : "--seconds: expected a whole number from 1 to 86400";
    case FLAG_JSON:
        options->json = true;
        return NULL;
    case FLAG_PATTERN:
        options->pattern = true;
        return NULL;
    case FLAG_NATS:
        options->nats = true;
        return NULL;
    case FLAG_POLICY:
        options->policy = value;
        return value[0] ? NULL : "--policy: expected trot, stand, mlp:FILE, ./mine.so or none";
    case FLAG_PORT:
        options->port = (uint16_t)number(value, 1, UINT16_MAX);
        return options->port ? NULL : "--port: expected a whole number from 1 to 65535";
    case FLAG_CODEC:
        options->codec = value;
        return is_codec(value) ? NULL : "--codec: expected h264 or jpeg";
    case FLAG_SIZE:
        options->size = value;
        return is_size(value) ? NULL
                              : "--size: expected WxH with even numbers from 16 to 4096, such as "
                                "640x480";
    case FLAG_FPS:
        options->fps = value;
        return number(value, 1, FPS_MAX) ? NULL : "--fps: expected a whole number from 1 to 240";
    case FLAG_LOG_LEVEL:
        options->log_level = value;
        return is_log_level(value) ? NULL : "--log-level: expected error, warning, info or debug";
    case FLAG_HELP:
        break;
    }
    return NULL;
}

static void complete(struct demo_options *options)
{
    options->drive = options->policy && options->seconds > 0 && !options->pattern;
    if (!options->policy)
        options->policy = "trot";
    if (options->pattern || strcmp(options->policy, "none") == 0)
        options->policy = NULL; /* a test pattern has no legs */
}

static bool refuse(const char *what, const char *which, int *ret_exit_code)
{
    log_error("demo: %s '%.80s'; try simcast demo --help", what, which);
    *ret_exit_code = EX_CONFIG;
    return false;
}

bool demo_options_parse(int argc, char **argv, struct demo_options *ret_options, int *ret_exit_code)
{
    struct demo_options options = {.port = 8080, .log_level = "warning"};
    int flag;

    optind = 0; /* glibc: start anew */
    while ((flag = getopt_long(argc, argv, "+:", flags, NULL)) != -1) {
        if (flag == ':')
            return refuse("a value is missing after", argv[optind - 1], ret_exit_code);
        if (flag == '?')
            return refuse("unknown option", argv[optind - 1], ret_exit_code);
        if (flag == FLAG_HELP) {
            fputs(help, stdout);
            *ret_exit_code = 0;
            return false;
        }
        const char *expected = take((enum demo_flag)flag, optarg, &options);
        if (expected) {
            log_error("demo: %s, got '%.80s'", expected, optarg);
            *ret_exit_code = EX_CONFIG;
            return false;
        }
    }
    if (optind < argc)
        return refuse("unexpected argument", argv[optind], ret_exit_code);
    complete(&options);
    *ret_options = options;
    return true;
}
