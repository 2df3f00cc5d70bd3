/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory whose pages are pinned for the GPU, so that copies between the two run at the speed
 * of the bus and can be asynchronous.
 *
 * Internal to shm/. Thread: one at a time.
 */
#ifndef SIMCAST_SHM_CUDA_PIN_H
#define SIMCAST_SHM_CUDA_PIN_H

#include "shm/cuda_device.h"

/* Zeroed: nothing is pinned, and nobody asked. */
struct cuda_pin {
    struct cuda_device device;
    void *memory;                   /* borrowed; NULL: not pinned */
    char reason[CUDA_REASON_BYTES]; /* why not; "" when it is, or when nobody asked */
};

/*
 * Pins the memory for every context of the process, the work done in the context of GPU
 * `ordinal`. Memory that is mapped read-only needs `read_only`. Returns whether it is pinned.
 * Cost: proportional to the memory, milliseconds per 10 MB.
 */
bool cuda_pin_init(struct cuda_pin *pin, int ordinal, void *memory, size_t bytes, bool read_only);

/* Takes a zeroed one. Call before the memory is unmapped; no copy may be under way. */
void cuda_pin_fini(struct cuda_pin *pin);

#endif
