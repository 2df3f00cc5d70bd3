/* SPDX-License-Identifier: Apache-2.0 */
/* One table of options; owns nothing, runs on any thread. */
#include "encoder/rendition_spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

#define SPEC_BYTES 128
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

bool bitrate_parse(const char *text, uint32_t *ret_bps)
{
    char *end;
    double mbit = strtod(text, &end);

    if (end == text || *end != '\0' || !(mbit >= 0.05 && mbit <= 200))
        return false;
    *ret_bps = (uint32_t)(mbit * 1e6 + 0.5);
    return true;
}

static bool read_quality(struct stream_settings *settings, const char *value)
{
    return option_whole(value, 1, 100, &settings->jpeg_quality);
}

static bool read_fps(struct stream_settings *settings, const char *value)
{
    return option_whole(value, 1, 240, &settings->fps);
}

static bool read_bitrate(struct stream_settings *settings, const char *value)
{
    return bitrate_parse(value, &settings->bitrate_bps);
}

static bool read_preset(struct stream_settings *settings, const char *value)
{
    int length = snprintf(settings->preset, sizeof(settings->preset), "%s", value);

    return length > 0 && (size_t)length < sizeof(settings->preset);
}

static const struct {
    const char *name; /* with its '=' */
    bool (*read)(struct stream_settings *settings, const char *value);
    const char *allowed;
} options[] = {
    {"quality=", read_quality, "1 to 100"},
    {"bitrate=", read_bitrate, BITRATE_ALLOWED},
    {"fps=", read_fps, "1 to 240"},
    {"preset=", read_preset, "the name of an encoder's preset"},
};

/* WIDTHxHEIGHT, even, as stream_settings_merge has them. */
static bool read_size(struct stream_settings *settings, const char *word)
{
    char width[8];
    size_t length = strcspn(word, "x");

    if (word[length] != 'x' || length >= sizeof(width))
        return false;
    memcpy(width, word, length);
    width[length] = '\0';
    return option_whole(width, 16, 4096, &settings->width) &&
           option_whole(word + length + 1, 16, 4096, &settings->height) &&
           settings->width % 2 == 0 && settings->height % 2 == 0;
}

static int read_word(struct stream_settings *settings, const char *word, char *reason)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        size_t length = strlen(options[i].name);
        if (strncmp(word, options[i].name, length) != 0)
            continue;
        if (options[i].read(settings, word + length))
            return 0;
        snprintf(reason, RENDITION_REASON_BYTES, "\"%.64s\" is wrong: use %s", word,
                 options[i].allowed);
        return -EINVAL;
    }
    if (read_size(settings, word))
        return 0;
    snprintf(reason, RENDITION_REASON_BYTES,
             "\"%.64s\" is none of WIDTHxHEIGHT (even, 16 to 4096), quality=, bitrate=, fps=, "
             "preset=",
             word);
    return -EINVAL;
}

static int read_codec(struct stream_settings *settings, const char *word, char *reason)
{
    enum video_codec codec;

    if (strcmp(word, "none") == 0)
        return 0;
    if (video_codec_parse(word, &codec) < 0) {
        snprintf(reason, RENDITION_REASON_BYTES, "\"%.64s\" is none of h264, hevc, jpeg, none",
                 word);
        return -EINVAL;
    }
    settings->codec = codec;
    return 0;
}

static int read_name(struct rendition_spec *spec, const char *text, char *reason)
{
    size_t length = strspn(text, NAME_LETTERS);

    if (length == 0 || length >= sizeof(spec->name) || text[length] != '=') {
        snprintf(reason, RENDITION_REASON_BYTES,
                 "it must begin with a name of at most %zu letters, digits, '-' and '_', and '='",
                 sizeof(spec->name) - 1);
        return -EINVAL;
    }
    memcpy(spec->name, text, length);
    return 0;
}

int rendition_spec_parse(const char *text, struct rendition_spec *ret_spec,
                         char ret_reason[RENDITION_REASON_BYTES])
{
    struct rendition_spec spec = {0};
    char words[SPEC_BYTES];
    char *rest = words;
    int rc = read_name(&spec, text, ret_reason);

    if (rc < 0)
        return rc;
    int length = snprintf(words, sizeof(words), "%s", text + strlen(spec.name) + 1);
    if (length < 0 || (size_t)length >= sizeof(words)) {
        snprintf(ret_reason, RENDITION_REASON_BYTES, "it is too long");
        return -EINVAL;
    }
    rc = read_codec(&spec.settings, strsep(&rest, ","), ret_reason);
    while (rc == 0 && rest)
        rc = read_word(&spec.settings, strsep(&rest, ","), ret_reason);
    if (rc == 0)
        *ret_spec = spec;
    return rc;
}
