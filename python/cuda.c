/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the handle of libcuda.so.1, for the life of the process. A transfer runs in the calling
 * thread's CUDA context, which is the one that torch and its like have made current, or else in
 * the primary context of the device that owns the memory.
 */
#include "python/cuda.h"

#include <errno.h>
#include <stddef.h>

#include <dlfcn.h>

#define LIBRARY "libcuda.so.1"

typedef int cuda_result; /* 0: success */
typedef uint64_t cuda_address;
typedef void *cuda_context;

enum { POINTER_DEVICE_ORDINAL = 9 };
enum { MEMORY_HOST = 1, MEMORY_DEVICE = 2 };

struct cuda_copy_2d {
    size_t source_x_bytes;
    size_t source_y;
    int source_memory;
    const void *source_host;
    cuda_address source_device;
    void *source_array;
    size_t source_pitch;
    size_t into_x_bytes;
    size_t into_y;
    int into_memory;
    void *into_host;
    cuda_address into_device;
    void *into_array;
    size_t into_pitch;
    size_t width_bytes;
    size_t height;
};

static struct {
    void *library;
    cuda_result (*init)(unsigned flags);
    cuda_result (*context_get)(cuda_context *ret_context);
    cuda_result (*context_push)(cuda_context context);
    cuda_result (*context_pop)(cuda_context *ret_context);
    cuda_result (*primary_retain)(cuda_context *ret_context, int device);
    cuda_result (*primary_release)(int device);
    cuda_result (*pointer_attribute)(void *ret_value, int attribute, cuda_address address);
    cuda_result (*stream_synchronize)(void *stream);
    cuda_result (*copy_to_host)(void *into, cuda_address from, size_t bytes);
    cuda_result (*copy_2d)(const struct cuda_copy_2d *copy);
    cuda_result (*error_string)(cuda_result result, const char **ret_text);
} cuda;

/* Stores through a pointer to void, as POSIX has it for functions found by name. */
static int find(void *function, const char *name)
{
    void *symbol = dlsym(cuda.library, name);

    *(void **)function = symbol;
    return symbol ? 0 : -ENODEV;
}

static int find_all(void)
{
    int error = 0;

    error |= find(&cuda.init, "cuInit");
    error |= find(&cuda.context_get, "cuCtxGetCurrent");
    error |= find(&cuda.context_push, "cuCtxPushCurrent_v2");
    error |= find(&cuda.context_pop, "cuCtxPopCurrent_v2");
    error |= find(&cuda.primary_retain, "cuDevicePrimaryCtxRetain");
    error |= find(&cuda.primary_release, "cuDevicePrimaryCtxRelease_v2");
    error |= find(&cuda.pointer_attribute, "cuPointerGetAttribute");
    error |= find(&cuda.stream_synchronize, "cuStreamSynchronize");
    error |= find(&cuda.copy_to_host, "cuMemcpyDtoH_v2");
    error |= find(&cuda.copy_2d, "cuMemcpy2D_v2");
    error |= find(&cuda.error_string, "cuGetErrorString");
    return error;
}

static const char *describe(cuda_result result)
{
    const char *text = NULL;

    if (cuda.error_string(result, &text) != 0 || !text)
        return "an error that it does not name";
    return text;
}

int cuda_load(const char **ret_reason)
{
    if (cuda.library)
        return 0;
    cuda.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!cuda.library) {
        *ret_reason = "the CUDA driver library " LIBRARY " is not on this machine";
        return -ENODEV;
    }
    if (find_all() == 0) {
        cuda_result result = cuda.init(0);
        if (result == 0)
            return 0;
        *ret_reason = describe(result);
    } else {
        *ret_reason = "the CUDA driver library " LIBRARY " is too old";
    }
    dlclose(cuda.library);
    cuda.library = NULL;
    return -ENODEV;
}

/* `into` is written to by the driver. NOLINTNEXTLINE(readability-non-const-parameter) */
static cuda_result copy_picture(const struct picture_plan *plan, cuda_address from, uint8_t *into)
{
    struct cuda_copy_2d copy = {
        .source_memory = MEMORY_DEVICE,
        .source_device = from,
        .source_pitch = (size_t)plan->row_step,
        .into_memory = MEMORY_HOST,
        .into_host = into,
        .into_pitch = plan->stride_bytes,
        .width_bytes = plan->row_bytes,
        .height = plan->rows,
    };

    return cuda.copy_2d(&copy);
}

static cuda_result copy_pictures(const struct picture_plan *plan, uint8_t *slot)
{
    cuda_address from = (uintptr_t)plan->first;
    cuda_result result = 0;

    if (picture_is_one_run(plan))
        return cuda.copy_to_host(slot, from, picture_run_bytes(plan));
    for (uint32_t i = 0; i < plan->pictures && result == 0; i++) {
        result = copy_picture(plan, from + (uint64_t)(i * plan->picture_step), slot);
        slot += (size_t)plan->rows * plan->stride_bytes;
    }
    return result;
}

static cuda_result copy_in_primary_context(const struct picture_plan *plan, uint64_t stream,
                                           uint8_t *slot)
{
    cuda_context context;
    int device = 0;
    cuda_result result =
        cuda.pointer_attribute(&device, POINTER_DEVICE_ORDINAL, (uintptr_t)plan->first);

    if (result != 0)
        return result;
    result = cuda.primary_retain(&context, device);
    if (result != 0)
        return result;
    result = cuda.context_push(context);
    if (result == 0 && stream != 0)
        result = cuda.stream_synchronize((void *)(uintptr_t)stream);
    if (result == 0)
        result = copy_pictures(plan, slot);
    cuda.context_pop(&context);
    cuda.primary_release(device);
    return result;
}

int cuda_copy(const struct picture_plan *plan, uint64_t stream, uint8_t *slot,
              const char **ret_reason)
{
    cuda_context context = NULL;

    if (plan->channels > 0 || (plan->rows > 1 && plan->row_step < (int64_t)plan->row_bytes))
        return -EPROTONOSUPPORT;
    cuda_result result = cuda.context_get(&context);
    if (result == 0 && !context)
        result = copy_in_primary_context(plan, stream, slot);
    else if (result == 0) {
        if (stream != 0)
            result = cuda.stream_synchronize((void *)(uintptr_t)stream);
        if (result == 0)
            result = copy_pictures(plan, slot);
    }
    if (result == 0)
        return 0;
    *ret_reason = describe(result);
    return -EIO;
}
