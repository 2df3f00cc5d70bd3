/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table says it all: flag, variable, help, and how the value is read. Owns nothing; runs in
 * main before threads start.
 */
#include "encoder/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>

#include "shm/ring.h"

#define OPTION_TEXT_BYTES 1024
#define OPTION_COUNT (sizeof(table) / sizeof(table[0]))

typedef bool (*option_reader)(struct options *options, const char *value);

/* What a reader has to say beyond what its row allows; "" where that says it all. */
static char detail[RENDITION_REASON_BYTES];

static bool read_number(const char *value, double low, double high, double *ret_number)
{
    char *end;

    errno = 0;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || errno != 0 || !(number >= low && number <= high))
        return false;
    *ret_number = number;
    return true;
}

static bool read_whole(const char *value, uint32_t low, uint32_t high, uint32_t *ret_number)
{
    double number;

    if (!read_number(value, low, high, &number) || number != (double)(uint32_t)number)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool read_dir(struct options *options, const char *value)
{
    options->stage.dir = value;
    return *value != '\0';
}

static bool read_stream(struct options *options, const char *value)
{
    char path[4096];

    options->stage.stream = value;
    return ring_socket_path("/", value, RING_KIND_PACKETS, path, sizeof(path)) == 0;
}

static bool read_codec(struct options *options, const char *value)
{
    enum video_codec codec = VIDEO_CODEC_H264;

    options->stage.jpeg_instead = strcmp(value, "auto") == 0;
    if (!options->stage.jpeg_instead && video_codec_parse(value, &codec) < 0)
        return false;
    options->stage.settings.codec = codec;
    return codec != VIDEO_CODEC_HEVC;
}

static bool read_backend(struct options *options, const char *value)
{
    static const char *const names[] = {
        [CODER_AUTO] = "auto", [CODER_NVENC] = "nvenc", [CODER_X264] = "x264"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            options->stage.choice = (enum coder_choice)i;
            return true;
        }
    }
    return false;
}

static bool read_quality(struct options *options, const char *value)
{
    return read_whole(value, 1, 100, &options->stage.settings.jpeg_quality);
}

static bool read_jpeg_threads(struct options *options, const char *value)
{
    return read_whole(value, 0, CODEC_JPEG_THREADS_MAX, &options->stage.jpeg_threads);
}

static bool read_bitrate(struct options *options, const char *value)
{
    double mbit;

    if (!read_number(value, 0.05, 200, &mbit))
        return false;
    options->stage.settings.bitrate_bps = (uint32_t)(mbit * 1e6 + 0.5);
    return true;
}

static bool read_fps(struct options *options, const char *value)
{
    return read_whole(value, 0, 240, &options->stage.settings.fps);
}

static bool read_preset(struct options *options, const char *value)
{
    if (!codec_x264.has_preset(value) && !codec_nvenc.has_preset(value))
        return false;
    snprintf(options->stage.settings.preset, sizeof(options->stage.settings.preset), "%s", value);
    return true;
}

/* Renditions have names: a later one of the same name takes the place of an earlier one. */
static bool put_rendition(struct stage_config *stage, const struct rendition_spec *spec)
{
    unsigned i = 0;

    while (i < stage->other_count && strcmp(stage->others[i].name, spec->name) != 0)
        i++;
    if (spec->settings.codec == 0) {
        if (i < stage->other_count)
            stage->others[i] = stage->others[--stage->other_count];
        return true;
    }
    if (i == RENDITIONS_MAX - 1) {
        snprintf(detail, sizeof(detail),
                 "there are %u renditions at most, the default one included", RENDITIONS_MAX);
        return false;
    }
    stage->others[i] = *spec;
    stage->other_count += i == stage->other_count;
    return true;
}

/* One, or in the environment several between blanks. */
static bool read_renditions(struct options *options, const char *value)
{
    struct rendition_spec spec;
    char text[OPTION_TEXT_BYTES];
    char *rest = text;

    if ((size_t)snprintf(text, sizeof(text), "%s", value) >= sizeof(text))
        return false;
    while (rest) {
        const char *word = strsep(&rest, " ");
        if (*word == '\0')
            continue;
        if (rendition_spec_parse(word, &spec, detail) < 0 || !put_rendition(&options->stage, &spec))
            return false;
        const char *preset = spec.settings.preset;
        if (*preset != '\0' && !codec_x264.has_preset(preset) && !codec_nvenc.has_preset(preset)) {
            snprintf(detail, sizeof(detail), "no encoder has a preset \"%s\"", preset);
            return false;
        }
    }
    return true;
}

static bool read_packet_bytes(struct options *options, const char *value)
{
    uint32_t bytes;

    if (!read_whole(value, STAGE_PACKET_BYTES_MIN, UINT32_C(1) << 30, &bytes))
        return false;
    options->stage.packet_bytes_max = bytes;
    return true;
}

static bool read_no_crc(struct options *options, const char *value)
{
    options->stage.crc = value && (strcmp(value, "0") == 0 || strcmp(value, "false") == 0);
    return !value || options->stage.crc || strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
}

static bool read_log_level(struct options *options, const char *value)
{
    return log_level_parse(value, &options->log_level) == 0;
}

static const struct option_row {
    const char *flag;
    const char *variable;
    const char *value; /* its name in the help; NULL: the flag takes none */
    option_reader read;
    const char *allowed;
    const char *help;
} table[] = {
    {"ipc-dir", "SIMCAST_IPC_DIR", "DIR", read_dir, "a directory",
     "where the rings' sockets are (default " RING_DIR_DEFAULT ")"},
    {"stream", "SIMCAST_STREAM", "NAME", read_stream, "up to 31 letters, digits, '-' and '_'",
     "which camera: reads NAME.frames, serves NAME.packets (default front)"},
    {"codec", "SIMCAST_CODEC", "NAME", read_codec, "h264, jpeg or auto",
     "until a viewer asks for another: h264, jpeg, or auto = h264,\n"
     "and jpeg where no H.264 encoder works (default h264)"},
    {"codec-backend", "SIMCAST_CODEC_BACKEND", "NAME", read_backend, "auto, nvenc or x264",
     "who encodes H.264: auto and nvenc try NVIDIA's encoder and take\n"
     "libx264 where there is none; x264 does not try (default auto)"},
    {"jpeg-quality", "SIMCAST_JPEG_QUALITY", "N", read_quality, "1 to 100",
     "1 to 100 (default 80)"},
    {"jpeg-threads", "SIMCAST_JPEG_THREADS", "N", read_jpeg_threads, "0 to 8",
     "threads that share a picture as JPEG; 0 = one for each 750,000\n"
     "pixels, no more than there are cores (default 0)"},
    {"bitrate", "SIMCAST_BITRATE", "MBIT", read_bitrate, "0.05 to 200 (Mbit/s)",
     "of H.264 in Mbit/s, 0.05 to 200 (default 4)"},
    {"fps", "SIMCAST_FPS", "N", read_fps, "0 to 240",
     "encode at most N frames per second; 0 = all that come (default 0)"},
    {"preset", "SIMCAST_PRESET", "NAME", read_preset,
     "ultrafast to veryslow (libx264) or p1 to p7 (NVENC)",
     "ultrafast to veryslow for libx264, p1 to p7 for NVENC; the encoder\n"
     "that does not know it takes its fastest (default ultrafast)"},
    {"rendition", "SIMCAST_RENDITIONS", "SPEC", read_renditions,
     "NAME=CODEC[,WIDTHxHEIGHT][,quality=N][,bitrate=MBIT][,fps=N][,preset=NAME]",
     "another way of coding the camera, served as STREAM+NAME.packets and\n"
     "encoded only while wanted: NAME=CODEC[,WIDTHxHEIGHT][,OPTION...],\n"
     "CODEC h264 or jpeg, or none for no such rendition; OPTION quality=N,\n"
     "bitrate=MBIT, fps=N, preset=NAME. The picture is made to fit the\n"
     "size, never enlarged. May be given several times; in the environment\n"
     "separate them by blanks (default jpeg=jpeg and h264=h264, full size)"},
    {"packet-bytes-max", "SIMCAST_PACKET_BYTES_MAX", "N", read_packet_bytes,
     "4096 to 1073741824 (bytes)",
     "size of a packet slot; a larger picture is coded worse (default 2 MiB)"},
    {"no-crc", "SIMCAST_NO_CRC", NULL, read_no_crc, "true or false",
     "leave the packets' CRC-32 at 0"},
    {"log-level", "SIMCAST_LOG_LEVEL", "NAME", read_log_level, "error, warning, info or debug",
     "error, warning, info or debug (default info)"},
};

static const struct options defaults = {
    .stage =
        {
            .dir = RING_DIR_DEFAULT,
            .stream = "front",
            .settings = {.codec = VIDEO_CODEC_H264,
                         .jpeg_quality = 80,
                         .bitrate_bps = 4000000,
                         .preset = "ultrafast"},
            .others = {{"jpeg", {.codec = VIDEO_CODEC_JPEG}},
                       {"h264", {.codec = VIDEO_CODEC_H264}}},
            .other_count = 2,
            .crc = true,
            .packet_bytes_max = 2UL * 1024 * 1024,
        },
    .log_level = LOG_LEVEL_INFO,
};

static int read_environment(struct options *options, char *reason)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *value = getenv(table[i].variable); // NOLINT(concurrency-mt-unsafe)
        if (!value || table[i].read(options, value))
            continue;
        snprintf(reason, OPTIONS_REASON_BYTES, "%s=\"%.96s\" in the environment is wrong: %s%s",
                 table[i].variable, value, *detail ? "" : "use ",
                 *detail ? detail : table[i].allowed);
        return -EINVAL;
    }
    return 0;
}

static int read_flag(struct options *options, int index, char *reason)
{
    const struct option_row *row = &table[index];

    if (row->read(options, optarg))
        return 0;
    snprintf(reason, OPTIONS_REASON_BYTES, "--%s \"%.96s\" is wrong: %s%s", row->flag,
             optarg ? optarg : "", *detail ? "" : "use ", *detail ? detail : row->allowed);
    return -EINVAL;
}

static int read_arguments(struct options *options, int argc, char *const argv[], char *reason)
{
    struct option flags[OPTION_COUNT + 3] = {0};
    int choice;
    int index = 0;

    for (size_t i = 0; i < OPTION_COUNT; i++)
        flags[i] = (struct option){table[i].flag, table[i].value ? required_argument : no_argument,
                                   NULL, 'f'};
    flags[OPTION_COUNT] = (struct option){"help", no_argument, NULL, 'h'};
    flags[OPTION_COUNT + 1] = (struct option){"version", no_argument, NULL, 'v'};
    opterr = 0;
    optind = 1;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads start
    while ((choice = getopt_long(argc, argv, ":h", flags, &index)) != -1) {
        if (choice == 'h' || choice == 'v') {
            options->request = choice == 'h' ? OPTIONS_HELP : OPTIONS_VERSION;
            return 0;
        }
        if (choice != 'f') {
            snprintf(reason, OPTIONS_REASON_BYTES, "%s %s: see simcast-encoder --help",
                     argv[optind - 1],
                     choice == ':' ? "needs a value" : "is no flag of this program");
            return -EINVAL;
        }
        if (read_flag(options, index, reason) < 0)
            return -EINVAL;
    }
    if (optind == argc)
        return 0;
    snprintf(reason, OPTIONS_REASON_BYTES, "\"%s\" is not expected: see simcast-encoder --help",
             argv[optind]);
    return -EINVAL;
}

int options_read(int argc, char *const argv[], struct options *ret_options,
                 char ret_reason[OPTIONS_REASON_BYTES])
{
    struct options options = defaults;

    detail[0] = '\0';
    int rc = read_environment(&options, ret_reason);

    if (rc == 0)
        rc = read_arguments(&options, argc, argv, ret_reason);
    if (rc == 0)
        *ret_options = options;
    return rc;
}

void options_help(void)
{
    printf("Usage: simcast-encoder [FLAGS]\n\n"
           "Encodes the newest frame of a camera, while somebody watches. Reads the simulator's\n"
           "frame ring, serves a ring of packets to simcastd; opens no network connection. What\n"
           "viewers ask for (codec, quality, bitrate, fps) changes while running.\n\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *help = table[i].help;
        printf("  --%s%s%s  (%s)\n", table[i].flag, table[i].value ? " " : "",
               table[i].value ? table[i].value : "", table[i].variable);
        while (*help != '\0') {
            int length = (int)strcspn(help, "\n");
            printf("        %.*s\n", length, help);
            help += length + (help[length] == '\n');
        }
    }
    printf("  --help, --version\n\n"
           "A flag beats its variable in the environment. Exit codes: 0 stopped by a signal,\n"
           "78 wrong flag or value, 1 anything else.\n\n"
           "Try it:  simcast-sim --pattern & simcast-encoder & simcastd\n");
}
