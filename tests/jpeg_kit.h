/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A coded JPEG, decoded again with libjpeg. Thread: any. Errors fail the test.
 */
#ifndef SIMCAST_TESTS_JPEG_KIT_H
#define SIMCAST_TESTS_JPEG_KIT_H

#include <stdio.h> /* jpeglib.h needs FILE */

#include <check.h>
#include <jpeglib.h>

#include "encoder/codec.h"
#include "tests/picture_kit.h"

/* The image is the caller's to free; *ret_luma_sampling: 22 for 4:2:0, 11 for 4:4:4 or grey. */
static inline struct kit_image kit_jpeg_decode(const struct codec_packet *packet,
                                               int *ret_luma_sampling)
{
    struct jpeg_decompress_struct decompress;
    struct jpeg_error_mgr errors; /* prints and exits: fails the test */

    decompress.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&decompress);
    jpeg_mem_src(&decompress, packet->bytes, packet->size_bytes);
    ck_assert_int_eq(jpeg_read_header(&decompress, TRUE), JPEG_HEADER_OK);
    *ret_luma_sampling =
        decompress.comp_info[0].h_samp_factor * 10 + decompress.comp_info[0].v_samp_factor;
    decompress.out_color_space = JCS_RGB;
    jpeg_start_decompress(&decompress);
    struct kit_image image = kit_image_make(decompress.output_width, decompress.output_height);
    while (decompress.output_scanline < decompress.output_height) {
        JSAMPROW row = (JSAMPROW)(image.pixels + (size_t)decompress.output_scanline * image.width);
        jpeg_read_scanlines(&decompress, &row, 1);
    }
    jpeg_finish_decompress(&decompress);
    ck_assert_int_eq((int)errors.num_warnings, 0);
    jpeg_destroy_decompress(&decompress);
    return image;
}

#endif
