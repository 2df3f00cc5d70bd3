/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a reference to the GPU's primary context; runs on the thread of its ring. */
#include "shm/cuda_device.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "shm/fork_guard.h"

/* Fills all but the context. */
static int identify(const struct cuda_driver *driver, int ordinal, struct cuda_device *ret_device)
{
    struct cuda_device device = {
        .driver = driver, .ordinal = ordinal, .fork_generation = fork_guard_generation()};
    int error = cuda_driver_error(driver, driver->device_get(&device.id, ordinal), "cuDeviceGet");

    if (error == 0)
        error = cuda_driver_error(driver, driver->device_uuid(&device.uuid, device.id),
                                  "cuDeviceGetUuid");
    if (error == 0)
        *ret_device = device;
    return error;
}

static int retain(struct cuda_device *device, struct cuda_device *ret_device)
{
    int error = cuda_driver_error(device->driver,
                                  device->driver->context_retain(&device->context, device->id),
                                  "cuDevicePrimaryCtxRetain");

    if (error == 0)
        *ret_device = *device;
    return error;
}

int cuda_device_open(int ordinal, struct cuda_device *ret_device)
{
    const struct cuda_driver *driver;
    struct cuda_device device;
    int error = cuda_driver_get(&driver);

    if (error == 0)
        error = identify(driver, ordinal, &device);
    if (error == 0)
        error = retain(&device, ret_device);
    return error;
}

int cuda_device_open_uuid(const uint8_t uuid[CUDA_UUID_BYTES], struct cuda_device *ret_device)
{
    const struct cuda_driver *driver;
    struct cuda_device device;
    int count = 0;
    int error = cuda_driver_get(&driver);

    if (error == 0)
        error = cuda_driver_error(driver, driver->device_count(&count), "cuDeviceGetCount");
    for (int ordinal = 0; error == 0 && ordinal < count; ordinal++) {
        error = identify(driver, ordinal, &device);
        if (error == 0 && memcmp(device.uuid.bytes, uuid, CUDA_UUID_BYTES) == 0)
            return retain(&device, ret_device);
    }
    if (error != 0)
        return error;
    return cuda_driver_blame(-ENODEV,
                             "the GPU with UUID %02x%02x%02x%02x-... is none of the %d that this "
                             "process sees: check CUDA_VISIBLE_DEVICES, or run both on one GPU",
                             uuid[0], uuid[1], uuid[2], uuid[3], count);
}

bool cuda_device_is_ours(const struct cuda_device *device)
{
    return device->driver && device->fork_generation == fork_guard_generation();
}

void cuda_device_close(struct cuda_device *device)
{
    if (cuda_device_is_ours(device))
        device->driver->context_release(device->id);
    device->driver = NULL;
}

int cuda_device_enter(const struct cuda_device *device)
{
    return cuda_driver_error(device->driver, device->driver->context_push(device->context),
                             "cuCtxPushCurrent");
}

void cuda_device_leave(const struct cuda_device *device)
{
    cuda_context ours;

    device->driver->context_pop(&ours);
}

int cuda_device_require(const struct cuda_device *device, enum cuda_attribute attribute,
                        const char *what)
{
    int value = 0;
    int error = cuda_driver_error(device->driver,
                                  device->driver->device_attribute(&value, attribute, device->id),
                                  "cuDeviceGetAttribute");

    if (error == 0 && !value)
        error =
            cuda_driver_blame(-EOPNOTSUPP, "GPU %d or its driver cannot %s", device->ordinal, what);
    return error;
}
