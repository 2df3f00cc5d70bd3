/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libnvjpeg.so.12 for machines without a GPU: the entry points that encoder/nvjpeg.c uses, with
 * libjpeg-turbo behind them. It reads pictures from the fake GPU's memory (tests/fake_cuda) when
 * their JPEG is fetched. Tests speak to it through the environment, read at every call:
 *
 *   FAKE_NVJPEG_FAIL=nvjpegEncodeImage:6     that entry point returns that nvjpegStatus_t
 */
#ifndef SIMCAST_TESTS_FAKE_NVJPEG_H
#define SIMCAST_TESTS_FAKE_NVJPEG_H

#include <stdint.h>

/* What is alive now, and what happened so far. */
struct fake_nvjpeg_state {
    int handles;
    int states;
    int params;
    uint64_t pictures;
    int quality; /* of the last */
};

/* Found with dlsym as "fake_nvjpeg_state". */
typedef void fake_nvjpeg_state_function(struct fake_nvjpeg_state *ret_state);
fake_nvjpeg_state_function fake_nvjpeg_state;

#endif
