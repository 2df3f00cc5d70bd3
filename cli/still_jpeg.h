/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A still as JPEG. Home of libjpeg in the command line.
 *
 * Thread: any. Cost: compresses; allocates what libjpeg needs.
 */
#ifndef SIMCAST_CLI_STILL_JPEG_H
#define SIMCAST_CLI_STILL_JPEG_H

#include "cli/still.h"

/*
 * Compresses into `bytes`; alpha is left out. Sets *ret_bytes to the size.
 * Errors: -EMSGSIZE it does not fit bytes_max; -EIO what libjpeg said, which was logged.
 */
int still_jpeg(const struct still *still, int quality, void *bytes, size_t bytes_max,
               size_t *ret_bytes);

#endif
