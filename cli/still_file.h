/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures as files: PNG, JPEG, NumPy's .npy, or bytes as they are. Home of libpng.
 *
 * A file appears under its name only when it is whole; it is written under NAME.partial.
 *
 * Thread: one per name. Cost: compresses and writes; blocks on the disk.
 */
#ifndef SIMCAST_CLI_STILL_FILE_H
#define SIMCAST_CLI_STILL_FILE_H

#include "cli/still.h"

enum still_format {
    STILL_PNG,
    STILL_JPEG,
    STILL_NPY, /* uint8 or, for depth, float32: (height, width[, channels if more than one]) */
    STILL_H264,
};

/* By the name's ending. Errors: -EINVAL none that we know. */
int still_format_parse(const char *path, enum still_format *ret_format);

/*
 * Errors: -EINVAL for STILL_H264, and for depth in anything but STILL_NPY; -ENOMEM, -EIO, and what
 * the system said.
 */
int still_file_write(const struct still *still, enum still_format format, const char *path);

/* Writes coded bytes as they are. Errors: what the system said. */
int still_file_write_bytes(const void *bytes, size_t bytes_count, const char *path);

#endif
