/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a registration of memory with the driver; runs on the thread of its ring. */
#include "shm/cuda_pin.h"

#include <stdbool.h>
#include <stdio.h>

/* In the device's context. */
static int pin_pages(const struct cuda_device *device, void *memory, size_t bytes, bool read_only)
{
    unsigned flags = CUDA_PIN_PORTABLE;

    if (read_only) {
        int error = cuda_device_require(device, CUDA_HAS_READ_ONLY_PINNING,
                                        "pin read-only memory: do without pin_for_cuda");
        if (error < 0)
            return error;
        flags |= CUDA_PIN_READ_ONLY;
    }
    return cuda_driver_error(device->driver, device->driver->host_register(memory, bytes, flags),
                             "cuMemHostRegister");
}

bool cuda_pin_init(struct cuda_pin *pin, int ordinal, void *memory, size_t bytes, bool read_only)
{
    *pin = (struct cuda_pin){0};
    int error = cuda_device_open(ordinal, &pin->device);
    if (error == 0)
        error = cuda_device_enter(&pin->device);
    if (error == 0) {
        error = pin_pages(&pin->device, memory, bytes, read_only);
        cuda_device_leave(&pin->device);
    }
    if (error < 0) {
        snprintf(pin->reason, sizeof(pin->reason), "%s", cuda_driver_reason());
        cuda_device_close(&pin->device);
        return false;
    }
    pin->memory = memory;
    return true;
}

void cuda_pin_fini(struct cuda_pin *pin)
{
    if (pin->memory && cuda_device_is_ours(&pin->device) && cuda_device_enter(&pin->device) == 0) {
        pin->device.driver->host_unregister(pin->memory);
        cuda_device_leave(&pin->device);
    }
    cuda_device_close(&pin->device);
    pin->memory = NULL;
}
