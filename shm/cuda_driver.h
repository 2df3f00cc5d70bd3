/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NVIDIA driver's library, loaded when it is first asked for and never at build time: a
 * table of the entry points that shm/ uses, with the few types that they need declared here as
 * cuda.h (11.4 and later) lays them out. Nothing is loaded while no ring asks for a GPU.
 *
 * Errors are negative errno; why is kept per thread, as a sentence for a person.
 *
 * Internal to shm/ and encoder/cuda.c. Thread: any.
 * Source: the CUDA driver API manual, "Virtual Memory Management" and "Memory Management".
 */
#ifndef SIMCAST_SHM_CUDA_DRIVER_H
#define SIMCAST_SHM_CUDA_DRIVER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define CUDA_UUID_BYTES 16
#define CUDA_REASON_BYTES 384

/* Values of cuda.h. */
enum cuda_result {
    CUDA_OK = 0,
    CUDA_INVALID_VALUE = 1,
    CUDA_OUT_OF_MEMORY = 2,
    CUDA_NOT_INITIALIZED = 3,
    CUDA_DEINITIALIZED = 4,
    CUDA_DEVICE_UNAVAILABLE = 46,
    CUDA_NO_DEVICE = 100,
    CUDA_INVALID_DEVICE = 101,
    CUDA_OPERATING_SYSTEM = 304,
    CUDA_ALREADY_REGISTERED = 712,
    CUDA_NOT_PERMITTED = 800,
    CUDA_NOT_SUPPORTED = 801,
    CUDA_DRIVER_MISMATCH = 803,
};

enum cuda_attribute {
    CUDA_HAS_VIRTUAL_MEMORY = 102,
    CUDA_HAS_SHARED_DESCRIPTORS = 103,
    CUDA_HAS_READ_ONLY_PINNING = 113,
};

#define CUDA_LOCATION_DEVICE 1u
#define CUDA_ALLOCATION_PINNED 1u
#define CUDA_HANDLE_DESCRIPTOR 1u
#define CUDA_GRANULARITY_MINIMUM 0
#define CUDA_ACCESS_READ 1u
#define CUDA_ACCESS_READ_WRITE 3u
#define CUDA_PIN_PORTABLE 1u
#define CUDA_PIN_READ_ONLY 8u

struct cuda_location {
    uint32_t type;
    int32_t ordinal;
};

struct cuda_allocation {
    uint32_t type;
    uint32_t handle_types; /* that it can be exported as */
    struct cuda_location location;
    void *unused;
    uint8_t compression;
    uint8_t rdma;
    uint16_t usage;
    uint8_t reserved[4];
};

struct cuda_access {
    struct cuda_location location;
    uint32_t flags;
};

struct cuda_uuid {
    uint8_t bytes[CUDA_UUID_BYTES];
};

static_assert(sizeof(struct cuda_location) == 8, "CUmemLocation");
static_assert(sizeof(void *) != 8 || sizeof(struct cuda_allocation) == 32, "CUmemAllocationProp");
static_assert(offsetof(struct cuda_allocation, location) == 8, "CUmemAllocationProp");
static_assert(sizeof(struct cuda_access) == 12, "CUmemAccessDesc");
static_assert(sizeof(struct cuda_uuid) == 16, "CUuuid");

typedef void *cuda_context;
typedef uint64_t cuda_address; /* CUdeviceptr */
typedef uint64_t cuda_handle;  /* CUmemGenericAllocationHandle */
typedef int cuda_device_id;    /* CUdevice */

/* Each returns an enum cuda_result, or a value that is not listed there. */
struct cuda_driver {
    int (*init)(unsigned flags);
    int (*error_string)(int result, const char **ret_text);
    int (*device_count)(int *ret_count);
    int (*device_get)(cuda_device_id *ret_device, int ordinal);
    int (*device_uuid)(struct cuda_uuid *ret_uuid, cuda_device_id device);
    int (*device_attribute)(int *ret_value, int attribute, cuda_device_id device);
    int (*context_retain)(cuda_context *ret_context, cuda_device_id device);
    int (*context_release)(cuda_device_id device);
    int (*context_push)(cuda_context context);
    int (*context_pop)(cuda_context *ret_context);
    int (*granularity)(size_t *ret_bytes, const struct cuda_allocation *allocation, int option);
    int (*create)(cuda_handle *ret_handle, size_t bytes, const struct cuda_allocation *allocation,
                  unsigned long long flags);
    int (*release)(cuda_handle handle);
    int (*export_handle)(void *ret_fd, cuda_handle handle, unsigned handle_type,
                         unsigned long long flags);
    int (*import_handle)(cuda_handle *ret_handle, void *fd, unsigned handle_type);
    int (*reserve)(cuda_address *ret_address, size_t bytes, size_t alignment, cuda_address wish,
                   unsigned long long flags);
    int (*unreserve)(cuda_address address, size_t bytes);
    int (*map)(cuda_address address, size_t bytes, size_t offset, cuda_handle handle,
               unsigned long long flags);
    int (*unmap)(cuda_address address, size_t bytes);
    int (*set_access)(cuda_address address, size_t bytes, const struct cuda_access *access,
                      size_t count);
    int (*host_register)(void *memory, size_t bytes, unsigned flags);
    int (*host_unregister)(void *memory);
};

/*
 * Loads and initializes the library when this was not done yet. It stays loaded: *ret_driver is
 * valid until the process ends. Errors: -ENODEV no library, one that is too old, or no GPU; what
 * cuda_driver_error says. A failure is tried again by the next call.
 * Cost: the first call tens of milliseconds, later ones a mutex.
 */
int cuda_driver_get(const struct cuda_driver **ret_driver);

/* Returns 0 for CUDA_OK, else a negative errno, and remembers that `call` failed and why. */
int cuda_driver_error(const struct cuda_driver *driver, int result, const char *call);

/* Returns `error` and remembers the sentence. */
int cuda_driver_blame(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the last failure on this thread was; "" before any. Valid until the next one. */
const char *cuda_driver_reason(void);

#endif
