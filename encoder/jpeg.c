/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG through libjpeg-turbo: the compressor reads the rows where they lie and writes where the
 * packet lies. Owns one jpeg_compress_struct for the life of the codec, on the stage's thread.
 *
 * libjpeg reports errors by a call that must not return; each such call longjmps to guarded(),
 * the only function here with a setjmp. A picture that does not fit is coded again at lower
 * quality, as often as QUALITY_MIN allows.
 */
#include <errno.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <stdlib.h>

#include <jpeglib.h>
#include <setjmp.h>

#include "base/log.h"
#include "encoder/codec.h"
#include "proto/pixel.h"

#define ROWS_PER_CALL 16 /* one row of 4:2:0 blocks */
#define QUALITY_MIN 5

struct codec {
    struct jpeg_compress_struct compress;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf failed;
    int failure; /* negative errno, set before each longjmp */
    struct picture picture;
    uint32_t width;
    uint32_t height;
    int quality;     /* asked for */
    int quality_set; /* in the compressor's tables; 0: none yet */
    uint32_t fourcc; /* that the compressor is set up for; 0: none yet */
    bool created;
};

_Noreturn static void fail(struct codec *codec, int failure)
{
    codec->failure = failure;
    longjmp(codec->failed, 1);
}

static void on_error(j_common_ptr common)
{
    char message[JMSG_LENGTH_MAX];

    common->err->format_message(common, message);
    log_debug("libjpeg: %s", message);
    fail(common->client_data, -EIO);
}

static void on_message(j_common_ptr common, int level)
{
    (void)common;
    (void)level;
}

/* The packet's memory is set before each start, and all of it is libjpeg's at once. */
static void on_destination_begin(j_compress_ptr compress)
{
    (void)compress;
}

static boolean on_destination_full(j_compress_ptr compress)
{
    fail(compress->client_data, -EMSGSIZE);
}

static void on_destination_end(j_compress_ptr compress)
{
    (void)compress;
}

struct layout {
    uint32_t fourcc;
    J_COLOR_SPACE space;
    int components;
};

static const struct layout layouts[] = {
    {PIXEL_RGB24, JCS_EXT_RGB, 3}, {PIXEL_RGBA, JCS_EXT_RGBX, 4},  {PIXEL_RGBX, JCS_EXT_RGBX, 4},
    {PIXEL_BGRA, JCS_EXT_BGRX, 4}, {PIXEL_GREY, JCS_GRAYSCALE, 1},
};

static const struct layout *layout_of(uint32_t fourcc)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (layouts[i].fourcc == fourcc)
            return &layouts[i];
    }
    return NULL;
}

static void create(struct codec *codec)
{
    jpeg_create_compress(&codec->compress);
    codec->created = true;
    codec->compress.client_data = codec;
    codec->compress.dest = &codec->destination;
}

/* Sets what differs from the previous picture; jpeg_set_defaults picks 4:2:0 for colour. */
static void prepare(struct codec *codec, int quality)
{
    struct jpeg_compress_struct *compress = &codec->compress;

    if (codec->fourcc != codec->picture.fourcc) {
        const struct layout *layout = layout_of(codec->picture.fourcc);
        compress->image_width = codec->width;
        compress->image_height = codec->height;
        compress->input_components = layout->components;
        compress->in_color_space = layout->space;
        jpeg_set_defaults(compress);
        codec->fourcc = codec->picture.fourcc;
        codec->quality_set = 0;
    }
    if (codec->quality_set != quality) {
        jpeg_set_quality(compress, quality, TRUE);
        codec->quality_set = quality;
    }
}

static void write_rows(struct codec *codec)
{
    struct jpeg_compress_struct *compress = &codec->compress;
    const uint8_t *rows[ROWS_PER_CALL];

    while (compress->next_scanline < codec->height) {
        unsigned count = codec->height - compress->next_scanline;
        if (count > ROWS_PER_CALL)
            count = ROWS_PER_CALL;
        for (unsigned i = 0; i < count; i++) {
            ptrdiff_t row = (ptrdiff_t)compress->next_scanline + (ptrdiff_t)i;
            rows[i] = codec->picture.top + row * codec->picture.stride_bytes;
        }
        /* libjpeg's type has no const, yet it only reads: the memory is mapped read-only. */
        jpeg_write_scanlines(compress, (JSAMPARRAY)rows, count);
    }
}

static void compress_picture(struct codec *codec, int quality, struct codec_packet *packet)
{
    prepare(codec, quality);
    codec->destination.next_output_byte = packet->bytes;
    codec->destination.free_in_buffer = packet->bytes_max;
    jpeg_start_compress(&codec->compress, TRUE);
    write_rows(codec);
    jpeg_finish_compress(&codec->compress);
    packet->size_bytes = packet->bytes_max - codec->destination.free_in_buffer;
}

/* Compresses, or without a packet creates the compressor; returns 0 or what libjpeg reported. */
static int guarded(struct codec *codec, int quality, struct codec_packet *packet)
{
    if (setjmp(codec->failed) != 0) {
        if (codec->created)
            jpeg_abort_compress(&codec->compress);
        return codec->failure;
    }
    if (packet)
        compress_picture(codec, quality, packet);
    else
        create(codec);
    return 0;
}

static void close_jpeg(struct codec *codec)
{
    if (!codec)
        return;
    jpeg_destroy_compress(&codec->compress);
    free(codec);
}

static int open_jpeg(const struct codec_config *config, struct codec **ret_codec)
{
    struct codec *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return -ENOMEM;
    codec->width = config->settings.width;
    codec->height = config->settings.height;
    codec->quality = (int)config->settings.jpeg_quality;
    codec->destination.init_destination = on_destination_begin;
    codec->destination.empty_output_buffer = on_destination_full;
    codec->destination.term_destination = on_destination_end;
    codec->compress.err = jpeg_std_error(&codec->errors);
    codec->compress.client_data = codec;
    codec->errors.error_exit = on_error;
    codec->errors.emit_message = on_message;
    if (guarded(codec, 0, NULL) < 0) {
        free(codec);
        return -ENOMEM;
    }
    *ret_codec = codec;
    return 0;
}

static bool has_preset_jpeg(const char *preset)
{
    (void)preset;
    return true; /* JPEG has none; whatever H.264 uses does not matter here */
}

static bool adapt_jpeg(struct codec *codec, const struct stream_settings *settings)
{
    if (settings->width != codec->width || settings->height != codec->height)
        return false;
    codec->quality = (int)settings->jpeg_quality;
    return true;
}

static int load_jpeg(struct codec *codec, const struct picture *picture)
{
    if (!layout_of(picture->fourcc))
        return -EPROTONOSUPPORT;
    codec->picture = *picture;
    return 0;
}

static int encode_jpeg(struct codec *codec, bool keyframe, struct codec_packet *packet)
{
    int quality = codec->quality;

    (void)keyframe; /* every JPEG is one */
    if (packet->bytes_max == 0)
        return -EMSGSIZE; /* libjpeg writes a byte before it counts it */
    int rc = guarded(codec, quality, packet);
    while (rc == -EMSGSIZE && quality > QUALITY_MIN) {
        quality = quality / 2 > QUALITY_MIN ? quality / 2 : QUALITY_MIN;
        rc = guarded(codec, quality, packet);
    }
    if (rc < 0)
        return rc;
    packet->keyframe = true;
    packet->degraded = quality < codec->quality;
    return 0;
}

const struct codec_backend codec_jpeg = {
    .name = "libjpeg",
    .codec = VIDEO_CODEC_JPEG,
    .borrows_picture = true,
    .has_preset = has_preset_jpeg,
    .open = open_jpeg,
    .adapt = adapt_jpeg,
    .load = load_jpeg,
    .encode = encode_jpeg,
    .close = close_jpeg,
};
