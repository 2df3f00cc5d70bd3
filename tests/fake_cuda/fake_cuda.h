/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libcuda.so.1 for machines without a GPU: the entry points that shm/, encoder/ and FFmpeg's
 * NVENC use, with the driver's rules where a mistake of ours would break them. Tests find it by
 * LD_LIBRARY_PATH and speak to it through the environment, read at every call:
 *
 *   FAKE_CUDA_FAIL=cuMemCreate:2      that entry point returns that result
 *   FAKE_CUDA_FAIL=cuMemCreate:2:1    only the first time
 *   FAKE_CUDA_FAIL=*:999              every entry point does: the GPU is lost
 *   FAKE_CUDA_WITHOUT=102             the GPU has not this attribute (enum cuda_attribute)
 *   FAKE_CUDA_DEVICES=2               how many GPUs; 1 unless told
 *   FAKE_CUDA_UUID=x                  first byte of their UUIDs; the last is their number
 *
 * Device memory is a memfd. A device pointer lies in a range without access rights, so that a
 * processor that follows one gets a SIGSEGV, as with a real GPU. Work given to a stream is not
 * done before somebody waits for the stream: memory that is let go too early is read too late.
 * Kernels are those of encoder/cuda_kernels.h, found by name in the PTX that was loaded.
 */
#ifndef SIMCAST_TESTS_FAKE_CUDA_H
#define SIMCAST_TESTS_FAKE_CUDA_H

#include <stddef.h>
#include <stdint.h>

#define FAKE_CUDA_GRANULARITY (2u << 20)

/* What is alive now, and what was last asked; for tests to look at. */
struct fake_cuda_state {
    int contexts;     /* retained and not yet released */
    int current;      /* pushed on this thread and not yet popped */
    int handles;      /* created or imported, not yet released */
    int reservations; /* of addresses */
    int mappings;
    int registrations; /* of host memory */
    unsigned register_flags;
    unsigned access_flags;
    int allocations; /* cuMemAlloc */
    int streams;
    int modules;
    /* Bytes that copies moved so far, by who moved them. */
    uint64_t pinned_bytes;   /* the GPU, from registered host memory */
    uint64_t pageable_bytes; /* the processor: the host memory was not registered */
    uint64_t device_bytes;   /* the GPU, within its memory */
    uint64_t kernels;        /* that ran so far */
};

/* Found with dlsym as "fake_cuda_state". */
typedef void fake_cuda_state_function(struct fake_cuda_state *ret_state);
fake_cuda_state_function fake_cuda_state;

/*
 * For the fakes of NVIDIA's other libraries, which are engines on the same GPU: finishes the
 * stream's work, then says where the processor reaches that memory. NULL: it is no device memory.
 */
const uint8_t *fake_cuda_reach(const void *stream, uint64_t address, size_t bytes);

#endif
