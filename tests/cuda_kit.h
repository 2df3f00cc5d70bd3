/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cuda ring in a directory of its own, copies to and from device memory, and what the fake
 * driver (tests/fake_cuda) knows. CUDA does not survive fork(2): a test forks before it opens.
 */
#ifndef SIMCAST_TESTS_CUDA_KIT_H
#define SIMCAST_TESTS_CUDA_KIT_H

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <dlfcn.h>

#include "shm/cuda_device.h"
#include "shm/ring.h"
#include "tests/fake_cuda/fake_cuda.h"
#include "tests/support.h"

#define PAYLOAD_BYTES                                                                              \
    700001 /* no multiple of anything; all slots are more than the granularity                     \
            */

static char dir[SUPPORT_PATH_BYTES];

__attribute__((unused)) static struct ring_producer_config cuda_producer(void)
{
    return (struct ring_producer_config){
        .dir = dir,
        .stream = "front",
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = PAYLOAD_BYTES,
        .leases_max = 4,
        .memory = RING_MEMORY_CUDA,
    };
}

__attribute__((unused)) static struct ring_consumer_config cuda_consumer(void)
{
    return (struct ring_consumer_config){
        .dir = dir, .stream = "front", .kind = RING_KIND_FRAMES, .accept_cuda = true};
}

__attribute__((unused)) static struct ring_producer *open_producer(
    const struct ring_producer_config *config)
{
    struct ring_producer *producer = NULL;
    int error = ring_producer_open(config, &producer);

    ck_assert_msg(error == 0, "%s: %s", strerror(-error), ring_cuda_reason());
    return producer;
}

__attribute__((unused)) static struct ring_consumer *open_consumer(
    const struct ring_consumer_config *config)
{
    struct ring_consumer *consumer = NULL;

    ck_assert_int_eq(ring_consumer_open(config, &consumer), 0);
    return consumer;
}

/* Lets the consumer do its housekeeping until its link is as wanted. */
__attribute__((unused)) static bool link_becomes(struct ring_consumer *consumer,
                                                 enum ring_link wanted)
{
    return WAIT_UNTIL((ring_consumer_newest(consumer), ring_consumer_link(consumer) == wanted), 5);
}

/* Acquires the newest frame, waiting for at most five seconds. */
__attribute__((unused)) static struct ring_view acquire(struct ring_consumer *consumer)
{
    struct ring_view view = {0};

    ck_assert(WAIT_UNTIL(ring_acquire(consumer, RING_LATEST, &view) == 0, 5));
    return view;
}

/* Of the real driver and of the fake; the library is loaded by then. */
__attribute__((unused)) static void *cuda_symbol(const char *name)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *symbol = library ? dlsym(library, name) : NULL;

    ck_assert_ptr_nonnull(symbol);
    return symbol;
}

/* Returns what CUDA says of a copy in the context of that GPU. */
__attribute__((unused)) static int copy_to_host(int ordinal, void *into, const void *device_pointer)
{
    struct cuda_device device;
    void *symbol = cuda_symbol("cuMemcpyDtoH_v2");
    int (*copy)(void *, cuda_address, size_t);

    memcpy(&copy, &symbol, sizeof(copy));
    ck_assert_int_eq(cuda_device_open(ordinal, &device), 0);
    ck_assert_int_eq(cuda_device_enter(&device), 0);
    int result = copy(into, (cuda_address)(uintptr_t)device_pointer, PAYLOAD_BYTES);
    cuda_device_leave(&device);
    cuda_device_close(&device);
    return result;
}

__attribute__((unused)) static int copy_to_device(int ordinal, const void *device_pointer,
                                                  const void *from)
{
    struct cuda_device device;
    void *symbol = cuda_symbol("cuMemcpyHtoD_v2");
    int (*copy)(cuda_address, const void *, size_t);

    memcpy(&copy, &symbol, sizeof(copy));
    ck_assert_int_eq(cuda_device_open(ordinal, &device), 0);
    ck_assert_int_eq(cuda_device_enter(&device), 0);
    int result = copy((cuda_address)(uintptr_t)device_pointer, from, PAYLOAD_BYTES);
    cuda_device_leave(&device);
    cuda_device_close(&device);
    return result;
}

static uint8_t scratch[PAYLOAD_BYTES];

/* Differs from place to place and from frame to frame. */
__attribute__((unused)) static uint8_t pattern(uint64_t frame_id, size_t at)
{
    return (uint8_t)(frame_id * 31 + at + at / 4096);
}

__attribute__((unused)) static void publish(struct ring_producer *producer, int ordinal,
                                            uint64_t frame_id)
{
    struct ring_loan loan;
    struct ring_frame frame = {
        .payload_bytes = PAYLOAD_BYTES, .frame_id = frame_id, .flags = RING_FRAME_KEYFRAME};

    ck_assert_int_eq(ring_loan(producer, &loan), 0);
    for (size_t i = 0; i < PAYLOAD_BYTES; i++)
        scratch[i] = pattern(frame_id, i);
    if (loan.memory == RING_MEMORY_CUDA)
        ck_assert_int_eq(copy_to_device(ordinal, loan.payload, scratch), CUDA_OK);
    else
        memcpy(loan.payload, scratch, PAYLOAD_BYTES);
    ck_assert_int_gt(ring_publish(producer, &loan, &frame), 0);
}

/* True when every byte is the frame's. */
__attribute__((unused)) static bool is_whole(const struct ring_view *view)
{
    memset(scratch, 0, sizeof(scratch));
    if (view->memory != RING_MEMORY_CUDA)
        memcpy(scratch, view->payload, PAYLOAD_BYTES);
    else if (copy_to_host(view->cuda_device, scratch, view->payload) != CUDA_OK)
        return false;
    for (size_t i = 0; i < PAYLOAD_BYTES; i++) {
        if (scratch[i] != pattern(view->frame.frame_id, i))
            return false;
    }
    return view->frame.payload_bytes == PAYLOAD_BYTES;
}

__attribute__((unused)) static struct fake_cuda_state fake_state(void)
{
    struct fake_cuda_state state;
    void *symbol = cuda_symbol("fake_cuda_state");
    fake_cuda_state_function *ask;

    memcpy(&ask, &symbol, sizeof(ask));
    ask(&state);
    return state;
}

__attribute__((unused)) static void assert_fake_holds_nothing(void)
{
    struct fake_cuda_state state = fake_state();

    ck_assert_int_eq(state.contexts, 0);
    ck_assert_int_eq(state.current, 0);
    ck_assert_int_eq(state.handles, 0);
    ck_assert_int_eq(state.reservations, 0);
    ck_assert_int_eq(state.mappings, 0);
    ck_assert_int_eq(state.registrations, 0);
}

__attribute__((unused)) static void setup(void)
{
    support_dir_make(dir);
}

__attribute__((unused)) static void teardown(void)
{
    ck_assert_uint_eq(support_count_entries(dir), 0);
    rmdir(dir);
}

#endif
