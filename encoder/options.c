/* SPDX-License-Identifier: Apache-2.0 */
/* One table says it all; owns nothing. On the main thread before others start. */
#include "encoder/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "shm/ring.h"

#define TEXT_BYTES 1024
#define GONE_NS (10 * NS_PER_S)
#define SEPARATORS ", "
#define PRESET_ALLOWED "ultrafast to veryslow (libx264) or p1 to p7 (NVENC)"

static struct stage_config *stage_of(void *into)
{
    return &((struct options *)into)->cameras.stage;
}

static bool truth(const char *value, bool *ret_true)
{
    *ret_true = !value || strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
    return *ret_true || strcmp(value, "0") == 0 || strcmp(value, "false") == 0;
}

static bool read_dir(void *into, const char *value)
{
    stage_of(into)->dir = value;
    return *value != '\0';
}

static bool add_stream(struct cameras_config *cameras, const char *name)
{
    char path[4096];

    if (ring_socket_path("/", name, RING_KIND_FRAMES, path, sizeof(path)) < 0 || strchr(name, '+'))
        return false;
    for (unsigned i = 0; i < cameras->name_count; i++) {
        if (strcmp(cameras->names[i], name) == 0)
            return true;
    }
    if (cameras->name_count == CAMERAS_MAX)
        return false;
    memcpy(cameras->names[cameras->name_count++], name, strlen(name) + 1);
    return true;
}

/* Names between commas or blanks; flags add up, and replace what is weaker than they are. */
static bool read_streams(void *into, const char *value)
{
    struct options *options = into;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads start
    bool is_variable = value == getenv("SIMCAST_STREAM");
    enum options_source source = is_variable ? OPTIONS_ENVIRONMENT : OPTIONS_FLAGS;
    char text[TEXT_BYTES];
    char *rest = text;

    if ((size_t)snprintf(text, sizeof(text), "%s", value) >= sizeof(text))
        return false;
    if (source != options->streams_from)
        options->cameras.name_count = 0;
    options->streams_from = source;
    while (rest) {
        const char *word = strsep(&rest, SEPARATORS);
        if (*word != '\0' && !add_stream(&options->cameras, word))
            return false;
    }
    return options->cameras.name_count > 0;
}

static bool read_all_streams(void *into, const char *value)
{
    return truth(value, &((struct options *)into)->cameras.all);
}

static bool read_codec(void *into, const char *value)
{
    struct stage_config *stage = stage_of(into);
    enum video_codec codec = VIDEO_CODEC_H264;

    stage->jpeg_instead = strcmp(value, "auto") == 0;
    if (!stage->jpeg_instead && video_codec_parse(value, &codec) < 0)
        return false;
    stage->settings.codec = codec;
    return true;
}

static bool read_backend(void *into, const char *value)
{
    static const char *const names[] = {
        [CODER_AUTO] = "auto", [CODER_NVENC] = "nvenc", [CODER_X264] = "x264"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            stage_of(into)->choice = (enum coder_choice)i;
            return true;
        }
    }
    return false;
}

static bool read_quality(void *into, const char *value)
{
    return option_whole(value, 1, 100, &stage_of(into)->settings.jpeg_quality);
}

static bool read_jpeg_threads(void *into, const char *value)
{
    return option_whole(value, 0, CODEC_JPEG_THREADS_MAX, &stage_of(into)->jpeg_threads);
}

static bool read_bitrate(void *into, const char *value)
{
    return bitrate_parse(value, &stage_of(into)->settings.bitrate_bps);
}

static bool read_fps(void *into, const char *value)
{
    return option_whole(value, 0, 240, &stage_of(into)->settings.fps);
}

static bool preset_exists(const char *preset)
{
    return codec_x264.has_preset(preset) || codec_nvenc.has_preset(preset);
}

static bool read_preset(void *into, const char *value)
{
    struct stream_settings *settings = &stage_of(into)->settings;

    if (!preset_exists(value))
        return false;
    snprintf(settings->preset, sizeof(settings->preset), "%s", value);
    return true;
}

static bool read_intra_refresh(void *into, const char *value)
{
    return truth(value, &stage_of(into)->intra_refresh);
}

static bool read_vbv(void *into, const char *value)
{
    return option_whole(value, 0, 30, &stage_of(into)->vbv_pictures);
}

/* ---- renditions ---------------------------------------------------------------------------- */

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
        log_error("a camera has at most %u renditions, the default one included: drop one "
                  "with NAME=none",
                  RENDITIONS_MAX);
        return false;
    }
    stage->others[i] = *spec;
    stage->other_count += i == stage->other_count;
    return true;
}

static bool read_rendition(struct stage_config *stage, const char *text)
{
    char reason[RENDITION_REASON_BYTES];
    struct rendition_spec spec;

    if (rendition_spec_parse(text, &spec, reason) < 0) {
        log_error("rendition \"%s\": %s", text, reason);
        return false;
    }
    if (spec.settings.preset[0] != '\0' && !preset_exists(spec.settings.preset)) {
        log_error("rendition \"%s\": no encoder has a preset \"%s\": give " PRESET_ALLOWED, text,
                  spec.settings.preset);
        return false;
    }
    return put_rendition(stage, &spec);
}

/* One, or in the environment several between blanks. */
static bool read_renditions(void *into, const char *value)
{
    char text[TEXT_BYTES];
    char *rest = text;

    if ((size_t)snprintf(text, sizeof(text), "%s", value) >= sizeof(text))
        return false;
    while (rest) {
        const char *word = strsep(&rest, " ");
        if (*word != '\0' && !read_rendition(stage_of(into), word))
            return false;
    }
    return true;
}

/* ---- the rest ------------------------------------------------------------------------------ */

static bool read_packet_bytes(void *into, const char *value)
{
    uint32_t bytes;

    if (!option_whole(value, STAGE_PACKET_BYTES_MIN, STAGE_PACKET_BYTES_MAX, &bytes))
        return false;
    stage_of(into)->packet_bytes_max = bytes;
    return true;
}

static bool read_no_crc(void *into, const char *value)
{
    bool without;

    if (!truth(value, &without))
        return false;
    stage_of(into)->crc = !without;
    return true;
}

static bool read_log_level(void *into, const char *value)
{
    return log_level_parse(value, &((struct options *)into)->log_level) == 0;
}

static const struct option_row rows[] = {
    {"ipc-dir", "SIMCAST_IPC_DIR", NULL, "DIR", read_dir, "a directory",
     "where the rings' sockets are (" RING_DIR_DEFAULT ")"},
    {"stream", "SIMCAST_STREAM", NULL, "NAME", read_streams,
     "names of up to 31 letters, digits, '-' and '_', between commas, at most 32",
     "which camera: reads NAME.frames, serves NAME.packets (front);\n"
     "may be repeated, or several between commas"},
    {"all-streams", "SIMCAST_ALL_STREAMS", NULL, NULL, read_all_streams, "true or false",
     "every camera that appears in the directory, as long as it is there"},
    {"rendition", "SIMCAST_RENDITIONS", NULL, "SPEC", read_renditions,
     "NAME=CODEC[,WIDTHxHEIGHT][,quality=N][,bitrate=MBIT][,fps=N][,preset=NAME]",
     "another way of coding each camera, served as CAMERA+NAME.packets:\n"
     "NAME=CODEC[,WIDTHxHEIGHT][,OPTION...], CODEC h264, hevc (on NVENC,\n"
     "else h264), jpeg, or none to have no such rendition; OPTION\n"
     "quality=N, bitrate=MBIT, fps=N, preset=NAME. The picture is made to\n"
     "fit the size, never enlarged. May be repeated; the variable has\n"
     "several between blanks\n"
     "(jpeg=jpeg and h264=h264, both at full size)"},
    {"codec", "SIMCAST_CODEC", NULL, "NAME", read_codec, "h264, hevc, jpeg or auto",
     "of CAMERA.packets until a viewer asks for another: h264, hevc (on\n"
     "NVENC, else h264), jpeg, or auto: h264, and jpeg where no H.264\n"
     "encoder works (h264)"},
    {"codec-backend", "SIMCAST_CODEC_BACKEND", NULL, "NAME", read_backend, "auto, nvenc or x264",
     "who encodes: auto and nvenc try NVIDIA's NVENC and nvJPEG and take\n"
     "libx264 and libjpeg where there is none; x264 does not try (auto)"},
    {"jpeg-quality", "SIMCAST_JPEG_QUALITY", NULL, "N", read_quality, "1 to 100", "1 to 100 (80)"},
    {"jpeg-threads", "SIMCAST_JPEG_THREADS", NULL, "N", read_jpeg_threads, "0 to 8",
     "threads that share a picture as JPEG; 0: one for each 750,000\n"
     "pixels, no more than there are cores, and only while cores are idle (0)"},
    {"bitrate", "SIMCAST_BITRATE", NULL, "MBIT", read_bitrate, BITRATE_ALLOWED,
     "of H.264 in Mbit/s, 0.05 to 200 (4)"},
    {"fps", "SIMCAST_FPS", NULL, "N", read_fps, "0 to 240",
     "encode at most N frames per second; 0: all that come (0)"},
    {"preset", "SIMCAST_PRESET", NULL, "NAME", read_preset, PRESET_ALLOWED,
     "ultrafast to veryslow for libx264, p1 to p7 for NVENC; the encoder\n"
     "that does not know it takes its fastest (ultrafast)"},
    {"intra-refresh", "SIMCAST_INTRA_REFRESH", NULL, NULL, read_intra_refresh, "true or false",
     "H.264 without keyframes but those that viewers ask for: a wave of\n"
     "intra blocks renews the picture, and no frame is larger than others"},
    {"vbv", "SIMCAST_VBV", NULL, "N", read_vbv, "0 to 30 (pictures)",
     "how much one picture of H.264 may take, in average ones: 1 for an even\n"
     "flow, more for sharper keyframes; 0: 4 with libx264, 1 with NVENC and\n"
     "with --intra-refresh (0)"},
    {"packet-bytes-max", "SIMCAST_PACKET_BYTES_MAX", NULL, "N", read_packet_bytes,
     "4096 to 67108864 (bytes)",
     "size of a packet slot, 4096 to 67108864; a larger picture is coded\n"
     "worse. A camera holds 34 slots unless --rendition says otherwise (2097152)"},
    {"no-crc", "SIMCAST_NO_CRC", NULL, NULL, read_no_crc, "true or false",
     "leave the packets' CRC-32 at 0"},
    {"log-level", "SIMCAST_LOG_LEVEL", NULL, "NAME", read_log_level,
     "error, warning, info or debug", "error, warning, info or debug (info)"},
    LOG_FORMAT_ROW,
};

static const struct options defaults = {
    .cameras =
        {
            .names = {"front"},
            .name_count = 1,
            .gone_ns = GONE_NS,
            .stage =
                {
                    .dir = RING_DIR_DEFAULT,
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
        },
    .log_level = LOG_LEVEL_INFO,
};

enum option_result options_read(int argc, char **argv, struct options *ret_options)
{
    struct options options = defaults;
    const struct option_group group = {rows, sizeof(rows) / sizeof(rows[0]), &options};
    const struct option_program program = {
        .name = "simcast-encoder",
        .version = SIMCAST_VERSION,
        .before =
            "Usage: simcast-encoder [OPTION]...\n"
            "Encodes the newest frame of each camera, in each way that somebody watches. Reads the\n"
            "simulator's frame rings, serves rings of packets to simcastd; opens no network\n"
            "connection. What viewers ask for (codec, quality, bitrate, fps) changes while running.\n"
            "\n",
        .after = "\n"
                 "An option beats its variable in the environment. Exit status: 0 stopped by a\n"
                 "signal, 78 a wrong option or value, 1 anything else.\n"
                 "\n"
                 "  simcast-encoder --stream front,rear --rendition preview=jpeg,640x360,fps=15\n",
        .groups = &group,
        .group_count = 1,
    };
    enum option_result result = option_read(&program, argc, argv);

    /* With all of them, `front` is but one that may appear. */
    if (options.cameras.all && options.streams_from == OPTIONS_DEFAULT)
        options.cameras.name_count = 0;
    if (result == OPTION_GO)
        *ret_options = options;
    return result;
}
