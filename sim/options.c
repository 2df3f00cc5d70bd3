/* SPDX-License-Identifier: Apache-2.0 */
/* One table: each row has its reader. Owns nothing; a wrong value ends the program. */
#include "sim/options.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bus/access.h"

#define FPS_MAX 240
#define SIDE_MAX 4096

static const char usage[] =
    "simcast-sim: a simulated quadruped (or a test pattern) as a source of camera frames\n"
    "\n"
    "Usage: simcast-sim [OPTION]...\n"
    "\n";

static const char more[] =
    "\n"
    "Renders only while somebody asks for frames, on a GPU if EGL finds one, else in software.\n"
    "It obeys command.genesis.* on the bus and answers on telemetry.*; docs/wire.md lists both.\n"
    "\n"
    "Example: simcast-sim --ipc-dir /tmp/try --size 1280x720 --camera front_2=head\n"
    "Exit status: 0 stopped by SIGTERM or SIGINT, 78 a wrong flag or value, 1 anything else.\n";

static const struct {
    const char *name;
    enum renderer_mount mount;
    enum renderer_channel channel;
} views[] = {
    {"head", RENDERER_HEAD, RENDERER_COLOUR},
    {"rear", RENDERER_REAR, RENDERER_COLOUR},
    {"depth", RENDERER_HEAD, RENDERER_DEPTH},
    {"confidence", RENDERER_HEAD, RENDERER_CONFIDENCE},
};

static bool read_ipc_dir(void *into, const char *value)
{
    ((struct options *)into)->stream.dir = value;
    return *value != '\0';
}

static bool read_stream(void *into, const char *value)
{
    ((struct options *)into)->stream.name = value;
    return *value != '\0';
}

static bool read_bus(void *into, const char *value)
{
    ((struct options *)into)->bus = value;
    return *value != '\0';
}

static bool read_size(void *into, const char *value)
{
    struct renderer_size *size = &((struct options *)into)->stream.size;

    return option_size(value, SIDE_MAX, &size->width, &size->height);
}

static bool read_size_max(void *into, const char *value)
{
    struct renderer_size *size = &((struct options *)into)->stream.size_max;

    return option_size(value, SIDE_MAX, &size->width, &size->height);
}

static bool read_fps(void *into, const char *value)
{
    return option_whole(value, 1, FPS_MAX, &((struct options *)into)->stream.fps);
}

static bool read_pattern(void *into, const char *value)
{
    (void)value;
    ((struct options *)into)->stream.pattern = true;
    return true;
}

/* "front_2=rear" */
static bool read_camera(void *into, const char *value)
{
    struct options *options = into;
    unsigned *count = &options->stream.camera_count;
    const char *equals = strchr(value, '=');

    if (!equals || *count == STREAM_CAMERAS_MAX ||
        (size_t)(equals - value) >= sizeof(options->names[0]))
        return false;
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        if (strcmp(equals + 1, views[i].name) != 0)
            continue;
        memcpy(options->names[*count], value, (size_t)(equals - value));
        options->stream.cameras[*count] =
            (struct stream_camera){.mount = views[i].mount, .channel = views[i].channel};
        (*count)++;
        return true;
    }
    return false;
}

static bool read_envs(void *into, const char *value)
{
    return option_whole(value, 1, OPTIONS_ENVS_MAX, &((struct options *)into)->stream.envs);
}

static bool read_speed_max(void *into, const char *value)
{
    return limits_parse(value, ((struct options *)into)->safety.limits.speed_max);
}

static bool read_accel_max(void *into, const char *value)
{
    return limits_parse(value, ((struct options *)into)->safety.limits.accel_max);
}

static bool read_jerk_max(void *into, const char *value)
{
    return limits_parse(value, ((struct options *)into)->safety.limits.jerk_max);
}

static bool read_deadman(void *into, const char *value)
{
    unsigned milliseconds;

    if (!option_whole(value, 0, 60000, &milliseconds))
        return false;
    ((struct options *)into)->safety.gate.deadman_ns = milliseconds * NS_PER_MS;
    return true;
}

static bool read_log_level(void *into, const char *value)
{
    return log_level_parse(value, &((struct options *)into)->log_level) == 0;
}

static const struct option_row rows[] = {
    {"ipc-dir", "SIMCAST_IPC_DIR", NULL, "DIR", read_ipc_dir, "a directory",
     "where rings and local bus meet (" RING_DIR_DEFAULT ")"},
    {"stream", "SIMCAST_STREAM", NULL, "NAME", read_stream, "a name",
     "name of the frame ring and of the robot (front)"},
    {"bus", "SIMCAST_BUS_URL", "SDR_NATS_URL", "URL", read_bus, "a URL",
     "nats://host:4222 or ipc:///dir (ipc://<ipc-dir>)"},
    {"size", NULL, NULL, "WxH", read_size, "a width and height such as 640x480",
     "picture at start (640x480)"},
    {"max-size", NULL, NULL, "WxH", read_size_max, "a width and height such as 1280x720",
     "largest that camera_res may ask (1280x720, or --size if that is\n"
     "larger or --envs is given)"},
    {"fps", NULL, NULL, "N", read_fps, "a whole number from 1 to 240",
     "pictures per second, 1 to 240 (30)"},
    {"camera", NULL, NULL, "NAME=VIEW", read_camera,
     "at most 4 of NAME=head, NAME=rear, NAME=depth or NAME=confidence",
     "a further frame ring with the robot's own view: head or rear in\n"
     "colour, depth (metres) or confidence (0 or 1) of the head; may be\n"
     "repeated; each is rendered only while it is wanted"},
    {"envs", NULL, NULL, "N", read_envs, "a whole number from 1 to 64",
     "so many environments below each other in one picture, as batched\n"
     "simulators render (1)"},
    {"pattern", NULL, NULL, NULL, read_pattern, "",
     "a test pattern with a readable frame counter; needs no OpenGL"},
    {"speed-max", "SIMCAST_SPEED_MAX", NULL, "F,L,T", read_speed_max, "three numbers from 0",
     "faster velocities are cut to this: forward and left in m/s, turn in\n"
     "rad/s; 0: no limit (0,0,0)"},
    {"accel-max", "SIMCAST_ACCEL_MAX", NULL, "F,L,T", read_accel_max, "three numbers from 0",
     "how fast the velocity may change, per second; HOLD and ESTOP are not\n"
     "slowed down by it (0,0,0)"},
    {"jerk-max", "SIMCAST_JERK_MAX", NULL, "F,L,T", read_jerk_max, "three numbers from 0",
     "how fast the acceleration may change, per second (0,0,0)"},
    {"deadman-ms", "SIMCAST_DEADMAN_MS", NULL, "MS", read_deadman, "a whole number from 0 to 60000",
     "obey motion only while commands say so often that the operator's\n"
     "deadman is held; 0: no deadman is asked for (0)"},
    {"log-level", "SIMCAST_LOG_LEVEL", NULL, "L", read_log_level, "error, warning, info or debug",
     "error, warning, info or debug (info)"},
    LOG_FORMAT_ROW,
};

static const struct options defaults = {
    .stream = {.dir = RING_DIR_DEFAULT, .name = "front", .size = {640, 480}, .fps = 30, .envs = 1},
    .log_level = LOG_LEVEL_INFO,
};

static void complete_size_max(struct stream_config *stream)
{
    const struct renderer_size usual = {1280, 720};

    if (stream->size_max.width != 0)
        return;
    stream->size_max = stream->size;
    if (stream->envs > 1)
        return;
    if (stream->size_max.width < usual.width)
        stream->size_max.width = usual.width;
    if (stream->size_max.height < usual.height)
        stream->size_max.height = usual.height;
}

/* What only all options together can tell. */
static enum option_result complete(const struct option_program *program, struct options *options)
{
    struct stream_config *stream = &options->stream;
    char size[32];

    complete_size_max(stream);
    for (unsigned i = 0; i < stream->camera_count; i++)
        stream->cameras[i].name = options->names[i];
    snprintf(size, sizeof(size), "%ux%u", stream->size.width, stream->size.height);
    if (!stream_size_fits(stream->size, stream->size_max))
        return option_wrong(program, "size", size,
                            "even numbers, a width of 64 or more, no picture flatter than 8:1, "
                            "and nothing above --max-size");
    int used = snprintf(options->bus_url, sizeof(options->bus_url), "%s%s",
                        options->bus ? "" : "ipc://", options->bus ? options->bus : stream->dir);
    if (used < 0 || (size_t)used >= sizeof(options->bus_url))
        return option_wrong(program, "ipc-dir", stream->dir, "a shorter path");
    return OPTION_GO;
}

enum option_result options_parse(int argc, char **argv, struct options *ret_options)
{
    const struct option_group groups[] = {{rows, sizeof(rows) / sizeof(rows[0]), ret_options},
                                          BUS_ACCESS_GROUP};
    const struct option_program program = {.name = "simcast-sim",
                                           .version = SIMCAST_VERSION,
                                           .before = usage,
                                           .after = more,
                                           .groups = groups,
                                           .group_count = 2};

    *ret_options = defaults;
    ret_options->safety = authority_config_default;
    enum option_result result = option_read(&program, argc, argv);
    return result == OPTION_GO ? complete(&program, ret_options) : result;
}
