/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One compressor per picture. libjpeg reports errors by a call that must not return; each such
 * call longjmps to still_jpeg, whose locals do not change after setjmp.
 */
#include "cli/still_jpeg.h"

#include <errno.h>
#include <stdio.h> /* jpeglib.h needs FILE */

#include <jpeglib.h>
#include <setjmp.h>

#include "base/log.h"

struct compression {
    struct jpeg_compress_struct compress;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf failed;
    int failure; /* negative errno, set before each longjmp */
};

_Noreturn static void fail(struct compression *compression, int failure)
{
    compression->failure = failure;
    longjmp(compression->failed, 1);
}

static void on_error(j_common_ptr common)
{
    char message[JMSG_LENGTH_MAX];

    common->err->format_message(common, message);
    log_error("libjpeg: %s", message);
    fail(common->client_data, -EIO);
}

static void on_begin(j_compress_ptr compress)
{
    (void)compress;
}

static boolean on_full(j_compress_ptr compress)
{
    fail(compress->client_data, -EMSGSIZE);
}

static void on_end(j_compress_ptr compress)
{
    (void)compress;
}

static void compress_rows(struct jpeg_compress_struct *compress, const struct still *still,
                          int quality)
{
    static const J_COLOR_SPACE spaces[] = {
        [1] = JCS_GRAYSCALE, [3] = JCS_EXT_RGB, [4] = JCS_EXT_RGBX};

    compress->image_width = still->width;
    compress->image_height = still->height;
    compress->input_components = (int)still->channels;
    compress->in_color_space = spaces[still->channels];
    jpeg_set_defaults(compress);
    jpeg_set_quality(compress, quality, TRUE);
    jpeg_start_compress(compress, TRUE);
    while (compress->next_scanline < still->height) {
        JSAMPROW row =
            still->pixels + (size_t)compress->next_scanline * still->width * still->channels;
        jpeg_write_scanlines(compress, &row, 1);
    }
    jpeg_finish_compress(compress);
}

int still_jpeg(const struct still *still, int quality, void *bytes, size_t bytes_max,
               size_t *ret_bytes)
{
    struct compression compression = {
        .destination = {.init_destination = on_begin,
                        .empty_output_buffer = on_full,
                        .term_destination = on_end,
                        .next_output_byte = bytes,
                        .free_in_buffer = bytes_max},
    };

    if (bytes_max == 0)
        return -EMSGSIZE;
    compression.compress.err = jpeg_std_error(&compression.errors);
    compression.errors.error_exit = on_error;
    compression.compress.client_data = &compression;
    if (setjmp(compression.failed) == 0) {
        jpeg_create_compress(&compression.compress);
        compression.compress.dest = &compression.destination;
        compress_rows(&compression.compress, still, quality);
        *ret_bytes = bytes_max - compression.destination.free_in_buffer;
    }
    jpeg_destroy_compress(&compression.compress);
    return compression.failure;
}
