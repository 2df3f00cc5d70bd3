/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libcuda.so.1 whose GPU is host memory, with the functions that python/cuda.c uses. Tests read
 * and set its three variables.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum call { RUNS, PITCHED, STREAMS, PUSHED, POPPED, CALL_COUNT };

int calls[CALL_COUNT];
void *current;
int fail_with;

struct copy_2d {
    size_t source_x, source_y;
    int source_memory;
    const void *source_host;
    uint64_t source_device;
    void *source_array;
    size_t source_pitch, into_x, into_y;
    int into_memory;
    void *into_host;
    uint64_t into_device;
    void *into_array;
    size_t into_pitch, width, height;
};

/* NOLINTBEGIN(readability-identifier-naming): the names are the driver's */
int cuInit(unsigned flags)
{
    return flags == 0 ? 0 : 1;
}

int cuCtxGetCurrent(void **context)
{
    *context = current;
    return 0;
}

int cuCtxPushCurrent_v2(void *context)
{
    calls[PUSHED]++;
    current = context;
    return 0;
}

int cuCtxPopCurrent_v2(void **context)
{
    calls[POPPED]++;
    *context = current;
    current = NULL;
    return 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device)
{
    *context = (void *)(uintptr_t)(0x1000 + device);
    return 0;
}

int cuDevicePrimaryCtxRelease_v2(int device)
{
    return device == 0 ? 0 : 1;
}

int cuPointerGetAttribute(void *value, int attribute, uint64_t address)
{
    if (attribute != 9 || address == 0)
        return 1;
    *(int *)value = 0;
    return 0;
}

int cuStreamSynchronize(void *stream)
{
    calls[STREAMS]++;
    return stream && current ? 0 : 1;
}

int cuMemcpyDtoH_v2(void *into, uint64_t from, size_t bytes)
{
    calls[RUNS]++;
    if (fail_with != 0 || !current)
        return fail_with != 0 ? fail_with : 201;
    memcpy(into, (const void *)(uintptr_t)from, bytes);
    return 0;
}

int cuMemcpy2D_v2(const struct copy_2d *copy)
{
    calls[PITCHED]++;
    if (fail_with != 0 || !current)
        return fail_with != 0 ? fail_with : 201;
    if (copy->source_memory != 2 || copy->into_memory != 1 || copy->source_pitch < copy->width)
        return 1;
    for (size_t y = 0; y < copy->height; y++)
        memcpy((char *)copy->into_host + y * copy->into_pitch,
               (const char *)(uintptr_t)copy->source_device + y * copy->source_pitch, copy->width);
    return 0;
}

int cuGetErrorString(int result, const char **text)
{
    *text = result == 700 ? "an illegal address was used" : "invalid argument";
    return 0;
}
/* NOLINTEND(readability-identifier-naming) */
