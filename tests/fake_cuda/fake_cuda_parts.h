/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the fake driver share: how a call begins and ends, and the memory behind
 * device pointers. Thread: any; what is declared under "while begun" needs the lock.
 */
#ifndef SIMCAST_TESTS_FAKE_CUDA_PARTS_H
#define SIMCAST_TESTS_FAKE_CUDA_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/fake_cuda/fake_cuda.h"

#define API __attribute__((visibility("default")))
#define BEGIN(name)                                                                                \
    do {                                                                                           \
        int begun = fake_begin(name);                                                              \
        if (begun != CUDA_OK)                                                                      \
            return fake_end(begun);                                                                \
    } while (0)

#define INVALID_CONTEXT 201
#define ILLEGAL_ADDRESS 700

/* Takes the lock. The result that this entry point must return, CUDA_OK: it may go on. */
int fake_begin(const char *name);
int fake_end(int result);

/* ---- while begun --------------------------------------------------------------------------- */

extern struct fake_cuda_state fake_state;

bool fake_has_context(void);

/*
 * Where the processor reaches `bytes` of device memory. NULL: not mapped; *ret_result says what
 * CUDA says of it.
 */
uint8_t *fake_reach(uint64_t address, size_t bytes, bool for_writing, int *ret_result);

/* Maps new device memory. */
int fake_allocate(size_t bytes, uint64_t *ret_address);
int fake_free(uint64_t address);

/* Whether all of it was registered with cuMemHostRegister. */
bool fake_is_pinned(const void *memory, size_t bytes);

/* Does what the stream was given to do; NULL: all streams. */
int fake_finish_work(const void *stream);

#endif
