/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies pixels from a GPU straight into a slot. The CUDA driver is loaded when the first array
 * on a GPU comes, so nothing here is needed on a machine without one.
 *
 * Source: the CUDA driver API reference, version 12.
 */
#ifndef SIMCAST_PYTHON_CUDA_H
#define SIMCAST_PYTHON_CUDA_H

#include <stdint.h>

#include "python/picture.h"

/*
 * Loads the driver, once. Returns 0, or -ENODEV with a sentence for a person in *ret_reason,
 * which stays valid; then the next call tries again.
 * Thread: with the GIL held.
 */
int cuda_load(const char **ret_reason);

/*
 * The copy of plan, whose source is on a GPU, after cuda_load. Waits until it is done.
 * Errors: -EPROTONOSUPPORT only whole rows can be copied from a GPU, and these are not; -EIO the
 * driver refused, with its words in *ret_reason, which stays valid.
 * Thread: any, without the GIL. Cost: one transfer per picture, or one for all where they are
 * one run of bytes.
 */
int cuda_copy(const struct picture_plan *plan, uint64_t stream, uint8_t *slot,
              const char **ret_reason);

#endif
