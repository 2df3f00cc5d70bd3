/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a reservation of addresses, the mapping in it and the exported descriptor. The handle of
 * the allocation is released as soon as it is mapped: the mapping keeps the memory. Runs on the
 * thread of its ring; every step that fails undoes those before it.
 */
#include "shm/cuda_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

static struct cuda_allocation allocation_on(const struct cuda_device *device)
{
    return (struct cuda_allocation){
        .type = CUDA_ALLOCATION_PINNED,
        .handle_types = CUDA_HANDLE_DESCRIPTOR,
        .location = {.type = CUDA_LOCATION_DEVICE, .ordinal = device->ordinal},
    };
}

static int round_up(const struct cuda_device *device, size_t bytes, size_t *ret_bytes)
{
    struct cuda_allocation allocation = allocation_on(device);
    size_t grain = 0;
    int error = cuda_driver_error(
        device->driver, device->driver->granularity(&grain, &allocation, CUDA_GRANULARITY_MINIMUM),
        "cuMemGetAllocationGranularity");

    if (error < 0)
        return error;
    if (grain == 0 || bytes > SIZE_MAX - grain)
        return cuda_driver_blame(-EINVAL, "%zu bytes cannot be rounded up to the GPU's %zu", bytes,
                                 grain);
    *ret_bytes = (bytes + grain - 1) / grain * grain;
    return 0;
}

static int set_access(const struct cuda_memory *memory, uint32_t flags)
{
    struct cuda_access access = {
        .location = {.type = CUDA_LOCATION_DEVICE, .ordinal = memory->device.ordinal},
        .flags = flags,
    };
    const struct cuda_driver *driver = memory->device.driver;

    return cuda_driver_error(driver, driver->set_access(memory->address, memory->bytes, &access, 1),
                             "cuMemSetAccess");
}

static int map(struct cuda_memory *memory, cuda_handle handle)
{
    const struct cuda_driver *driver = memory->device.driver;
    int error = cuda_driver_error(driver, driver->reserve(&memory->address, memory->bytes, 0, 0, 0),
                                  "cuMemAddressReserve");

    if (error < 0)
        return error;
    error = cuda_driver_error(driver, driver->map(memory->address, memory->bytes, 0, handle, 0),
                              "cuMemMap");
    memory->is_mapped = error == 0;
    return error;
}

static int export_fd(struct cuda_memory *memory, cuda_handle handle)
{
    const struct cuda_driver *driver = memory->device.driver;
    int error = cuda_driver_error(
        driver, driver->export_handle(&memory->fd, handle, CUDA_HANDLE_DESCRIPTOR, 0),
        "cuMemExportToShareableHandle");

    if (error < 0) {
        memory->fd = -1;
        return error;
    }
    return fcntl(memory->fd, F_SETFD, FD_CLOEXEC) < 0
               ? cuda_driver_blame(-errno, "the GPU memory's descriptor is not usable")
               : 0;
}

/* In the device's context. */
static int allocate(struct cuda_memory *memory, size_t bytes)
{
    const struct cuda_driver *driver = memory->device.driver;
    struct cuda_allocation allocation = allocation_on(&memory->device);
    cuda_handle handle;
    int error = round_up(&memory->device, bytes, &memory->bytes);

    if (error == 0)
        error = cuda_driver_error(driver, driver->create(&handle, memory->bytes, &allocation, 0),
                                  "cuMemCreate");
    if (error != 0)
        return error;
    error = export_fd(memory, handle);
    if (error == 0)
        error = map(memory, handle);
    if (error == 0)
        error = set_access(memory, CUDA_ACCESS_READ_WRITE);
    driver->release(handle);
    return error;
}

static int adopt(struct cuda_memory *memory, int fd, size_t bytes)
{
    const struct cuda_driver *driver = memory->device.driver;
    cuda_handle handle;
    int error = round_up(&memory->device, bytes, &memory->bytes);

    if (error == 0)
        error = cuda_driver_error(
            driver, driver->import_handle(&handle, (void *)(uintptr_t)fd, CUDA_HANDLE_DESCRIPTOR),
            "cuMemImportFromShareableHandle");
    if (error != 0)
        return error;
    error = map(memory, handle);
    /* Not every driver can map GPU memory read-only. */
    if (error == 0 && set_access(memory, CUDA_ACCESS_READ) < 0)
        error = set_access(memory, CUDA_ACCESS_READ_WRITE);
    driver->release(handle);
    return error;
}

int cuda_memory_create(int ordinal, size_t bytes, struct cuda_memory *ret_memory)
{
    struct cuda_memory memory = {.fd = -1};
    int error = cuda_device_open(ordinal, &memory.device);

    if (error < 0)
        return error;
    error = cuda_device_require(&memory.device, CUDA_HAS_VIRTUAL_MEMORY,
                                "map memory by pieces: use memory: host");
    if (error == 0)
        error = cuda_device_require(&memory.device, CUDA_HAS_SHARED_DESCRIPTORS,
                                    "share memory with other processes: use memory: host");
    if (error == 0)
        error = cuda_device_enter(&memory.device);
    if (error == 0) {
        error = allocate(&memory, bytes);
        cuda_device_leave(&memory.device);
    }
    if (error < 0)
        cuda_memory_fini(&memory);
    else
        *ret_memory = memory;
    return error;
}

int cuda_memory_import(int fd, const uint8_t uuid[CUDA_UUID_BYTES], size_t bytes,
                       struct cuda_memory *ret_memory)
{
    struct cuda_memory memory = {.fd = -1};
    int error = cuda_device_open_uuid(uuid, &memory.device);

    if (error == 0)
        error = cuda_device_enter(&memory.device);
    if (error == 0) {
        error = adopt(&memory, fd, bytes);
        cuda_device_leave(&memory.device);
    }
    if (error < 0)
        cuda_memory_fini(&memory);
    else
        *ret_memory = memory;
    return error;
}

/* Nobody could do anything about a step that fails here. */
static void unmap(const struct cuda_memory *memory)
{
    const struct cuda_driver *driver = memory->device.driver;
    bool entered = cuda_device_enter(&memory->device) == 0;

    if (memory->is_mapped)
        driver->unmap(memory->address, memory->bytes);
    driver->unreserve(memory->address, memory->bytes);
    if (entered)
        cuda_device_leave(&memory->device);
}

void cuda_memory_fini(struct cuda_memory *memory)
{
    if (!memory->device.driver)
        return;
    if (cuda_device_is_ours(&memory->device) && memory->address)
        unmap(memory);
    if (memory->fd >= 0)
        close(memory->fd);
    cuda_device_close(&memory->device);
}
