/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices, contexts and memory. Owns small tables of handles, ranges and registrations under one
 * mutex. Results are those of the driver; in a child after fork(2) everything says
 * NOT_INITIALIZED, as the driver does.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/cuda_driver.h"
#include "tests/fake_cuda/fake_cuda_parts.h"

#define ENTRIES 64
#define MEMORY_NAME "fake-cuda-memory"
#define TEXTURE_ALIGNMENT 14 /* attribute, and its value on all GPUs of ten years */
#define TEXTURE_ALIGNMENT_BYTES 512

struct registration {
    const char *memory;
    size_t bytes;
};

struct range {
    char *base; /* what the device pointer says; no access */
    size_t bytes;
    int fd;        /* of the memory mapped there, our own; -1: none */
    char *backing; /* where we can reach it */
    unsigned access;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t initialized_by;
static int handles[ENTRIES]; /* descriptor + 1 of the memory; 0: free */
static struct range ranges[ENTRIES];
static struct registration registered[ENTRIES];
struct fake_cuda_state fake_state;
static _Thread_local int context_depth;
static char context_of_all; /* its address is the context */

/* ---- what every call does first ------------------------------------------------------------ */

/* The result that the environment wants of this entry point; CUDA_OK: none. */
static int injected(const char *name)
{
    static int failed;
    static char last[128];
    const char *wish = getenv("FAKE_CUDA_FAIL");
    size_t length = strlen(name);
    char *rest;

    if (wish && wish[0] == '*')
        length = 1;
    else if (!wish || strncmp(wish, name, length) != 0)
        return CUDA_OK;
    if (wish[length] != ':')
        return CUDA_OK;
    if (strcmp(last, wish) != 0)
        failed = 0;
    snprintf(last, sizeof(last), "%s", wish);
    int result = (int)strtol(wish + length + 1, &rest, 10);
    return *rest == ':' && failed++ >= strtol(rest + 1, NULL, 10) ? CUDA_OK : result;
}

int fake_begin(const char *name)
{
    pthread_mutex_lock(&lock);
    int result = injected(name);
    if (result == CUDA_OK && initialized_by != getpid())
        result = CUDA_NOT_INITIALIZED;
    return result;
}

int fake_end(int result)
{
    pthread_mutex_unlock(&lock);
    return result;
}

bool fake_has_context(void)
{
    return context_depth > 0;
}

static int device_count(void)
{
    const char *devices = getenv("FAKE_CUDA_DEVICES");

    return devices ? (int)strtol(devices, NULL, 10) : 1;
}

void fake_cuda_state(struct fake_cuda_state *ret_state)
{
    pthread_mutex_lock(&lock);
    *ret_state = fake_state;
    ret_state->current = context_depth;
    pthread_mutex_unlock(&lock);
}

/* ---- initialization and devices ------------------------------------------------------------ */

API int cuInit(unsigned flags);
API int cuInit(unsigned flags)
{
    int result = fake_begin("cuInit");

    if (flags != 0)
        return fake_end(CUDA_INVALID_VALUE);
    if (result == CUDA_NOT_INITIALIZED && initialized_by == 0) {
        result = device_count() > 0 ? CUDA_OK : CUDA_NO_DEVICE;
        initialized_by = result == CUDA_OK ? getpid() : 0;
    }
    return fake_end(result);
}

API int cuGetErrorString(int result, const char **ret_text);
API int cuGetErrorString(int result, const char **ret_text)
{
    *ret_text = result == CUDA_OUT_OF_MEMORY ? "out of memory" : "so the fake was told";
    return CUDA_OK;
}

API int cuGetErrorName(int result, const char **ret_text);
API int cuGetErrorName(int result, const char **ret_text)
{
    *ret_text = result == CUDA_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR";
    return CUDA_OK;
}

API int cuDeviceGetCount(int *ret_count);
API int cuDeviceGetCount(int *ret_count)
{
    BEGIN("cuDeviceGetCount");
    *ret_count = device_count();
    return fake_end(CUDA_OK);
}

API int cuDeviceGet(int *ret_device, int ordinal);
API int cuDeviceGet(int *ret_device, int ordinal)
{
    BEGIN("cuDeviceGet");
    if (ordinal < 0 || ordinal >= device_count())
        return fake_end(CUDA_INVALID_DEVICE);
    *ret_device = ordinal;
    return fake_end(CUDA_OK);
}

API int cuDeviceGetUuid_v2(struct cuda_uuid *ret_uuid, int device);
API int cuDeviceGetUuid_v2(struct cuda_uuid *ret_uuid, int device)
{
    const char *first = getenv("FAKE_CUDA_UUID");

    BEGIN("cuDeviceGetUuid");
    *ret_uuid = (struct cuda_uuid){{0}};
    ret_uuid->bytes[0] = first ? (uint8_t)first[0] : 'f';
    ret_uuid->bytes[CUDA_UUID_BYTES - 1] = (uint8_t)device;
    return fake_end(CUDA_OK);
}

API int cuDeviceGetAttribute(int *ret_value, int attribute, int device);
API int cuDeviceGetAttribute(int *ret_value, int attribute, int device)
{
    const char *without = getenv("FAKE_CUDA_WITHOUT");

    (void)device;
    BEGIN("cuDeviceGetAttribute");
    *ret_value = !(without && strtol(without, NULL, 10) == attribute);
    if (attribute == TEXTURE_ALIGNMENT)
        *ret_value = TEXTURE_ALIGNMENT_BYTES;
    return fake_end(CUDA_OK);
}

/* ---- contexts ------------------------------------------------------------------------------ */

API int cuDevicePrimaryCtxRetain(void **ret_context, int device);
API int cuDevicePrimaryCtxRetain(void **ret_context, int device)
{
    (void)device;
    BEGIN("cuDevicePrimaryCtxRetain");
    fake_state.contexts++;
    *ret_context = &context_of_all;
    return fake_end(CUDA_OK);
}

API int cuDevicePrimaryCtxRelease_v2(int device);
API int cuDevicePrimaryCtxRelease_v2(int device)
{
    (void)device;
    BEGIN("cuDevicePrimaryCtxRelease");
    if (fake_state.contexts == 0)
        return fake_end(INVALID_CONTEXT);
    fake_state.contexts--;
    return fake_end(CUDA_OK);
}

API int cuCtxPushCurrent_v2(void *context);
API int cuCtxPushCurrent_v2(void *context)
{
    BEGIN("cuCtxPushCurrent");
    if (context != &context_of_all || fake_state.contexts == 0)
        return fake_end(INVALID_CONTEXT);
    context_depth++;
    return fake_end(CUDA_OK);
}

API int cuCtxPopCurrent_v2(void **ret_context);
API int cuCtxPopCurrent_v2(void **ret_context)
{
    BEGIN("cuCtxPopCurrent");
    if (context_depth == 0)
        return fake_end(INVALID_CONTEXT);
    context_depth--;
    *ret_context = &context_of_all;
    return fake_end(CUDA_OK);
}

/* ---- allocations --------------------------------------------------------------------------- */

static bool is_shareable(const struct cuda_allocation *allocation)
{
    return allocation->type == CUDA_ALLOCATION_PINNED &&
           allocation->handle_types == CUDA_HANDLE_DESCRIPTOR &&
           allocation->location.type == CUDA_LOCATION_DEVICE && allocation->location.ordinal >= 0 &&
           allocation->location.ordinal < device_count();
}

/* Takes the descriptor. */
static int handle_add(int fd, uint64_t *ret_handle)
{
    for (unsigned i = 0; fd >= 0 && i < ENTRIES; i++) {
        if (handles[i])
            continue;
        handles[i] = fd + 1;
        fake_state.handles++;
        *ret_handle = i + 1;
        return CUDA_OK;
    }
    if (fd >= 0)
        close(fd);
    return CUDA_OPERATING_SYSTEM;
}

/* Descriptor of a handle's memory; -1: no such handle. */
static int handle_fd(uint64_t handle)
{
    return handle >= 1 && handle <= ENTRIES ? handles[handle - 1] - 1 : -1;
}

API int cuMemGetAllocationGranularity(size_t *ret_bytes, const struct cuda_allocation *allocation,
                                      int option);
API int cuMemGetAllocationGranularity(size_t *ret_bytes, const struct cuda_allocation *allocation,
                                      int option)
{
    BEGIN("cuMemGetAllocationGranularity");
    if (!is_shareable(allocation) || option != CUDA_GRANULARITY_MINIMUM)
        return fake_end(CUDA_INVALID_VALUE);
    *ret_bytes = FAKE_CUDA_GRANULARITY;
    return fake_end(CUDA_OK);
}

API int cuMemCreate(uint64_t *ret_handle, size_t bytes, const struct cuda_allocation *allocation,
                    unsigned long long flags);
API int cuMemCreate(uint64_t *ret_handle, size_t bytes, const struct cuda_allocation *allocation,
                    unsigned long long flags)
{
    BEGIN("cuMemCreate");
    if (!is_shareable(allocation) || bytes == 0 || bytes % FAKE_CUDA_GRANULARITY || flags)
        return fake_end(CUDA_INVALID_VALUE);
    int fd = memfd_create(MEMORY_NAME, MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0) {
        close(fd);
        return fake_end(CUDA_OUT_OF_MEMORY);
    }
    return fake_end(handle_add(fd, ret_handle));
}

API int cuMemRelease(uint64_t handle);
API int cuMemRelease(uint64_t handle)
{
    BEGIN("cuMemRelease");
    int fd = handle_fd(handle);
    if (fd < 0)
        return fake_end(CUDA_INVALID_VALUE);
    close(fd);
    handles[handle - 1] = 0;
    fake_state.handles--;
    return fake_end(CUDA_OK);
}

/* Like the driver's, the descriptor is not close-on-exec by itself. */
API int cuMemExportToShareableHandle(void *ret_fd, uint64_t handle, unsigned type,
                                     unsigned long long flags);
API int cuMemExportToShareableHandle(void *ret_fd, uint64_t handle, unsigned type,
                                     unsigned long long flags)
{
    BEGIN("cuMemExportToShareableHandle");
    int fd = handle_fd(handle);
    if (fd < 0 || type != CUDA_HANDLE_DESCRIPTOR || flags)
        return fake_end(CUDA_INVALID_VALUE);
    int copy = dup(fd);
    if (copy < 0)
        return fake_end(CUDA_OPERATING_SYSTEM);
    memcpy(ret_fd, &copy, sizeof(copy));
    return fake_end(CUDA_OK);
}

static bool is_device_memory(int fd)
{
    char name[32];
    char target[64] = "";

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return readlink(name, target, sizeof(target) - 1) > 0 && strstr(target, MEMORY_NAME);
}

API int cuMemImportFromShareableHandle(uint64_t *ret_handle, void *fd, unsigned type);
API int cuMemImportFromShareableHandle(uint64_t *ret_handle, void *fd, unsigned type)
{
    int theirs = (int)(intptr_t)fd;

    BEGIN("cuMemImportFromShareableHandle");
    if (type != CUDA_HANDLE_DESCRIPTOR || !is_device_memory(theirs))
        return fake_end(CUDA_INVALID_VALUE);
    return fake_end(handle_add(fcntl(theirs, F_DUPFD_CLOEXEC, 0), ret_handle));
}

/* ---- addresses ----------------------------------------------------------------------------- */

static struct range *range_at(uint64_t address, size_t bytes)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t base = (uint64_t)(uintptr_t)ranges[i].base;
        if (base && address >= base && bytes <= ranges[i].bytes &&
            address - base <= ranges[i].bytes - bytes)
            return &ranges[i];
    }
    return NULL;
}

API int cuMemAddressReserve(uint64_t *ret_address, size_t bytes, size_t alignment, uint64_t wish,
                            unsigned long long flags);
API int cuMemAddressReserve(uint64_t *ret_address, size_t bytes, size_t alignment, uint64_t wish,
                            unsigned long long flags)
{
    BEGIN("cuMemAddressReserve");
    if (bytes == 0 || bytes % FAKE_CUDA_GRANULARITY || alignment || wish || flags)
        return fake_end(CUDA_INVALID_VALUE);
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (ranges[i].base)
            continue;
        void *base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED)
            return fake_end(CUDA_OUT_OF_MEMORY);
        ranges[i] = (struct range){.base = base, .bytes = bytes, .fd = -1};
        fake_state.reservations++;
        *ret_address = (uint64_t)(uintptr_t)base;
        return fake_end(CUDA_OK);
    }
    return fake_end(CUDA_OUT_OF_MEMORY);
}

API int cuMemAddressFree(uint64_t address, size_t bytes);
API int cuMemAddressFree(uint64_t address, size_t bytes)
{
    BEGIN("cuMemAddressFree");
    struct range *range = range_at(address, bytes);
    if (!range || range->bytes != bytes || range->fd >= 0)
        return fake_end(CUDA_INVALID_VALUE);
    munmap(range->base, range->bytes);
    *range = (struct range){0};
    fake_state.reservations--;
    return fake_end(CUDA_OK);
}

API int cuMemMap(uint64_t address, size_t bytes, size_t offset, uint64_t handle,
                 unsigned long long flags);
API int cuMemMap(uint64_t address, size_t bytes, size_t offset, uint64_t handle,
                 unsigned long long flags)
{
    struct stat status;

    BEGIN("cuMemMap");
    struct range *range = range_at(address, bytes);
    int fd = handle_fd(handle);
    if (!range || range->fd >= 0 || range->bytes != bytes || offset || flags || fd < 0 ||
        fstat(fd, &status) < 0 || (size_t)status.st_size != bytes)
        return fake_end(CUDA_INVALID_VALUE);
    void *backing = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (backing == MAP_FAILED)
        return fake_end(CUDA_OPERATING_SYSTEM);
    range->backing = backing;
    range->access = 0;
    range->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    fake_state.mappings++;
    return fake_end(CUDA_OK);
}

API int cuMemUnmap(uint64_t address, size_t bytes);
API int cuMemUnmap(uint64_t address, size_t bytes)
{
    BEGIN("cuMemUnmap");
    struct range *range = range_at(address, bytes);
    if (!range || range->fd < 0 || range->bytes != bytes)
        return fake_end(CUDA_INVALID_VALUE);
    munmap(range->backing, range->bytes);
    close(range->fd);
    range->fd = -1;
    fake_state.mappings--;
    return fake_end(CUDA_OK);
}

API int cuMemSetAccess(uint64_t address, size_t bytes, const struct cuda_access *access,
                       size_t count);
API int cuMemSetAccess(uint64_t address, size_t bytes, const struct cuda_access *access,
                       size_t count)
{
    BEGIN("cuMemSetAccess");
    struct range *range = range_at(address, bytes);
    if (!range || range->fd < 0 || count != 1 || access->location.type != CUDA_LOCATION_DEVICE)
        return fake_end(CUDA_INVALID_VALUE);
    range->access = access->flags;
    fake_state.access_flags = access->flags;
    return fake_end(CUDA_OK);
}

uint8_t *fake_reach(uint64_t address, size_t bytes, bool for_writing, int *ret_result)
{
    struct range *range = range_at(address, bytes);

    *ret_result = CUDA_OK;
    if (!range || range->fd < 0)
        *ret_result = CUDA_INVALID_VALUE;
    else if ((range->access & (for_writing ? 2u : 1u)) == 0)
        *ret_result = ILLEGAL_ADDRESS;
    if (*ret_result != CUDA_OK)
        return NULL;
    return (uint8_t *)range->backing + (address - (uint64_t)(uintptr_t)range->base);
}

int fake_allocate(size_t bytes, uint64_t *ret_address)
{
    struct range *range = NULL;

    for (unsigned i = 0; i < ENTRIES && !range; i++)
        range = ranges[i].base ? NULL : &ranges[i];
    if (!range || bytes == 0)
        return range ? CUDA_INVALID_VALUE : CUDA_OUT_OF_MEMORY;
    struct range made = {.bytes = bytes, .fd = memfd_create(MEMORY_NAME, MFD_CLOEXEC), .access = 3};
    if (made.fd < 0 || ftruncate(made.fd, (off_t)bytes) < 0)
        return CUDA_OUT_OF_MEMORY;
    made.base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    made.backing = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, made.fd, 0);
    *range = made;
    fake_state.allocations++;
    *ret_address = (uint64_t)(uintptr_t)made.base;
    return CUDA_OK;
}

int fake_free(uint64_t address)
{
    struct range *range = range_at(address, 1);

    if (!range || (uint64_t)(uintptr_t)range->base != address || range->fd < 0)
        return CUDA_INVALID_VALUE;
    munmap(range->base, range->bytes);
    munmap(range->backing, range->bytes);
    close(range->fd);
    *range = (struct range){0};
    fake_state.allocations--;
    return CUDA_OK;
}

/* ---- host memory --------------------------------------------------------------------------- */

bool fake_is_pinned(const void *memory, size_t bytes)
{
    const char *first = memory;

    for (unsigned i = 0; i < ENTRIES; i++) {
        const struct registration *entry = &registered[i];
        if (entry->memory && first >= entry->memory &&
            first + bytes <= entry->memory + entry->bytes)
            return true;
    }
    return false;
}

static bool is_writable(const void *memory)
{
    char line[512];
    char *rest;
    bool writable = false;
    FILE *maps = fopen("/proc/self/maps", "re");

    while (maps && fgets(line, sizeof(line), maps)) {
        /* "first-behind rw.. ..." */
        uintptr_t first = strtoul(line, &rest, 16);
        uintptr_t behind = strtoul(rest + 1, &rest, 16);
        if ((uintptr_t)memory >= first && (uintptr_t)memory < behind)
            writable = rest[2] == 'w';
    }
    if (maps)
        fclose(maps);
    return writable;
}

API int cuMemHostRegister_v2(void *memory, size_t bytes, unsigned flags);
API int cuMemHostRegister_v2(void *memory, size_t bytes, unsigned flags)
{
    BEGIN("cuMemHostRegister");
    if (context_depth == 0)
        return fake_end(INVALID_CONTEXT);
    if (bytes == 0 || (!(flags & CUDA_PIN_READ_ONLY) && !is_writable(memory)))
        return fake_end(CUDA_INVALID_VALUE);
    unsigned entry = ENTRIES;
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (registered[i].memory == memory)
            return fake_end(CUDA_ALREADY_REGISTERED);
        if (!registered[i].memory)
            entry = i;
    }
    if (entry == ENTRIES)
        return fake_end(CUDA_OUT_OF_MEMORY);
    registered[entry] = (struct registration){memory, bytes};
    fake_state.registrations++;
    fake_state.register_flags = flags;
    return fake_end(CUDA_OK);
}

API int cuMemHostUnregister(void *memory);
API int cuMemHostUnregister(void *memory)
{
    BEGIN("cuMemHostUnregister");
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (!memory || registered[i].memory != memory)
            continue;
        registered[i] = (struct registration){0};
        fake_state.registrations--;
        return fake_end(CUDA_OK);
    }
    return fake_end(CUDA_INVALID_VALUE);
}
