/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libnvidia-encode.so.1 for machines without NVENC: the entry points that FFmpeg's h264_nvenc
 * and hevc_nvenc call for CUDA frames, with libx264 and libx265 (through libavcodec) as the
 * engine. It reads pictures from the fake GPU's memory (tests/fake_cuda) as late as the real one
 * may: when the coded picture is fetched. Tests find both by LD_LIBRARY_PATH and speak to it
 * through the environment, read at every call:
 *
 *   FAKE_NVENC_FAIL=nvEncEncodePicture:20    that entry point returns that NVENCSTATUS
 *   FAKE_NVENC_FAIL=nvEncEncodePicture:20:1  only the first time
 *   FAKE_NVENC_VERSION=10.0                  the driver knows the API up to this version
 *   FAKE_NVENC_CODECS=h264                   the engine has this codec only ("h264", "hevc")
 *   FAKE_NVENC_SESSIONS=2                    so many sessions at a time; 8 unless told
 */
#ifndef SIMCAST_TESTS_FAKE_NVENC_H
#define SIMCAST_TESTS_FAKE_NVENC_H

#include <stdint.h>

/* What is alive now, and what happened so far; for tests to look at. */
struct fake_nvenc_state {
    int sessions;
    int registrations; /* of device memory, as inputs */
    int mappings;      /* of these, in use by the engine */
    int bitstreams;    /* buffers for coded pictures */
    uint64_t opened;   /* sessions, ever */
    uint64_t registered;
    uint64_t pictures;
    uint64_t idrs;
    uint64_t reconfigured;
    uint64_t forgotten; /* registrations and buffers that outlived their session */
    /* Of the last session, as FFmpeg asked for it. */
    uint32_t bitrate_bps;
    uint32_t vbv_bits;
    uint32_t rate_control; /* NV_ENC_PARAMS_RC_MODE */
    uint32_t tuning;       /* NV_ENC_TUNING_INFO */
    uint32_t p_interval;   /* 1: no B-frames */
    uint32_t preset;       /* 1 to 7; 0: another */
    uint32_t zero_delay;
    uint32_t has_stream; /* a CUDA stream of ours, not the default one */
};

/* Found with dlsym as "fake_nvenc_state". */
typedef void fake_nvenc_state_function(struct fake_nvenc_state *ret_state);
fake_nvenc_state_function fake_nvenc_state;

#endif
