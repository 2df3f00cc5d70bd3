/* SPDX-License-Identifier: Apache-2.0 */
/* Works on argv; a wrong value ends in one sentence that says what fits. */
#include "cli/source_options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <getopt.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/values.h"
#include "proto/video.h"
#include "shm/ring.h"

#define FPS_DEFAULT 30
#define FPS_MAX 240
#define SECONDS_MAX 86400

enum source_flag {
    FLAG_LEGACY = 1,
    FLAG_RING,
    FLAG_IPC_DIR,
    FLAG_CODEC,
    FLAG_INPUT,
    FLAG_SIZE,
    FLAG_FPS,
    FLAG_SECONDS,
    FLAG_NO_CRC,
    FLAG_GARBLE,
    FLAG_SEED,
    FLAG_HELP,
};

static const struct option flags[] = {
    {"legacy", required_argument, NULL, FLAG_LEGACY},
    {"ring", required_argument, NULL, FLAG_RING},
    {"ipc-dir", required_argument, NULL, FLAG_IPC_DIR},
    {"codec", required_argument, NULL, FLAG_CODEC},
    {"input", required_argument, NULL, FLAG_INPUT},
    {"size", required_argument, NULL, FLAG_SIZE},
    {"fps", required_argument, NULL, FLAG_FPS},
    {"seconds", required_argument, NULL, FLAG_SECONDS},
    {"no-crc", no_argument, NULL, FLAG_NO_CRC},
    {"garble", no_argument, NULL, FLAG_GARBLE},
    {"seed", required_argument, NULL, FLAG_SEED},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static const char help[] =
    "Usage: simcast source --legacy FILE [OPTION]...\n"
    "       simcast source --ring STREAM [OPTION]...\n"
    "Stands in for a simulator, until Ctrl-C: writes a test picture with a frame counter.\n"
    "\n"
    "  --legacy FILE   as coded frames into a legacy slot, a file of 4 MiB, the way simulators\n"
    "                  that do not use the ring do\n"
    "  --ring STREAM   as RGB24 into the ring STREAM.frames, while a consumer wants frames\n"
    "  --size WxH      pixels, even numbers (default 640x480)\n"
    "  --fps N         pictures per second, 1 to 240 (default 30)\n"
    "  --seconds N     stop after N seconds\n"
    "  --ipc-dir DIR   where the ring is (SIMCAST_IPC_DIR, " RING_DIR_DEFAULT ")\n"
    "\n"
    "For --legacy:\n"
    "  --codec jpeg|h264   how frames are coded (default jpeg)\n"
    "  --input FILE        for h264: a byte stream (Annex-B), played in a loop\n"
    "  --no-crc            leave the checksum field 0\n"
    "  --garble            spoil one frame in four, or truncate, replace, remove the file, or\n"
    "                      fill it with noise: a reader must survive this and show only whole\n"
    "                      frames\n"
    "  --seed N            of the garbling; the one in use is printed\n"
    "\n"
    "  simcast source --legacy /tmp/frames --garble --seconds 10\n"
    "  simcast source --ring front --size 1280x720 --fps 60\n"
    "  simcast source --legacy /tmp/frames --codec h264 --input clip.h264\n";

static const char *take_codec(const char *value, bool *ret_h264)
{
    enum video_codec codec;

    if (video_codec_parse(value, &codec) < 0 || codec == VIDEO_CODEC_HEVC)
        return "--codec: expected jpeg or h264";
    *ret_h264 = codec == VIDEO_CODEC_H264;
    return NULL;
}

/* Takes one option. Returns NULL, or what its value should have been. */
static const char *take(enum source_flag flag, const char *value, struct source_options *options,
                        bool *ret_h264)
{
    switch (flag) {
    case FLAG_LEGACY:
        options->legacy = value;
        return NULL;
    case FLAG_RING:
        options->ring = value;
        return NULL;
    case FLAG_IPC_DIR:
        options->dir = value;
        return NULL;
    case FLAG_CODEC:
        return take_codec(value, ret_h264);
    case FLAG_INPUT:
        options->input = value;
        return NULL;
    case FLAG_SIZE:
        return value_size(value, &options->width, &options->height)
                   ? NULL
                   : "--size: expected WxH with even numbers from 16 to 4096, such as 640x480";
    case FLAG_FPS:
        return value_number(value, 1, FPS_MAX, &options->fps)
                   ? NULL
                   : "--fps: expected a whole number from 1 to 240";
    case FLAG_SECONDS:
        return value_number(value, 1, SECONDS_MAX, &options->seconds)
                   ? NULL
                   : "--seconds: expected a whole number from 1 to 86400";
    case FLAG_NO_CRC:
        options->crc = false;
        return NULL;
    case FLAG_GARBLE:
        options->garble = true;
        return NULL;
    case FLAG_SEED:
        return value_number(value, 0, UINT64_MAX, &options->seed)
                   ? NULL
                   : "--seed: expected a whole number";
    case FLAG_HELP:
        break;
    }
    return NULL;
}

/* Returns NULL, or why the options contradict each other. */
static const char *contradiction(const struct source_options *options, bool h264)
{
    if (!options->legacy == !options->ring)
        return "expected one of --legacy FILE and --ring STREAM";
    if (options->ring && (options->garble || !options->crc || h264 || options->input))
        return "--codec h264, --input, --garble and --no-crc are for --legacy";
    if (h264 && !options->input)
        return "--codec h264 needs --input FILE, a byte stream to play";
    if (!h264 && options->input)
        return "--input is for --codec h264";
    return NULL;
}

static bool refuse(const char *what, const char *which, int *ret_exit_code)
{
    if (which)
        log_error("source: %s '%.80s'; try simcast source --help", what, which);
    else
        log_error("source: %s; try simcast source --help", what);
    *ret_exit_code = EX_CONFIG;
    return false;
}

bool source_options_parse(int argc, char **argv, struct source_options *ret_options,
                          int *ret_exit_code)
{
    struct source_options options = {
        .dir = value_ipc_dir(),
        .width = 640,
        .height = 480,
        .fps = FPS_DEFAULT,
        .seed = (uint64_t)clock_wall_ns(),
        .crc = true,
    };
    bool h264 = false;
    int flag;

    optind = 0; /* glibc: start anew */
    while ((flag = getopt_long(argc, argv, "+:", flags, NULL)) != -1) {
        if (flag == ':' || flag == '?')
            return refuse("unknown option, or one without its value,", argv[optind - 1],
                          ret_exit_code);
        if (flag == FLAG_HELP) {
            fputs(help, stdout);
            *ret_exit_code = 0;
            return false;
        }
        const char *expected = take((enum source_flag)flag, optarg, &options, &h264);
        if (expected) {
            log_error("source: %s, got '%.80s'", expected, optarg);
            *ret_exit_code = EX_CONFIG;
            return false;
        }
    }
    if (optind < argc)
        return refuse("unexpected argument", argv[optind], ret_exit_code);
    const char *why = contradiction(&options, h264);
    if (why)
        return refuse(why, NULL, ret_exit_code);
    *ret_options = options;
    return true;
}
