/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG through libjpeg-turbo: the compressor reads the rows where they lie and writes where the
 * packet lies. Owns one jpeg_compress_struct for the life of the codec, on the stage's thread.
 *
 * libjpeg reports errors by a call that must not return; each such call longjmps to guarded(),
 * the only function here with a setjmp. A picture that does not fit is coded again at lower
 * quality, as often as QUALITY_MIN allows.
 *
 * NV12 goes in as planes: its luma where it lies if it is full range, as JPEG is; its chroma is
 * taken apart in strips of eight rows.
 */
#include "encoder/jpeg.h"

#include <errno.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <setjmp.h>

#include "base/log.h"
#include "encoder/convert.h"
#include "proto/pixel.h"

#define ROWS_PER_CALL 16 /* one row of 4:2:0 blocks */
#define CHROMA_ROWS_PER_CALL (ROWS_PER_CALL / 2)
#define BLOCK_SIDE 8U
#define QUALITY_MIN 5

struct jpeg_serial {
    struct jpeg_compress_struct compress;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf failed;
    int failure; /* negative errno, set before each longjmp */
    struct picture picture;
    uint32_t width;
    uint32_t height;
    uint32_t restart_rows; /* pixels, whole blocks; 0: no restart markers */
    int quality;           /* asked for */
    int quality_set;       /* in the compressor's tables; 0: none yet */
    uint32_t fourcc;       /* that the compressor is set up for; 0: none yet */
    bool created;
    size_t scratch_stride;  /* bytes per row below, whole blocks */
    uint8_t *scratch;       /* NV12: a call's rows of Y, then Cb, then Cr */
    uint8_t full_luma[256]; /* limited range to full range */
    uint8_t full_chroma[256];
};

_Noreturn static void fail(struct jpeg_serial *codec, int failure)
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
    {PIXEL_BGRA, JCS_EXT_BGRX, 4}, {PIXEL_GREY, JCS_GRAYSCALE, 1}, {PIXEL_NV12, JCS_YCbCr, 3},
};

static const struct layout *layout_of(uint32_t fourcc)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (layouts[i].fourcc == fourcc)
            return &layouts[i];
    }
    return NULL;
}

static void create(struct jpeg_serial *codec)
{
    jpeg_create_compress(&codec->compress);
    codec->created = true;
    codec->compress.client_data = codec;
    codec->compress.dest = &codec->destination;
}

/* Sets what differs from the previous picture; jpeg_set_defaults picks 4:2:0 for colour. */
static void prepare(struct jpeg_serial *codec, int quality)
{
    struct jpeg_compress_struct *compress = &codec->compress;

    if (codec->fourcc != codec->picture.fourcc) {
        const struct layout *layout = layout_of(codec->picture.fourcc);
        compress->image_width = codec->width;
        compress->image_height = codec->height;
        compress->input_components = layout->components;
        compress->in_color_space = layout->space;
        jpeg_set_defaults(compress);
        compress->restart_in_rows =
            (int)codec->restart_rows / (compress->comp_info[0].v_samp_factor * (int)BLOCK_SIDE);
        compress->raw_data_in = codec->picture.fourcc == PIXEL_NV12;
        codec->fourcc = codec->picture.fourcc;
        codec->quality_set = 0;
    }
    if (codec->quality_set != quality) {
        jpeg_set_quality(compress, quality, TRUE);
        codec->quality_set = quality;
    }
}

static void write_rows(struct jpeg_serial *codec)
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

/* A row of luma: where it lies if libjpeg can read it there, else in `into`. */
static const uint8_t *luma_row(const struct jpeg_serial *codec, uint32_t y, uint8_t *into)
{
    const struct picture *picture = &codec->picture;
    const uint8_t *from = picture->top + (ptrdiff_t)y * picture->stride_bytes;

    if (!picture->limited_range && codec->width % BLOCK_SIDE == 0)
        return from;
    for (uint32_t x = 0; x < codec->scratch_stride; x++) {
        uint8_t value = from[x < codec->width ? x : codec->width - 1];
        into[x] = picture->limited_range ? codec->full_luma[value] : value;
    }
    return into;
}

static void split_chroma_row(const struct jpeg_serial *codec, uint32_t y, uint8_t *into_cb,
                             uint8_t *into_cr)
{
    const struct picture *picture = &codec->picture;
    const uint8_t *from = picture->chroma_top + (ptrdiff_t)y * picture->chroma_stride_bytes;
    uint32_t pairs = codec->width / 2; /* the stride may end before an odd width's last pair */

    convert_split_pairs(from, pairs, into_cb, into_cr);
    if (picture->limited_range) {
        for (uint32_t x = 0; x < pairs; x++) {
            into_cb[x] = codec->full_chroma[into_cb[x]];
            into_cr[x] = codec->full_chroma[into_cr[x]];
        }
    }
    /* Whole blocks: beyond the picture its last column is repeated. */
    memset(into_cb + pairs, into_cb[pairs - 1], codec->scratch_stride / 2 - pairs);
    memset(into_cr + pairs, into_cr[pairs - 1], codec->scratch_stride / 2 - pairs);
}

/* libjpeg takes whole rows of blocks: below the picture its last rows are repeated. */
static void write_planes(struct jpeg_serial *codec)
{
    struct jpeg_compress_struct *compress = &codec->compress;
    uint8_t *scratch_cb = codec->scratch + ROWS_PER_CALL * codec->scratch_stride;
    uint8_t *scratch_cr = scratch_cb + CHROMA_ROWS_PER_CALL * codec->scratch_stride;
    const uint8_t *luma[ROWS_PER_CALL];
    uint8_t *cb[CHROMA_ROWS_PER_CALL];
    uint8_t *cr[CHROMA_ROWS_PER_CALL];
    JSAMPARRAY planes[] = {(JSAMPARRAY)luma, cb, cr};
    uint32_t chroma_rows = (codec->height + 1) / 2;

    while (compress->next_scanline < codec->height) {
        for (uint32_t i = 0; i < ROWS_PER_CALL; i++) {
            uint32_t y = compress->next_scanline + i;
            luma[i] = luma_row(codec, y < codec->height ? y : codec->height - 1,
                               codec->scratch + i * codec->scratch_stride);
        }
        for (uint32_t i = 0; i < CHROMA_ROWS_PER_CALL; i++) {
            uint32_t y = compress->next_scanline / 2 + i;
            cb[i] = scratch_cb + i * codec->scratch_stride;
            cr[i] = scratch_cr + i * codec->scratch_stride;
            split_chroma_row(codec, y < chroma_rows ? y : chroma_rows - 1, cb[i], cr[i]);
        }
        jpeg_write_raw_data(compress, planes, ROWS_PER_CALL);
    }
}

static void compress_picture(struct jpeg_serial *codec, int quality, struct codec_packet *packet)
{
    prepare(codec, quality);
    codec->destination.next_output_byte = packet->bytes;
    codec->destination.free_in_buffer = packet->bytes_max;
    jpeg_start_compress(&codec->compress, TRUE);
    if (codec->compress.raw_data_in)
        write_planes(codec);
    else
        write_rows(codec);
    jpeg_finish_compress(&codec->compress);
    packet->size_bytes = packet->bytes_max - codec->destination.free_in_buffer;
}

/* Compresses, or without a packet creates the compressor; returns 0 or what libjpeg reported. */
static int guarded(struct jpeg_serial *codec, int quality, struct codec_packet *packet)
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

void jpeg_serial_close(struct jpeg_serial *codec)
{
    if (!codec)
        return;
    if (codec->created)
        jpeg_destroy_compress(&codec->compress);
    free(codec->scratch);
    free(codec);
}

/* `scale` is what 255 steps of full range are in limited range. */
static void fill_table(uint8_t table[256], double zero, double scale, double full_zero)
{
    for (int i = 0; i < 256; i++) {
        double full = full_zero + (i - zero) * 255.0 / scale;
        table[i] = (uint8_t)(full <= 0 ? 0 : full >= 255 ? 255 : full + 0.5);
    }
}

/* For NV12; other layouts need none of it. */
static int make_scratch(struct jpeg_serial *codec)
{
    size_t mcu = 2UL * BLOCK_SIDE;

    codec->scratch_stride = (codec->width + mcu - 1) / mcu * mcu;
    codec->scratch = malloc((ROWS_PER_CALL + 2UL * CHROMA_ROWS_PER_CALL) * codec->scratch_stride);
    fill_table(codec->full_luma, 16, 219, 0);
    fill_table(codec->full_chroma, 128, 224, 128);
    return codec->scratch ? 0 : -ENOMEM;
}

int jpeg_serial_open(const struct codec_config *config, uint32_t restart_rows,
                     struct jpeg_serial **ret_codec)
{
    struct jpeg_serial *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return -ENOMEM;
    codec->width = config->settings.width;
    codec->height = config->settings.height;
    codec->quality = (int)config->settings.jpeg_quality;
    codec->restart_rows = restart_rows;
    codec->destination.init_destination = on_destination_begin;
    codec->destination.empty_output_buffer = on_destination_full;
    codec->destination.term_destination = on_destination_end;
    codec->compress.err = jpeg_std_error(&codec->errors);
    codec->compress.client_data = codec;
    codec->errors.error_exit = on_error;
    codec->errors.emit_message = on_message;
    if (make_scratch(codec) < 0 || guarded(codec, 0, NULL) < 0) {
        jpeg_serial_close(codec);
        return -ENOMEM;
    }
    *ret_codec = codec;
    return 0;
}

bool jpeg_serial_adapt(struct jpeg_serial *codec, const struct stream_settings *settings)
{
    if (settings->width != codec->width || settings->height != codec->height)
        return false;
    codec->quality = (int)settings->jpeg_quality;
    return true;
}

void jpeg_serial_quality(struct jpeg_serial *codec, uint32_t quality)
{
    codec->quality = (int)quality;
}

int jpeg_serial_load(struct jpeg_serial *codec, const struct picture *picture)
{
    if (!layout_of(picture->fourcc))
        return -EPROTONOSUPPORT;
    codec->picture = *picture;
    return 0;
}

int jpeg_serial_encode(struct jpeg_serial *codec, struct codec_packet *packet)
{
    int quality = codec->quality;

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
