/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing between calls but what its callers hold. Thread: one at a time per handle. */
#include "tests/fake_nvjpeg/fake_nvjpeg.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "tests/fake_cuda/fake_cuda.h"

#define API __attribute__((visibility("default")))
#define INVALID_PARAMETER 2
#define EXECUTION_FAILED 6
#define INPUT_RGBI 5
#define SUBSAMPLING_420 2

/* nvjpegImage_t */
struct image {
    void *planes[4];
    size_t pitch[4];
};

struct params {
    int quality;
    int subsampling;
};

/* The picture that waits to be fetched, and the JPEG made of it. */
struct encoder {
    struct image image;
    struct params params;
    int width;
    int height;
    const void *stream;
    unsigned char *jpeg; /* NULL: not made yet */
    unsigned long jpeg_bytes;
};

static struct fake_nvjpeg_state counts; /* tests have one thread */

API void fake_nvjpeg_state(struct fake_nvjpeg_state *ret_state)
{
    *ret_state = counts;
}

static int injected(const char *name)
{
    const char *wish = getenv("FAKE_NVJPEG_FAIL");
    size_t length = strlen(name);

    if (!wish || strncmp(wish, name, length) != 0 || wish[length] != ':')
        return 0;
    return (int)strtol(wish + length + 1, NULL, 10);
}

#define BEGIN                                                                                      \
    do {                                                                                           \
        int begun = injected(__func__);                                                            \
        if (begun != 0)                                                                            \
            return begun;                                                                          \
    } while (0)

static int make(size_t bytes, void **ret_memory, int *counter)
{
    *ret_memory = calloc(1, bytes);
    *counter += 1;
    return 0;
}

API int nvjpegCreateSimple(void **ret_handle);
API int nvjpegCreateSimple(void **ret_handle)
{
    BEGIN;
    return make(1, ret_handle, &counts.handles);
}

API int nvjpegDestroy(void *handle);
API int nvjpegDestroy(void *handle)
{
    free(handle);
    counts.handles--;
    return 0;
}

API int nvjpegEncoderStateCreate(void *handle, void **ret_state, void *stream);
API int nvjpegEncoderStateCreate(void *handle, void **ret_state, void *stream)
{
    (void)handle;
    (void)stream;
    BEGIN;
    return make(sizeof(struct encoder), ret_state, &counts.states);
}

API int nvjpegEncoderStateDestroy(void *state);
API int nvjpegEncoderStateDestroy(void *state)
{
    struct encoder *encoder = state;

    free(encoder->jpeg);
    free(encoder);
    counts.states--;
    return 0;
}

API int nvjpegEncoderParamsCreate(void *handle, void **ret_params, void *stream);
API int nvjpegEncoderParamsCreate(void *handle, void **ret_params, void *stream)
{
    (void)handle;
    (void)stream;
    BEGIN;
    return make(sizeof(struct params), ret_params, &counts.params);
}

API int nvjpegEncoderParamsDestroy(void *params);
API int nvjpegEncoderParamsDestroy(void *params)
{
    free(params);
    counts.params--;
    return 0;
}

API int nvjpegEncoderParamsSetQuality(void *params, int quality, void *stream);
API int nvjpegEncoderParamsSetQuality(void *params, int quality, void *stream)
{
    (void)stream;
    BEGIN;
    if (quality < 1 || quality > 100)
        return INVALID_PARAMETER;
    ((struct params *)params)->quality = quality;
    return 0;
}

API int nvjpegEncoderParamsSetSamplingFactors(void *params, int subsampling, void *stream);
API int nvjpegEncoderParamsSetSamplingFactors(void *params, int subsampling, void *stream)
{
    (void)stream;
    BEGIN;
    if (subsampling != SUBSAMPLING_420)
        return INVALID_PARAMETER;
    ((struct params *)params)->subsampling = subsampling;
    return 0;
}

/* NOLINTBEGIN(readability-function-size): so says nvjpeg.h */
API int nvjpegEncodeImage(void *handle, void *state, void *params, const struct image *image,
                          int input, int width, int height, void *stream);
API int nvjpegEncodeImage(void *handle, void *state, void *params, const struct image *image,
                          int input, int width, int height, void *stream)
{
    struct encoder *encoder = state;

    (void)handle;
    BEGIN;
    if (input != INPUT_RGBI || width < 1 || height < 1 || image->pitch[0] < (size_t)width * 3)
        return INVALID_PARAMETER;
    free(encoder->jpeg);
    *encoder = (struct encoder){.image = *image,
                                .params = *(struct params *)params,
                                .width = width,
                                .height = height,
                                .stream = stream};
    return 0;
}
/* NOLINTEND(readability-function-size) */

/* The subsampling is libjpeg's own default, 4:2:0. */
static int compress(struct encoder *encoder)
{
    struct jpeg_compress_struct compress;
    struct jpeg_error_mgr errors;
    size_t bytes =
        encoder->image.pitch[0] * (size_t)(encoder->height - 1) + (size_t)encoder->width * 3;
    const uint8_t *pixels =
        fake_cuda_reach(encoder->stream, (uint64_t)(uintptr_t)encoder->image.planes[0], bytes);

    if (!pixels)
        return EXECUTION_FAILED;
    compress.err = jpeg_std_error(&errors); /* ends the process: only memory could be short */
    jpeg_create_compress(&compress);
    jpeg_mem_dest(&compress, &encoder->jpeg, &encoder->jpeg_bytes);
    compress.image_width = (JDIMENSION)encoder->width;
    compress.image_height = (JDIMENSION)encoder->height;
    compress.input_components = 3;
    compress.in_color_space = JCS_RGB;
    jpeg_set_defaults(&compress);
    jpeg_set_quality(&compress, encoder->params.quality, TRUE);
    jpeg_start_compress(&compress, TRUE);
    while (compress.next_scanline < compress.image_height) {
        JSAMPROW row =
            (JSAMPROW)(uintptr_t)(pixels + compress.next_scanline * encoder->image.pitch[0]);
        jpeg_write_scanlines(&compress, &row, 1);
    }
    jpeg_finish_compress(&compress);
    jpeg_destroy_compress(&compress);
    counts.pictures++;
    counts.quality = encoder->params.quality;
    return 0;
}

API int nvjpegEncodeRetrieveBitstream(void *handle, void *state, unsigned char *bytes,
                                      size_t *size_bytes, void *stream);
API int nvjpegEncodeRetrieveBitstream(void *handle, void *state, unsigned char *bytes,
                                      size_t *size_bytes, void *stream)
{
    struct encoder *encoder = state;

    (void)handle;
    (void)stream;
    BEGIN;
    int status = encoder->jpeg ? 0 : compress(encoder);
    if (status != 0)
        return status;
    if (bytes && *size_bytes < encoder->jpeg_bytes)
        return INVALID_PARAMETER;
    if (bytes)
        memcpy(bytes, encoder->jpeg, encoder->jpeg_bytes);
    *size_bytes = encoder->jpeg_bytes;
    return 0;
}
