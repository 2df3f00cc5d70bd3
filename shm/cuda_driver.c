/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the process's handle of libcuda.so.1, which is never closed: the driver keeps threads.
 * Runs on whichever thread asks first. A missing library or entry point is an error with a
 * sentence; nothing here prints.
 */
#include "shm/cuda_driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <dlfcn.h>

#define LIBRARY "libcuda.so.1"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cuda_driver table; /* guarded by lock until is_ready */
static void *library;
static bool is_ready;

static _Thread_local char reason[CUDA_REASON_BYTES];

/* cuda.h maps the plain names to these versions; a driver exports both. */
static const struct {
    const char *name;
    size_t offset;
} entry_points[] = {
    {"cuInit", offsetof(struct cuda_driver, init)},
    {"cuGetErrorString", offsetof(struct cuda_driver, error_string)},
    {"cuDeviceGetCount", offsetof(struct cuda_driver, device_count)},
    {"cuDeviceGet", offsetof(struct cuda_driver, device_get)},
    {"cuDeviceGetUuid_v2", offsetof(struct cuda_driver, device_uuid)},
    {"cuDeviceGetAttribute", offsetof(struct cuda_driver, device_attribute)},
    {"cuDevicePrimaryCtxRetain", offsetof(struct cuda_driver, context_retain)},
    {"cuDevicePrimaryCtxRelease_v2", offsetof(struct cuda_driver, context_release)},
    {"cuCtxPushCurrent_v2", offsetof(struct cuda_driver, context_push)},
    {"cuCtxPopCurrent_v2", offsetof(struct cuda_driver, context_pop)},
    {"cuMemGetAllocationGranularity", offsetof(struct cuda_driver, granularity)},
    {"cuMemCreate", offsetof(struct cuda_driver, create)},
    {"cuMemRelease", offsetof(struct cuda_driver, release)},
    {"cuMemExportToShareableHandle", offsetof(struct cuda_driver, export_handle)},
    {"cuMemImportFromShareableHandle", offsetof(struct cuda_driver, import_handle)},
    {"cuMemAddressReserve", offsetof(struct cuda_driver, reserve)},
    {"cuMemAddressFree", offsetof(struct cuda_driver, unreserve)},
    {"cuMemMap", offsetof(struct cuda_driver, map)},
    {"cuMemUnmap", offsetof(struct cuda_driver, unmap)},
    {"cuMemSetAccess", offsetof(struct cuda_driver, set_access)},
    {"cuMemHostRegister_v2", offsetof(struct cuda_driver, host_register)},
    {"cuMemHostUnregister", offsetof(struct cuda_driver, host_unregister)},
};

#define ENTRY_POINTS (sizeof(entry_points) / sizeof(entry_points[0]))

static_assert(ENTRY_POINTS * sizeof(void *) == sizeof(struct cuda_driver), "each has its name");

static const struct {
    int result;
    int error;
    const char *remedy;
} translations[] = {
    {CUDA_INVALID_VALUE, -EINVAL, "update the NVIDIA driver"},
    {CUDA_OUT_OF_MEMORY, -ENOMEM, "free some, or use a smaller ring"},
    {CUDA_NOT_INITIALIZED, -ENODEV, "CUDA does not survive fork(2): open the ring in the child"},
    {CUDA_DEINITIALIZED, -ENODEV, "the process is about to end"},
    {CUDA_DEVICE_UNAVAILABLE, -EBUSY, "another process has the GPU for itself"},
    {CUDA_NO_DEVICE, -ENODEV, "check nvidia-smi and CUDA_VISIBLE_DEVICES"},
    {CUDA_INVALID_DEVICE, -ENODEV, "check cuda_device and CUDA_VISIBLE_DEVICES"},
    {CUDA_OPERATING_SYSTEM, -EIO, "check the container's limits and the kernel's log"},
    {CUDA_ALREADY_REGISTERED, -EEXIST, "pin it once only"},
    {CUDA_NOT_PERMITTED, -EPERM, "check the container's rights"},
    {CUDA_NOT_SUPPORTED, -EOPNOTSUPP, "use a ring with memory: host"},
    {CUDA_DRIVER_MISMATCH, -ENODEV, "reboot, or load the kernel module of the same version"},
};

const char *cuda_driver_reason(void)
{
    return reason;
}

int cuda_driver_blame(int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    return error;
}

int cuda_driver_error(const struct cuda_driver *driver, int result, const char *call)
{
    const char *text = NULL;
    const char *remedy = "check the kernel's log";
    int error = -EIO;

    if (result == CUDA_OK)
        return 0;
    if (driver->error_string(result, &text) != CUDA_OK || !text)
        text = "unknown error";
    for (size_t i = 0; i < sizeof(translations) / sizeof(translations[0]); i++) {
        if (translations[i].result == result) {
            error = translations[i].error;
            remedy = translations[i].remedy;
        }
    }
    return cuda_driver_blame(error, "%s failed with %d (%s): %s", call, result, text, remedy);
}

static int open_library(void)
{
    if (!library)
        library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library)
        return 0;
    const char *why = dlerror();
    return cuda_driver_blame(-ENODEV,
                             LIBRARY " cannot be loaded: install the NVIDIA driver, or use "
                                     "memory: host without pin_for_cuda (%s)",
                             why ? why : "no reason given");
}

static int find_entry_points(struct cuda_driver *ret_table)
{
    struct cuda_driver found;

    for (size_t i = 0; i < ENTRY_POINTS; i++) {
        void *symbol = dlsym(library, entry_points[i].name);
        if (!symbol)
            return cuda_driver_blame(
                -ENODEV, LIBRARY " has no %s: update the NVIDIA driver to version 470 or later",
                entry_points[i].name);
        memcpy((char *)&found + entry_points[i].offset, &symbol, sizeof(symbol));
    }
    *ret_table = found;
    return 0;
}

int cuda_driver_get(const struct cuda_driver **ret_driver)
{
    int error = 0;

    pthread_mutex_lock(&lock);
    if (!is_ready) {
        error = open_library();
        if (error == 0)
            error = find_entry_points(&table);
        if (error == 0)
            error = cuda_driver_error(&table, table.init(0), "cuInit");
        is_ready = error == 0;
    }
    pthread_mutex_unlock(&lock);
    if (error == 0)
        *ret_driver = &table;
    return error;
}
