/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a stream, the module with the kernels and one staging picture per struct cuda; on its
 * thread. The entry points that shm/cuda_driver.h does not have are looked up once per process,
 * from the library that it loaded. Every failure is an error with a sentence.
 */
#include "encoder/cuda.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <dlfcn.h>

#include "encoder/cuda_kernels_ptx.h"
#include "proto/pixel.h"

#define LIBRARY "libcuda.so.1"

/* Longer than C promises that a compiler takes; gcc and clang take it. */
#pragma GCC diagnostic ignored "-Woverlength-strings"
static const char kernels[] = CUDA_KERNELS_PTX;

#define MEMORY_HOST 1u
#define MEMORY_DEVICE 2u
#define STREAM_NON_BLOCKING 1u /* does not wait for the default stream */
#define BLOCK_COLUMNS 32u
#define BLOCK_ROWS 8u

/* CUDA_MEMCPY2D of cuda.h. */
struct copy_2d {
    size_t from_x, from_y;
    unsigned from_type;
    const void *from_host;
    uint64_t from_device;
    void *from_array;
    size_t from_stride;
    size_t into_x, into_y;
    unsigned into_type;
    void *into_host;
    uint64_t into_device;
    void *into_array;
    size_t into_stride;
    size_t width_bytes;
    size_t rows;
};

static_assert(sizeof(void *) != 8 || sizeof(struct copy_2d) == 128, "CUDA_MEMCPY2D");

struct work_driver {
    int (*stream_create)(void **ret_stream, unsigned flags);
    int (*stream_destroy)(void *stream);
    int (*stream_synchronize)(void *stream);
    int (*memory_allocate)(uint64_t *ret_address, size_t bytes);
    int (*memory_free)(uint64_t address);
    int (*copy)(const struct copy_2d *copy, void *stream);
    int (*module_load)(void **ret_module, const void *image);
    int (*module_unload)(void *module);
    int (*module_function)(void **ret_function, void *module, const char *name);
    int (*launch)(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                  unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                  void *stream, void **parameters, void **extra);
};

static const struct {
    const char *name;
    size_t offset;
} entry_points[] = {
    {"cuStreamCreate", offsetof(struct work_driver, stream_create)},
    {"cuStreamDestroy_v2", offsetof(struct work_driver, stream_destroy)},
    {"cuStreamSynchronize", offsetof(struct work_driver, stream_synchronize)},
    {"cuMemAlloc_v2", offsetof(struct work_driver, memory_allocate)},
    {"cuMemFree_v2", offsetof(struct work_driver, memory_free)},
    {"cuMemcpy2DAsync_v2", offsetof(struct work_driver, copy)},
    {"cuModuleLoadData", offsetof(struct work_driver, module_load)},
    {"cuModuleUnload", offsetof(struct work_driver, module_unload)},
    {"cuModuleGetFunction", offsetof(struct work_driver, module_function)},
    {"cuLaunchKernel", offsetof(struct work_driver, launch)},
};

#define ENTRY_POINTS (sizeof(entry_points) / sizeof(entry_points[0]))

static_assert(ENTRY_POINTS * sizeof(void *) == sizeof(struct work_driver), "each has its name");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct work_driver driver; /* guarded by lock until is_ready */
static bool is_ready;

static int find_entry_points(void)
{
    /* The device is open, so this only finds what is loaded. */
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < ENTRY_POINTS; i++) {
        void *symbol = dlsym(library, entry_points[i].name);
        if (!symbol)
            return cuda_driver_blame(-ENODEV, LIBRARY " has no %s: update the NVIDIA driver",
                                     entry_points[i].name);
        memcpy((char *)&driver + entry_points[i].offset, &symbol, sizeof(symbol));
    }
    return library ? 0 : cuda_driver_blame(-ENODEV, LIBRARY " is gone");
}

static int get_driver(void)
{
    int error = 0;

    pthread_mutex_lock(&lock);
    if (!is_ready)
        error = find_entry_points();
    is_ready = error == 0;
    pthread_mutex_unlock(&lock);
    return error;
}

static int check(const struct cuda *cuda, int result, const char *call)
{
    return cuda_driver_error(cuda->device.driver, result, call);
}

static int load_kernels(struct cuda *cuda)
{
    static const char *const names[] = {CUDA_PACK_NAME, CUDA_ROWS_NAME, CUDA_NV12_NAME};
    void **functions[] = {&cuda->pack, &cuda->rows, &cuda->nv12};
    int error =
        check(cuda, driver.module_load(&cuda->module, kernels), "cuModuleLoadData of the kernels");

    for (size_t i = 0; error == 0 && i < sizeof(names) / sizeof(names[0]); i++)
        error = check(cuda, driver.module_function(functions[i], cuda->module, names[i]),
                      "cuModuleGetFunction");
    return error;
}

int cuda_open(int ordinal, struct cuda *ret_cuda)
{
    struct cuda cuda = {0};

    if (!cuda_is_there())
        return cuda_driver_blame(-ENODEV, "there is no NVIDIA driver (" LIBRARY ")");
    int error = cuda_device_open(ordinal, &cuda.device);
    if (error < 0)
        return error;
    error = get_driver();
    if (error == 0)
        error = cuda_enter(&cuda);
    if (error == 0) {
        error =
            check(&cuda, driver.stream_create(&cuda.stream, STREAM_NON_BLOCKING), "cuStreamCreate");
        if (error == 0)
            error = load_kernels(&cuda);
        cuda_leave(&cuda);
    }
    if (error < 0)
        cuda_close(&cuda);
    else
        *ret_cuda = cuda;
    return error;
}

bool cuda_is_there(void)
{
    return dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL) !=
           NULL; /* never closed: the driver has threads */
}

/* On a GPU that is lost each step fails, and there is nothing left to free. */
void cuda_close(struct cuda *cuda)
{
    if (!cuda->device.driver)
        return;
    if (cuda_enter(cuda) == 0) {
        if (cuda->stream)
            driver.stream_synchronize(cuda->stream);
        cuda_free(cuda->staging);
        if (cuda->module)
            driver.module_unload(cuda->module);
        if (cuda->stream)
            driver.stream_destroy(cuda->stream);
        cuda_leave(cuda);
    }
    cuda_device_close(&cuda->device);
    *cuda = (struct cuda){0};
}

int cuda_enter(const struct cuda *cuda)
{
    return cuda_device_enter(&cuda->device);
}

void cuda_leave(const struct cuda *cuda)
{
    cuda_device_leave(&cuda->device);
}

int cuda_allocate(const struct cuda *cuda, size_t bytes, uint64_t *ret_address)
{
    return check(cuda, driver.memory_allocate(ret_address, bytes), "cuMemAlloc");
}

void cuda_free(uint64_t address)
{
    if (address)
        driver.memory_free(address);
}

int cuda_wait(const struct cuda *cuda)
{
    return check(cuda, driver.stream_synchronize(cuda->stream), "cuStreamSynchronize");
}

int cuda_copy(const struct cuda *cuda, const struct cuda_copy *copy)
{
    struct copy_2d job = {
        .from_type = copy->from_memory == RING_MEMORY_CUDA ? MEMORY_DEVICE : MEMORY_HOST,
        .from_host = copy->from,
        .from_device = (uint64_t)(uintptr_t)copy->from,
        .from_stride = copy->from_stride_bytes,
        .into_type = MEMORY_DEVICE,
        .into_device = copy->into,
        .into_stride = copy->into_stride_bytes,
        .width_bytes = copy->width_bytes,
        .rows = copy->rows,
    };

    return check(cuda, driver.copy(&job, cuda->stream), "cuMemcpy2DAsync");
}

/* ---- kernels ------------------------------------------------------------------------------- */

static int launch(const struct cuda *cuda, void *function, const uint32_t size[2], const void *job)
{
    void *parameters[] = {(void *)(uintptr_t)job}; /* only read, at once */

    return check(cuda,
                 driver.launch(function, (size[0] + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS,
                               (size[1] + BLOCK_ROWS - 1) / BLOCK_ROWS, 1, BLOCK_COLUMNS,
                               BLOCK_ROWS, 1, 0, cuda->stream, parameters, NULL),
                 "cuLaunchKernel");
}

int cuda_pack(const struct cuda *cuda, const struct cuda_pack_job *job)
{
    return launch(cuda, cuda->pack, (const uint32_t[]){job->width, job->height}, job);
}

int cuda_rows(const struct cuda *cuda, const struct cuda_rows_job *job)
{
    return launch(cuda, cuda->rows, (const uint32_t[]){job->width_bytes, job->height}, job);
}

int cuda_nv12(const struct cuda *cuda, const struct cuda_nv12_job *job)
{
    return launch(cuda, cuda->nv12, (const uint32_t[]){job->width, job->height}, job);
}

/* ---- pictures ------------------------------------------------------------------------------ */

static int reserve_staging(struct cuda *cuda, size_t bytes)
{
    if (bytes <= cuda->staging_bytes)
        return 0;
    int error = cuda_wait(cuda);
    if (error < 0)
        return error;
    cuda_free(cuda->staging);
    cuda->staging = 0;
    cuda->staging_bytes = 0;
    error = cuda_allocate(cuda, bytes, &cuda->staging);
    if (error == 0)
        cuda->staging_bytes = bytes;
    return error;
}

/* The rows of one plane as they lie, the first in memory first. */
static struct cuda_copy plane_copy(const uint8_t *top, ptrdiff_t stride_bytes, size_t width_bytes,
                                   size_t rows)
{
    size_t stride = (size_t)(stride_bytes < 0 ? -stride_bytes : stride_bytes);
    const uint8_t *first = stride_bytes < 0 ? top + (ptrdiff_t)(rows - 1) * stride_bytes : top;

    return (struct cuda_copy){
        .from_memory = RING_MEMORY_HOST,
        .from = first,
        .from_stride_bytes = stride,
        .into_stride_bytes = stride,
        .width_bytes = width_bytes,
        .rows = rows,
    };
}

/* Where the top row of a copied plane lies. */
static const uint8_t *copied_top(const struct cuda_copy *copy, ptrdiff_t stride_bytes)
{
    uint64_t last = copy->into + (copy->rows - 1) * copy->into_stride_bytes;

    return (const uint8_t *)(uintptr_t)(stride_bytes < 0 ? last : copy->into);
}

int cuda_bring(struct cuda *cuda, const struct picture *picture, struct picture *ret_picture)
{
    struct picture brought = *picture;
    bool is_nv12 = picture->fourcc == PIXEL_NV12;
    size_t chroma_rows = is_nv12 ? (picture->height + 1) / 2 : 0;

    *ret_picture = brought;
    if (picture->memory == RING_MEMORY_CUDA)
        return 0;
    struct cuda_copy pixels =
        plane_copy(picture->top, picture->stride_bytes,
                   (size_t)picture->width * pixel_bytes(picture->fourcc), picture->height);
    int error = reserve_staging(cuda, pixels.from_stride_bytes * (picture->height + chroma_rows));
    pixels.into = cuda->staging;
    if (error == 0)
        error = cuda_copy(cuda, &pixels);
    if (error == 0 && is_nv12) {
        struct cuda_copy chroma = plane_copy(picture->chroma_top, picture->chroma_stride_bytes,
                                             (picture->width + 1) / 2 * 2, chroma_rows);
        chroma.into = cuda->staging + pixels.from_stride_bytes * picture->height;
        error = cuda_copy(cuda, &chroma);
        brought.chroma_top = copied_top(&chroma, picture->chroma_stride_bytes);
    }
    brought.memory = RING_MEMORY_CUDA;
    brought.cuda_device = cuda->device.ordinal;
    brought.top = copied_top(&pixels, picture->stride_bytes);
    if (error == 0)
        *ret_picture = brought;
    return error;
}

bool cuda_knows_layout(uint32_t fourcc)
{
    switch (fourcc) {
    case PIXEL_RGB24:
    case PIXEL_RGBA:
    case PIXEL_RGBX:
    case PIXEL_BGRA:
    case PIXEL_NV12:
    case PIXEL_GREY:
        return true;
    default:
        return false;
    }
}

int cuda_to_rgb(const struct cuda *cuda, const struct picture *picture, struct cuda_plane into,
                const uint32_t size[2], uint32_t into_bytes)
{
    struct cuda_plane from = {(uint64_t)(uintptr_t)picture->top, picture->stride_bytes};

    if (picture->fourcc == PIXEL_NV12) {
        struct cuda_nv12_job job = {
            .luma = from,
            .chroma = {(uint64_t)(uintptr_t)picture->chroma_top, picture->chroma_stride_bytes},
            .into = into,
            .width = size[0],
            .height = size[1],
            .into_bytes = into_bytes,
            .is_limited = picture->limited_range,
        };
        return cuda_nv12(cuda, &job);
    }
    struct cuda_pack_job job = {
        .from = from,
        .into = into,
        .width = size[0],
        .height = size[1],
        .from_bytes = pixel_bytes(picture->fourcc),
        .into_bytes = into_bytes,
        .is_bgr = picture->fourcc == PIXEL_BGRA,
    };
    return cuda_pack(cuda, &job);
}
