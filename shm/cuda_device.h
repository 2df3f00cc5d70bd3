/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One GPU, with its primary context held: the context that the CUDA runtime, torch and their like
 * use too, so that their streams and our memory go together.
 *
 * Internal to shm/ and encoder/cuda.c. Thread: one at a time per device. Errors keep their sentence
 * in cuda_driver_reason.
 */
#ifndef SIMCAST_SHM_CUDA_DEVICE_H
#define SIMCAST_SHM_CUDA_DEVICE_H

#include <stdbool.h>

#include "shm/cuda_driver.h"

/* Zeroed: not open. */
struct cuda_device {
    const struct cuda_driver *driver;
    int ordinal; /* as this process numbers its GPUs */
    cuda_device_id id;
    struct cuda_uuid uuid;
    cuda_context context;
    uint32_t fork_generation;
};

/* Errors: -EINVAL a negative ordinal; -ENODEV no driver, no such GPU; what CUDA said. */
int cuda_device_open(int ordinal, struct cuda_device *ret_device);

/* The same GPU as another process's, whatever number it has here. Errors: likewise. */
int cuda_device_open_uuid(const uint8_t uuid[CUDA_UUID_BYTES], struct cuda_device *ret_device);

/* Takes one that is not open. Does nothing in a child after fork(2). */
void cuda_device_close(struct cuda_device *device);

/* False when it is not open, or belongs to the parent of this process. */
bool cuda_device_is_ours(const struct cuda_device *device);

/* Makes its context current on this thread, until cuda_device_leave. */
int cuda_device_enter(const struct cuda_device *device);
void cuda_device_leave(const struct cuda_device *device);

/* Returns 0, or -EOPNOTSUPP when the GPU cannot do `what`. */
int cuda_device_require(const struct cuda_device *device, enum cuda_attribute attribute,
                        const char *what);

#endif
