/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libcuda.so.1 for machines without a GPU: exactly the entry points that shm/ and its tests
 * use, with the driver's rules where a mistake of ours would break them. Tests find it by
 * LD_LIBRARY_PATH and speak to it through the environment, read at every call:
 *
 *   FAKE_CUDA_FAIL=cuMemCreate:2      that entry point returns that result
 *   FAKE_CUDA_FAIL=cuMemCreate:2:1    only the first time
 *   FAKE_CUDA_WITHOUT=102             the GPU has not this attribute (enum cuda_attribute)
 *   FAKE_CUDA_DEVICES=2               how many GPUs; 1 unless told
 *   FAKE_CUDA_UUID=x                  first byte of their UUIDs; the last is their number
 *
 * Device memory is a memfd. A device pointer lies in a range without access rights, so that a
 * processor that follows one gets a SIGSEGV, as with a real GPU.
 */
#ifndef SIMCAST_TESTS_FAKE_CUDA_H
#define SIMCAST_TESTS_FAKE_CUDA_H

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
};

/* Found with dlsym as "fake_cuda_state". */
typedef void fake_cuda_state_function(struct fake_cuda_state *ret_state);
fake_cuda_state_function fake_cuda_state;

#endif
