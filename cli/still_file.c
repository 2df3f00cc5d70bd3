/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the partial file while it is being written; a failure removes it. */
#include "cli/still_file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <png.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/log.h"
#include "cli/still_jpeg.h"

#define JPEG_QUALITY 92
#define JPEG_HEADROOM_BYTES 65536u
#define NPY_MAGIC "\x93NUMPY\x01" /* and a zero: version 1.0 */
#define NPY_PREFIX_BYTES 10u
#define NPY_HEADER_BYTES 128u /* with the prefix; a multiple of 64 */

int still_format_parse(const char *path, enum still_format *ret_format)
{
    static const struct {
        const char *ending;
        enum still_format format;
    } formats[] = {{".png", STILL_PNG},
                   {".jpg", STILL_JPEG},
                   {".jpeg", STILL_JPEG},
                   {".npy", STILL_NPY},
                   {".h264", STILL_H264}};
    const char *ending = strrchr(path, '.');

    for (size_t i = 0; ending && i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcasecmp(ending, formats[i].ending) == 0) {
            *ret_format = formats[i].format;
            return 0;
        }
    }
    return -EINVAL;
}

static int put(FILE *file, const void *bytes, size_t count)
{
    if (fwrite(bytes, 1, count, file) == count)
        return 0;
    return errno > 0 ? -errno : -EIO;
}

static int put_png(FILE *file, const struct still *still)
{
    static const png_uint_32 formats[] = {
        [1] = PNG_FORMAT_GRAY, [3] = PNG_FORMAT_RGB, [4] = PNG_FORMAT_RGBA};
    png_image image = {
        .version = PNG_IMAGE_VERSION,
        .width = still->width,
        .height = still->height,
        .format = formats[still->channels],
    };

    if (png_image_write_to_stdio(&image, file, 0, still->pixels, 0, NULL))
        return 0;
    log_error("libpng: %s", image.message);
    return -EIO;
}

static int put_jpeg(FILE *file, const struct still *still)
{
    size_t bytes_max = (size_t)still->width * still->height * 3 + JPEG_HEADROOM_BYTES;
    uint8_t *bytes = malloc(bytes_max);
    size_t count = 0;

    if (!bytes)
        return -ENOMEM;
    int error = still_jpeg(still, JPEG_QUALITY, bytes, bytes_max, &count);
    if (error == 0)
        error = put(file, bytes, count);
    free(bytes);
    return error;
}

/* Source: numpy.lib.format, "Format Version 1.0". */
static int put_npy(FILE *file, const struct still *still)
{
    char header[NPY_HEADER_BYTES + 1];
    char channels[16] = "";

    if (still->channels > 1)
        snprintf(channels, sizeof(channels), ", %" PRIu32, still->channels);
    memcpy(header, NPY_MAGIC, sizeof(NPY_MAGIC));
    put_le16((uint8_t *)header + 8, NPY_HEADER_BYTES - NPY_PREFIX_BYTES);
    int used =
        snprintf(header + NPY_PREFIX_BYTES, NPY_HEADER_BYTES - NPY_PREFIX_BYTES,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu32 ", %" PRIu32 "%s), }",
                 still->sample_bytes == 1 ? "|u1" : "<f4", still->height, still->width, channels);
    size_t end = NPY_PREFIX_BYTES + (size_t)used;
    memset(header + end, ' ', NPY_HEADER_BYTES - end);
    header[NPY_HEADER_BYTES - 1] = '\n';
    int error = put(file, header, NPY_HEADER_BYTES);
    if (error == 0)
        error = put(file, still->pixels,
                    (size_t)still->width * still->height * still->channels * still->sample_bytes);
    return error;
}

/* ---- whole or not at all ------------------------------------------------------------------ */

struct partial {
    char path[PATH_MAX];
    FILE *file;
};

static int partial_open(struct partial *partial, const char *path)
{
    int count = snprintf(partial->path, sizeof(partial->path), "%s.partial", path);

    if (count < 0 || (size_t)count >= sizeof(partial->path))
        return -ENAMETOOLONG;
    partial->file = fopen(partial->path, "we");
    return partial->file ? 0 : -errno;
}

/* Gives the file its name if `error` is 0, else removes it. */
static int partial_close(struct partial *partial, const char *path, int error)
{
    if (fclose(partial->file) != 0 && error == 0)
        error = -errno;
    if (error == 0 && rename(partial->path, path) < 0)
        error = -errno;
    if (error < 0)
        unlink(partial->path);
    return error;
}

int still_file_write(const struct still *still, enum still_format format, const char *path)
{
    int (*const writers[])(FILE *, const struct still *) = {
        [STILL_PNG] = put_png, [STILL_JPEG] = put_jpeg, [STILL_NPY] = put_npy, [STILL_H264] = NULL};
    struct partial partial;

    if (!writers[format] || (still->sample_bytes != 1 && format != STILL_NPY))
        return -EINVAL;
    int error = partial_open(&partial, path);
    if (error < 0)
        return error;
    return partial_close(&partial, path, writers[format](partial.file, still));
}

int still_file_write_bytes(const void *bytes, size_t bytes_count, const char *path)
{
    struct partial partial;
    int error = partial_open(&partial, path);

    if (error < 0)
        return error;
    return partial_close(&partial, path, put(partial.file, bytes, bytes_count));
}
