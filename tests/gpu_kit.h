/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures in GPU memory, whether a GPU with what a test needs is there, and what the stand-ins
 * (tests/fake_cuda, tests/fake_nvenc) know. CUDA does not survive fork(2): main() asks in a child.
 *
 * Thread: one. Errors fail the test.
 */
#ifndef SIMCAST_TESTS_GPU_KIT_H
#define SIMCAST_TESTS_GPU_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>
#include <dlfcn.h>

#include "encoder/codec.h"
#include "encoder/cuda.h"
#include "tests/fake_cuda/fake_cuda.h"
#include "tests/fake_nvenc/fake_nvenc.h"
#include "tests/picture_kit.h"

#define GPU_SKIPPED 77
#define GPU_PICTURE_BYTES (8UL << 20)

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>

/* The stand-in's engine, which keeps some of its memory until the process ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libx265.so\n";
}
#endif

/* FFmpeg's nvenc frees nothing more once the context is lost; the rest of the test leaks. */
static inline void gpu_allow_leaks(void)
{
#ifdef __SANITIZE_ADDRESS__
    __lsan_disable();
#endif
}

/* Memory for one picture, on GPU 0. */
struct gpu {
    struct cuda cuda;
    uint64_t memory;
};

static inline void gpu_open(struct gpu *gpu)
{
    ck_assert_msg(cuda_open(0, &gpu->cuda) == 0, "%s", cuda_driver_reason());
    ck_assert_int_eq(cuda_enter(&gpu->cuda), 0);
    ck_assert_int_eq(cuda_allocate(&gpu->cuda, GPU_PICTURE_BYTES, &gpu->memory), 0);
    cuda_leave(&gpu->cuda);
}

static inline void gpu_close(struct gpu *gpu)
{
    ck_assert_int_eq(cuda_enter(&gpu->cuda), 0);
    cuda_free(gpu->memory);
    cuda_leave(&gpu->cuda);
    cuda_close(&gpu->cuda);
}

/* The frame as a picture of the GPU, its stride rounded up to what an engine can read. */
static inline struct picture gpu_picture(const struct gpu *gpu, const struct kit_frame *kit)
{
    struct ring_frame frame = kit->frame;
    size_t rows = frame.payload_bytes / kit->frame.stride_bytes;
    struct picture picture;
    const char *reason;

    frame.stride_bytes = (frame.stride_bytes + 63) / 64 * 64;
    frame.payload_bytes = rows * frame.stride_bytes;
    ck_assert_uint_le(frame.payload_bytes, GPU_PICTURE_BYTES);
    struct cuda_copy copy = {
        .from_memory = RING_MEMORY_HOST,
        .from = kit->bytes,
        .from_stride_bytes = kit->frame.stride_bytes,
        .into = gpu->memory,
        .into_stride_bytes = frame.stride_bytes,
        .width_bytes = kit->frame.stride_bytes,
        .rows = rows,
    };
    ck_assert_int_eq(cuda_enter(&gpu->cuda), 0);
    ck_assert_int_eq(cuda_copy(&gpu->cuda, &copy), 0);
    ck_assert_int_eq(cuda_wait(&gpu->cuda), 0);
    cuda_leave(&gpu->cuda);
    ck_assert_int_eq(
        picture_from_frame(&frame, (const void *)(uintptr_t)gpu->memory, &picture, &reason), 0);
    picture.memory = RING_MEMORY_CUDA;
    picture.cuda_device = 0;
    return picture;
}

/*
 * Why this machine cannot run the back end's tests, as a phrase; NULL: it can. Asked in a child,
 * so that the tests' own processes come to CUDA afresh.
 */
static inline const char *gpu_missing(const struct codec_backend *backend)
{
    static char reason[512];
    int pipe_fds[2];

    if (pipe(pipe_fds) < 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        struct codec_config config = {.settings = {.codec = backend->codec,
                                                   .jpeg_quality = 80,
                                                   .bitrate_bps = 1000000,
                                                   .fps = 30,
                                                   .width = 320,
                                                   .height = 240},
                                      .packet_bytes_max = 1UL << 20};
        struct codec *codec = NULL;
        bool opened = backend->open(&config, &codec) == 0;
        const char *why = codec_complaint();
        if (!opened)
            dprintf(pipe_fds[1], "%s does not open: %s", backend->name, *why ? why : "no reason");
        _exit(opened ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(pipe_fds[1]);
    ssize_t got = read(pipe_fds[0], reason, sizeof(reason) - 1);
    reason[got > 0 ? got : 0] = '\0';
    close(pipe_fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0 ? NULL : reason;
}

/* Of a stand-in; the library is loaded by then, or there is nothing to know. */
static inline void *gpu_fake_symbol(const char *library_name, const char *name)
{
    void *library = dlopen(library_name, RTLD_NOW | RTLD_NOLOAD);

    return library ? dlsym(library, name) : NULL;
}

static inline struct fake_cuda_state cuda_state(void)
{
    void *symbol = gpu_fake_symbol("libcuda.so.1", "fake_cuda_state");
    struct fake_cuda_state state = {0};
    fake_cuda_state_function *ask;

    memcpy(&ask, &symbol, sizeof(ask));
    if (ask)
        ask(&state);
    return state;
}

static inline struct fake_nvenc_state nvenc_state(void)
{
    void *symbol = gpu_fake_symbol("libnvidia-encode.so.1", "fake_nvenc_state");
    struct fake_nvenc_state state = {0};
    fake_nvenc_state_function *ask;

    memcpy(&ask, &symbol, sizeof(ask));
    if (ask)
        ask(&state);
    return state;
}

/* How a stand-in is to fail, by a variable of the environment. */
struct gpu_failure {
    const char *variable;
    const char *value;
    const char *reason; /* in the complaint */
};

static inline void gpu_assert_told(const struct gpu_failure *failure)
{
    ck_assert_msg(strstr(codec_complaint(), failure->reason) != NULL,
                  "%s=%s: \"%s\" does not say \"%s\"", failure->variable, failure->value,
                  codec_complaint(), failure->reason);
}

static inline void gpu_assert_nothing_is_left(void)
{
    struct fake_cuda_state cuda = cuda_state();
    struct fake_nvenc_state nvenc = nvenc_state();

    ck_assert_int_eq(cuda.contexts, 0);
    ck_assert_int_eq(cuda.current, 0);
    ck_assert_int_eq(cuda.streams, 0);
    ck_assert_int_eq(cuda.modules, 0);
    ck_assert_int_eq(cuda.allocations, 0);
    ck_assert_int_eq(cuda.registrations, 0);
    ck_assert_int_eq(nvenc.sessions, 0);
    ck_assert_int_eq(nvenc.registrations, 0);
    ck_assert_int_eq(nvenc.mappings, 0);
    ck_assert_int_eq(nvenc.bitstreams, 0);
    ck_assert_uint_eq(nvenc.forgotten, 0);
}

#endif
