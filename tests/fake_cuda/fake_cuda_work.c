/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies, streams and kernels. Owns one queue of work for all streams, under the fake driver's
 * mutex: work is done in order when somebody waits for its stream. A copy from host memory that
 * was not registered is made at once, as the driver does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/cuda_kernels.h"
#include "shm/cuda_driver.h"
#include "tests/fake_cuda/fake_cuda_parts.h"

#define WORK_MAX 64
#define STREAMS 16
#define MODULES 8
#define MEMORY_HOST 1
#define MEMORY_DEVICE 2
#define NOT_FOUND 500
#define INVALID_PTX 218
#define INVALID_HANDLE 400

/* CUDA_MEMCPY2D of cuda.h. */
struct copy_2d {
    size_t from_x, from_y;
    unsigned from_type;
    const void *from_host;
    uint64_t from_device;
    void *from_array;
    size_t from_pitch;
    size_t into_x, into_y;
    unsigned into_type;
    void *into_host;
    uint64_t into_device;
    void *into_array;
    size_t into_pitch;
    size_t width_bytes;
    size_t height;
};

struct kernel {
    const char *name;
    size_t job_bytes;
    int (*run)(const void *job, uint32_t columns, uint32_t rows); /* that have a thread */
};

struct work {
    const void *stream; /* NULL: this entry is free */
    struct copy_2d copy;
    const struct kernel *kernel; /* NULL: it is a copy */
    uint32_t columns, rows;
    union {
        struct cuda_pack_job pack;
        struct cuda_rows_job rows;
        struct cuda_nv12_job nv12;
    } job;
};

static struct work queue[WORK_MAX];
static size_t queued;
static char streams[STREAMS]; /* 1: in use; the address is the stream */
static char default_stream;
static char *modules[MODULES]; /* the PTX */

/* ---- copies -------------------------------------------------------------------------------- */

static void count(const struct copy_2d *copy, bool pinned)
{
    uint64_t bytes = (uint64_t)copy->width_bytes * copy->height;

    if (copy->from_type == copy->into_type)
        fake_state.device_bytes += bytes;
    else if (pinned)
        fake_state.pinned_bytes += bytes;
    else
        fake_state.pageable_bytes += bytes;
}

/* Not memcpy: a test that counts what the processor copies must not see what the GPU does. */
static void move_bytes(uint8_t *into, const uint8_t *from, size_t bytes)
{
    volatile uint8_t *to = into;

    for (size_t i = 0; i < bytes; i++)
        to[i] = from[i];
}

static int copy_rows(const struct copy_2d *copy)
{
    size_t from_bytes = (copy->height - 1) * copy->from_pitch + copy->width_bytes;
    size_t into_bytes = (copy->height - 1) * copy->into_pitch + copy->width_bytes;
    const uint8_t *from = copy->from_host;
    uint8_t *into = copy->into_host;
    int result = CUDA_OK;

    if (copy->width_bytes == 0 || copy->height == 0)
        return CUDA_OK;
    if (copy->from_type == MEMORY_DEVICE)
        from = fake_reach(copy->from_device, from_bytes, false, &result);
    if (from && copy->into_type == MEMORY_DEVICE)
        into = fake_reach(copy->into_device, into_bytes, true, &result);
    if (!from || !into)
        return result;
    for (size_t y = 0; y < copy->height; y++)
        move_bytes(into + y * copy->into_pitch, from + y * copy->from_pitch, copy->width_bytes);
    return CUDA_OK;
}

static bool is_copy_possible(const struct copy_2d *copy)
{
    bool knows_types = (copy->from_type == MEMORY_HOST || copy->from_type == MEMORY_DEVICE) &&
                       (copy->into_type == MEMORY_HOST || copy->into_type == MEMORY_DEVICE);

    return knows_types && !(copy->from_x | copy->from_y | copy->into_x | copy->into_y) &&
           copy->width_bytes <= copy->from_pitch && copy->width_bytes <= copy->into_pitch;
}

static bool is_pinned(const struct copy_2d *copy)
{
    size_t from_bytes = (copy->height - 1) * copy->from_pitch + copy->width_bytes;
    size_t into_bytes = (copy->height - 1) * copy->into_pitch + copy->width_bytes;

    return (copy->from_type == MEMORY_DEVICE || fake_is_pinned(copy->from_host, from_bytes)) &&
           (copy->into_type == MEMORY_DEVICE || fake_is_pinned(copy->into_host, into_bytes));
}

static struct copy_2d linear(uint64_t device, void *host, size_t bytes, bool to_host)
{
    return (struct copy_2d){
        .from_type = to_host ? MEMORY_DEVICE : MEMORY_HOST,
        .from_host = host,
        .from_device = device,
        .from_pitch = bytes,
        .into_type = to_host ? MEMORY_HOST : MEMORY_DEVICE,
        .into_host = host,
        .into_device = device,
        .into_pitch = bytes,
        .width_bytes = bytes,
        .height = 1,
    };
}

/* A copy that ends before the call does. */
static int copy_now(const struct copy_2d *copy)
{
    if (!fake_has_context())
        return INVALID_CONTEXT;
    int result = fake_finish_work(NULL);
    if (result == CUDA_OK)
        result = copy_rows(copy);
    if (result == CUDA_OK)
        count(copy, is_pinned(copy));
    return result;
}

API int cuMemcpyDtoH_v2(void *into, uint64_t from, size_t bytes);
API int cuMemcpyDtoH_v2(void *into, uint64_t from, size_t bytes)
{
    BEGIN("cuMemcpyDtoH");
    struct copy_2d copy = linear(from, into, bytes, true);
    return fake_end(copy_now(&copy));
}

API int cuMemcpyHtoD_v2(uint64_t into, const void *from, size_t bytes);
API int cuMemcpyHtoD_v2(uint64_t into, const void *from, size_t bytes)
{
    BEGIN("cuMemcpyHtoD");
    struct copy_2d copy = linear(into, (void *)(uintptr_t)from, bytes, false);
    return fake_end(copy_now(&copy));
}

/* ---- memory of the GPU alone --------------------------------------------------------------- */

API int cuMemAlloc_v2(uint64_t *ret_address, size_t bytes);
API int cuMemAlloc_v2(uint64_t *ret_address, size_t bytes)
{
    BEGIN("cuMemAlloc");
    return fake_end(fake_has_context() ? fake_allocate(bytes, ret_address) : INVALID_CONTEXT);
}

API int cuMemFree_v2(uint64_t address);
API int cuMemFree_v2(uint64_t address)
{
    BEGIN("cuMemFree");
    int result = fake_finish_work(NULL);
    return fake_end(result == CUDA_OK ? fake_free(address) : result);
}

/* ---- kernels ------------------------------------------------------------------------------- */

/* The plane as the processor reaches it; only its first and last row are looked at. */
static int reach_plane(struct cuda_plane *plane, size_t row_bytes, size_t rows, bool for_writing)
{
    uint64_t last = plane->address + (uint64_t)((int64_t)(rows - 1) * plane->stride_bytes);
    int result;
    uint8_t *there = fake_reach(last, row_bytes, for_writing, &result);

    if (there)
        there = fake_reach(plane->address, row_bytes, for_writing, &result);
    plane->address = (uint64_t)(uintptr_t)there;
    return result;
}

static int run_pack(const void *bytes, uint32_t columns, uint32_t rows)
{
    struct cuda_pack_job job;

    memcpy(&job, bytes, sizeof(job));
    int result = reach_plane(&job.from, (size_t)job.width * job.from_bytes, job.height, false);
    if (result == CUDA_OK)
        result = reach_plane(&job.into, (size_t)job.width * job.into_bytes, job.height, true);
    for (uint32_t y = 0; result == CUDA_OK && y < job.height && y < rows; y++) {
        for (uint32_t x = 0; x < job.width && x < columns; x++)
            cuda_pack_pixel(&job, x, y);
    }
    return result;
}

static int run_rows(const void *bytes, uint32_t columns, uint32_t rows)
{
    struct cuda_rows_job job;

    memcpy(&job, bytes, sizeof(job));
    int result = reach_plane(&job.from, job.width_bytes, job.height, false);
    if (result == CUDA_OK)
        result = reach_plane(&job.into, job.width_bytes, job.height, true);
    for (uint32_t y = 0; result == CUDA_OK && y < job.height && y < rows; y++) {
        for (uint32_t x = 0; x < job.width_bytes && x < columns; x++)
            cuda_rows_byte(&job, x, y);
    }
    return result;
}

static int run_nv12(const void *bytes, uint32_t columns, uint32_t rows)
{
    struct cuda_nv12_job job;

    memcpy(&job, bytes, sizeof(job));
    int result = reach_plane(&job.luma, job.width, job.height, false);
    if (result == CUDA_OK)
        result = reach_plane(&job.chroma, job.width, (job.height + 1) / 2, false);
    if (result == CUDA_OK)
        result = reach_plane(&job.into, (size_t)job.width * job.into_bytes, job.height, true);
    for (uint32_t y = 0; result == CUDA_OK && y < job.height && y < rows; y++) {
        for (uint32_t x = 0; x < job.width && x < columns; x++)
            cuda_nv12_pixel(&job, x, y);
    }
    return result;
}

static const struct kernel kernels[] = {
    {CUDA_PACK_NAME, sizeof(struct cuda_pack_job), run_pack},
    {CUDA_ROWS_NAME, sizeof(struct cuda_rows_job), run_rows},
    {CUDA_NV12_NAME, sizeof(struct cuda_nv12_job), run_nv12},
};

API int cuModuleLoadData(void **ret_module, const void *image);
API int cuModuleLoadData(void **ret_module, const void *image)
{
    BEGIN("cuModuleLoadData");
    if (!fake_has_context() || !strstr(image, ".version"))
        return fake_end(fake_has_context() ? INVALID_PTX : INVALID_CONTEXT);
    for (unsigned i = 0; i < MODULES; i++) {
        if (modules[i])
            continue;
        modules[i] = strdup(image);
        fake_state.modules++;
        *ret_module = &modules[i];
        return fake_end(CUDA_OK);
    }
    return fake_end(CUDA_OUT_OF_MEMORY);
}

API int cuModuleUnload(void *module);
API int cuModuleUnload(void *module)
{
    char **entry = module;

    BEGIN("cuModuleUnload");
    if (entry < modules || entry >= modules + MODULES || !*entry)
        return fake_end(INVALID_HANDLE);
    free(*entry);
    *entry = NULL;
    fake_state.modules--;
    return fake_end(CUDA_OK);
}

API int cuModuleGetFunction(void **ret_function, void *module, const char *name);
API int cuModuleGetFunction(void **ret_function, void *module, const char *name)
{
    char entry[64];

    BEGIN("cuModuleGetFunction");
    snprintf(entry, sizeof(entry), ".entry %s(", name);
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        if (strcmp(kernels[i].name, name) != 0 || !strstr(*(char **)module, entry))
            continue;
        *ret_function = (void *)(uintptr_t)&kernels[i];
        return fake_end(CUDA_OK);
    }
    return fake_end(NOT_FOUND);
}

/* ---- streams ------------------------------------------------------------------------------- */

static int do_work(const struct work *work)
{
    if (!work->kernel)
        return copy_rows(&work->copy);
    fake_state.kernels++;
    return work->kernel->run(&work->job, work->columns, work->rows);
}

int fake_finish_work(const void *stream)
{
    int result = CUDA_OK;
    size_t kept = 0;

    for (size_t i = 0; i < queued; i++) {
        if (stream && queue[i].stream != stream) {
            queue[kept++] = queue[i];
            continue;
        }
        int done = do_work(&queue[i]);
        result = result == CUDA_OK ? done : result;
    }
    queued = kept;
    return result;
}

static bool is_stream(const char *stream)
{
    return stream == &default_stream ||
           (stream >= streams && stream < streams + STREAMS && *stream);
}

static int enqueue(const void *stream, const struct work *work)
{
    const void *which = stream ? stream : &default_stream;

    if (!fake_has_context())
        return INVALID_CONTEXT;
    if (!is_stream(which))
        return INVALID_HANDLE;
    if (queued == WORK_MAX)
        return CUDA_OUT_OF_MEMORY;
    queue[queued] = *work;
    queue[queued++].stream = which;
    return CUDA_OK;
}

API int cuMemcpy2DAsync_v2(const struct copy_2d *copy, void *stream);
API int cuMemcpy2DAsync_v2(const struct copy_2d *copy, void *stream)
{
    BEGIN("cuMemcpy2DAsync");
    if (!is_copy_possible(copy))
        return fake_end(CUDA_INVALID_VALUE);
    if (!is_pinned(copy))
        return fake_end(copy_now(copy));
    struct work work = {.copy = *copy};
    int result = enqueue(stream, &work);
    if (result == CUDA_OK)
        count(copy, true);
    return fake_end(result);
}

/* NOLINTBEGIN(readability-function-size): so says cuda.h */
API int cuLaunchKernel(const struct kernel *kernel, unsigned grid_x, unsigned grid_y,
                       unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                       unsigned shared_bytes, void *stream, void **parameters, void **extra);
API int cuLaunchKernel(const struct kernel *kernel, unsigned grid_x, unsigned grid_y,
                       unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                       unsigned shared_bytes, void *stream, void **parameters, void **extra)
{
    BEGIN("cuLaunchKernel");
    if (grid_z != 1 || block_z != 1 || block_x * block_y > 1024 || shared_bytes || extra)
        return fake_end(CUDA_INVALID_VALUE);
    struct work work = {.kernel = kernel, .columns = grid_x * block_x, .rows = grid_y * block_y};
    memcpy(&work.job, parameters[0], kernel->job_bytes);
    return fake_end(enqueue(stream, &work));
}
/* NOLINTEND(readability-function-size) */

API int cuStreamCreate(void **ret_stream, unsigned flags);
API int cuStreamCreate(void **ret_stream, unsigned flags)
{
    BEGIN("cuStreamCreate");
    if (flags > 1 || !fake_has_context())
        return fake_end(fake_has_context() ? CUDA_INVALID_VALUE : INVALID_CONTEXT);
    for (unsigned i = 0; i < STREAMS; i++) {
        if (streams[i])
            continue;
        streams[i] = 1;
        fake_state.streams++;
        *ret_stream = &streams[i];
        return fake_end(CUDA_OK);
    }
    return fake_end(CUDA_OUT_OF_MEMORY);
}

API int cuStreamDestroy_v2(void *stream);
API int cuStreamDestroy_v2(void *stream)
{
    char *entry = stream;

    BEGIN("cuStreamDestroy");
    if (!is_stream(entry) || entry == &default_stream)
        return fake_end(INVALID_HANDLE);
    fake_finish_work(stream);
    *entry = 0;
    fake_state.streams--;
    return fake_end(CUDA_OK);
}

API int cuStreamSynchronize(void *stream);
API int cuStreamSynchronize(void *stream)
{
    BEGIN("cuStreamSynchronize");
    const void *which = stream ? stream : &default_stream;
    return fake_end(is_stream(which) ? fake_finish_work(which) : INVALID_HANDLE);
}

API const uint8_t *fake_cuda_reach(const void *stream, uint64_t address, size_t bytes)
{
    const uint8_t *there = NULL;
    int result = fake_begin("fake_cuda_reach");

    if (result == CUDA_OK)
        result = fake_finish_work(stream ? stream : &default_stream);
    if (result == CUDA_OK)
        there = fake_reach(address, bytes, false, &result);
    fake_end(result);
    return there;
}
