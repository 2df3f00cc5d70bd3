/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One piece of GPU memory that two processes map: its owner exports it as a descriptor, others
 * import that. It lives until the last of them has let go, like a memfd.
 *
 * Internal to shm/. Thread: one at a time. Errors keep their sentence in cuda_driver_reason.
 */
#ifndef SIMCAST_SHM_CUDA_MEMORY_H
#define SIMCAST_SHM_CUDA_MEMORY_H

#include "shm/cuda_device.h"

/* Zeroed: none. */
struct cuda_memory {
    struct cuda_device device;
    cuda_address address; /* the GPU's; 0: not reserved */
    size_t bytes;         /* a multiple of the GPU's granularity (2 MiB) */
    bool is_mapped;
    int fd; /* to hand out, close-on-exec; -1 in importers */
};

/*
 * Allocates at least `bytes` on a GPU and maps them for reading and writing. Contents are
 * undefined. Errors: -ENODEV no driver or no such GPU; -EOPNOTSUPP the GPU cannot share memory;
 * -ENOMEM; what CUDA said.
 */
int cuda_memory_create(int ordinal, size_t bytes, struct cuda_memory *ret_memory);

/*
 * Maps memory of another process, which lies on the GPU with that UUID and was created with that
 * many bytes; read-only where the driver can do so. Borrows fd. Errors: likewise, and -EINVAL
 * the descriptor is no GPU memory, or of another size.
 */
int cuda_memory_import(int fd, const uint8_t uuid[CUDA_UUID_BYTES], size_t bytes,
                       struct cuda_memory *ret_memory);

/* Takes a zeroed one. The GPU must be done with it. */
void cuda_memory_fini(struct cuda_memory *memory);

#endif
