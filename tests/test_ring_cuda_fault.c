/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings that ask for a GPU where there is no driver, an old one, another GPU, or one whose entry
 * points fail in turn (tests/fake_cuda). The answer is an error with a sentence, and nothing is
 * left behind.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "shm/attachment.h"
#include "tests/cuda_kit.h"

static bool library_is_hidden;
static const char *hidden_symbol;
static atomic_int loads;

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
    atomic_fetch_add(&loads, 1);
    return library_is_hidden ? NULL : __real_dlopen(name, flags);
}

void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name)
{
    return hidden_symbol && strcmp(name, hidden_symbol) == 0 ? NULL : __real_dlsym(library, name);
}

static void assert_reason_has(const char *reason, const char *part)
{
    ck_assert_msg(strstr(reason, part) != NULL, "'%s' does not say '%s'", reason, part);
}

static void assert_open_fails(const struct ring_producer_config *config, int error,
                              const char *reason)
{
    unsigned fds_before = support_count_fds();
    struct ring_producer *producer = NULL;

    ck_assert_int_eq(ring_producer_open(config, &producer), error);
    ck_assert_ptr_null(producer);
    assert_reason_has(ring_cuda_reason(), reason);
    ck_assert_uint_eq(support_count_fds(), fds_before);
    ck_assert_uint_eq(support_count_entries(dir), 0);
}

/* ---- no driver, or another one ------------------------------------------------------------- */

START_TEST(without_a_driver_the_error_says_what_to_do)
{
    struct ring_producer_config config = cuda_producer();

    library_is_hidden = true;
    assert_open_fails(&config, -ENODEV,
                      "libcuda.so.1 cannot be loaded: install the NVIDIA driver, or use memory: "
                      "host");
    library_is_hidden = false; /* installed meanwhile */
    ring_producer_close(open_producer(&config));
    assert_fake_holds_nothing();
}
END_TEST

START_TEST(a_driver_that_is_too_old_is_said_so)
{
    struct ring_producer_config config = cuda_producer();

    hidden_symbol = "cuMemCreate";
    assert_open_fails(&config, -ENODEV, "has no cuMemCreate: update the NVIDIA driver");
}
END_TEST

START_TEST(without_a_driver_a_ring_that_wants_to_be_pinned_works_unpinned)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();

    library_is_hidden = true;
    producer_config.memory = RING_MEMORY_HOST;
    producer_config.pin_for_cuda = consumer_config.pin_for_cuda = true;
    struct ring_producer *producer = open_producer(&producer_config);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    publish(producer, 0, 5);
    struct ring_view view = acquire(consumer);
    ck_assert(is_whole(&view));
    assert_reason_has(ring_producer_pin_reason(producer), "install the NVIDIA driver");
    assert_reason_has(ring_consumer_pin_reason(consumer), "install the NVIDIA driver");
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
    ring_producer_close(producer);
}
END_TEST

START_TEST(a_ring_that_does_not_ask_never_loads_the_driver)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();

    producer_config.memory = RING_MEMORY_HOST;
    struct ring_producer *producer = open_producer(&producer_config);
    struct ring_consumer *consumer = open_consumer(&consumer_config); /* would accept a GPU */
    publish(producer, 0, 5);
    struct ring_view view = acquire(consumer);
    ck_assert_int_eq(view.memory, RING_MEMORY_HOST);
    ck_assert(is_whole(&view));
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    ck_assert_int_eq(atomic_load(&loads), 0);
}
END_TEST

START_TEST(a_gpu_that_cannot_share_memory_is_said_so)
{
    struct ring_producer_config config = cuda_producer();

    setenv("FAKE_CUDA_WITHOUT", "102", 1);
    assert_open_fails(&config, -EOPNOTSUPP, "use memory: host");
    setenv("FAKE_CUDA_WITHOUT", "103", 1);
    assert_open_fails(&config, -EOPNOTSUPP, "cannot share memory with other processes");
    assert_fake_holds_nothing();
}
END_TEST

START_TEST(a_consumer_that_cannot_pin_read_only_memory_goes_without)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();

    setenv("FAKE_CUDA_WITHOUT", "113", 1);
    producer_config.memory = RING_MEMORY_HOST;
    producer_config.pin_for_cuda = consumer_config.pin_for_cuda = true;
    struct ring_producer *producer = open_producer(&producer_config);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    ck_assert(link_becomes(consumer, RING_ATTACHED));
    ck_assert_str_eq(ring_producer_pin_reason(producer), "");
    assert_reason_has(ring_consumer_pin_reason(consumer), "cannot pin read-only memory");
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    assert_fake_holds_nothing();
}
END_TEST

/* ---- which GPU ----------------------------------------------------------------------------- */

START_TEST(a_consumer_on_another_gpu_is_refused_by_uuid)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();
    struct ring_producer *producer = open_producer(&producer_config);

    setenv("FAKE_CUDA_UUID", "x", 1);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    ck_assert(link_becomes(consumer, RING_REFUSED));
    assert_reason_has(ring_consumer_link_reason(consumer), "check CUDA_VISIBLE_DEVICES");
    unsetenv("FAKE_CUDA_UUID");
    ck_assert(link_becomes(consumer, RING_ATTACHED));
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    assert_fake_holds_nothing();
}
END_TEST

START_TEST(a_consumer_finds_the_producers_gpu_among_several)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();

    setenv("FAKE_CUDA_DEVICES", "3", 1);
    producer_config.cuda_device = 2;
    struct ring_producer *producer = open_producer(&producer_config);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    publish(producer, 2, 1);
    struct ring_view view = acquire(consumer);
    ck_assert_int_eq(view.cuda_device, 2);
    ck_assert(is_whole(&view));
    ring_consumer_close(consumer); /* releases the view, too */
    ring_producer_close(producer);
    assert_fake_holds_nothing();
}
END_TEST

/* ---- rights -------------------------------------------------------------------------------- */

START_TEST(a_consumers_mapping_is_read_only_where_the_driver_can)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();
    struct ring_producer *producer = open_producer(&producer_config);

    publish(producer, 0, 1);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    struct ring_view view = acquire(consumer);
    ck_assert_int_ne(copy_to_device(0, view.payload, scratch), CUDA_OK);
    ck_assert(is_whole(&view));
    ring_consumer_close(consumer);

    setenv("FAKE_CUDA_FAIL", "cuMemSetAccess:801:1", 1);
    consumer = open_consumer(&consumer_config);
    view = acquire(consumer);
    ck_assert_uint_eq(fake_state().access_flags, CUDA_ACCESS_READ_WRITE);
    ck_assert(is_whole(&view));
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    assert_fake_holds_nothing();
}
END_TEST

START_TEST(the_exported_descriptor_is_close_on_exec)
{
    struct ring_producer_config config = cuda_producer();
    struct ring_producer *producer = open_producer(&config);
    unsigned found = 0;

    for (int fd = 0; fd < 256; fd++) {
        char name[32];
        char target[64] = "";
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        if (readlink(name, target, sizeof(target) - 1) > 0 && strstr(target, "fake-cuda")) {
            ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
            found++;
        }
    }
    ck_assert_uint_ge(found, 1);
    ring_producer_close(producer);
}
END_TEST

START_TEST(a_forked_child_leaves_its_parents_gpu_memory_alone)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();
    struct ring_producer *producer = open_producer(&producer_config);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    int status;

    ck_assert(link_becomes(consumer, RING_ATTACHED));
    pid_t child = fork();
    if (child == 0) {
        struct ring_producer *another = NULL;
        ring_consumer_close(consumer);
        ring_producer_close(producer);
        producer_config.stream = "rear";
        int error = ring_producer_open(&producer_config, &another);
        _exit(error == -ENODEV && strstr(ring_cuda_reason(), "fork") ? 0 : 1);
    }
    ck_assert_int_gt(child, 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    publish(producer, 0, 4);
    struct ring_view view = acquire(consumer);
    ck_assert(is_whole(&view));
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    assert_fake_holds_nothing();
}
END_TEST

/* ---- every entry point fails in turn ------------------------------------------------------- */

static const struct {
    const char *call;
    int result;
    int error;
} producer_faults[] = {
    {"cuInit", CUDA_NO_DEVICE, -ENODEV},
    {"cuInit", CUDA_DRIVER_MISMATCH, -ENODEV},
    {"cuDeviceGet", CUDA_INVALID_DEVICE, -ENODEV},
    {"cuDeviceGetUuid", 999, -EIO},
    {"cuDeviceGetAttribute", CUDA_INVALID_VALUE, -EINVAL},
    {"cuDevicePrimaryCtxRetain", CUDA_DEVICE_UNAVAILABLE, -EBUSY},
    {"cuCtxPushCurrent", 999, -EIO},
    {"cuMemGetAllocationGranularity", CUDA_NOT_SUPPORTED, -EOPNOTSUPP},
    {"cuMemCreate", CUDA_OUT_OF_MEMORY, -ENOMEM},
    {"cuMemExportToShareableHandle", CUDA_NOT_PERMITTED, -EPERM},
    {"cuMemAddressReserve", CUDA_OUT_OF_MEMORY, -ENOMEM},
    {"cuMemMap", CUDA_OPERATING_SYSTEM, -EIO},
    {"cuMemSetAccess", CUDA_NOT_SUPPORTED, -EOPNOTSUPP},
};

#define PRODUCER_FAULTS (int)(sizeof(producer_faults) / sizeof(producer_faults[0]))

START_TEST(a_producer_fails_cleanly_wherever_cuda_fails)
{
    struct ring_producer_config config = cuda_producer();
    char wish[80];

    snprintf(wish, sizeof(wish), "%s:%d", producer_faults[_i].call, producer_faults[_i].result);
    setenv("FAKE_CUDA_FAIL", wish, 1);
    assert_open_fails(&config, producer_faults[_i].error, producer_faults[_i].call);
    assert_fake_holds_nothing();
    unsetenv("FAKE_CUDA_FAIL");
    ring_producer_close(open_producer(&config));
    assert_fake_holds_nothing();
}
END_TEST

static const char *const consumer_faults[] = {
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetUuid",
    "cuDevicePrimaryCtxRetain",
    "cuCtxPushCurrent",
    "cuMemGetAllocationGranularity",
    "cuMemAddressReserve",
    "cuMemImportFromShareableHandle",
    "cuMemMap",
    "cuMemSetAccess",
};

#define CONSUMER_FAULTS (int)(sizeof(consumer_faults) / sizeof(consumer_faults[0]))

START_TEST(a_consumer_says_where_cuda_failed_and_tries_again)
{
    struct ring_producer_config producer_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();
    unsigned fds_before = support_count_fds();
    struct ring_producer *producer = open_producer(&producer_config);
    char wish[80];

    publish(producer, 0, 1);
    snprintf(wish, sizeof(wish), "%s:999", consumer_faults[_i]);
    setenv("FAKE_CUDA_FAIL", wish, 1);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    ck_assert(link_becomes(consumer, RING_REFUSED));
    assert_reason_has(ring_consumer_link_reason(consumer), consumer_faults[_i]);
    unsetenv("FAKE_CUDA_FAIL");
    struct ring_view view = acquire(consumer);
    ck_assert(is_whole(&view));
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    assert_fake_holds_nothing();
    ck_assert_uint_eq(support_count_fds(), fds_before);
}
END_TEST

static const char *const pin_faults[] = {
    "cuInit",           "cuDeviceGet",       "cuDeviceGetUuid", "cuDevicePrimaryCtxRetain",
    "cuCtxPushCurrent", "cuMemHostRegister",
};

#define PIN_FAULTS (int)(sizeof(pin_faults) / sizeof(pin_faults[0]))

START_TEST(a_ring_that_cannot_be_pinned_works_and_says_why)
{
    struct ring_producer_config config = cuda_producer();
    char wish[80];

    config.memory = RING_MEMORY_HOST;
    config.pin_for_cuda = true;
    snprintf(wish, sizeof(wish), "%s:999", pin_faults[_i]);
    setenv("FAKE_CUDA_FAIL", wish, 1);
    struct ring_producer *producer = open_producer(&config);
    assert_reason_has(ring_producer_pin_reason(producer), pin_faults[_i]);
    ck_assert_int_eq(fake_state().contexts, 0); /* no GPU memory for nothing */
    publish(producer, 0, 1);
    ring_producer_close(producer);
    assert_fake_holds_nothing();
}
END_TEST

static const char *const teardown_faults[] = {
    "cuMemRelease",
    "cuMemUnmap",
    "cuMemAddressFree",
    "cuCtxPopCurrent",
    "cuDevicePrimaryCtxRelease",
    "cuMemHostUnregister",
};

#define TEARDOWN_FAULTS (int)(sizeof(teardown_faults) / sizeof(teardown_faults[0]))

/* What the driver then keeps is its own; ours is that we neither crash nor stop half-way. */
START_TEST(closing_goes_on_where_cuda_fails)
{
    struct ring_producer_config cuda_config = cuda_producer();
    struct ring_producer_config pinned_config = cuda_producer();
    struct ring_consumer_config consumer_config = cuda_consumer();
    char wish[80];

    snprintf(wish, sizeof(wish), "%s:999", teardown_faults[_i]);
    setenv("FAKE_CUDA_FAIL", wish, 1);
    pinned_config.stream = "pinned";
    pinned_config.memory = RING_MEMORY_HOST;
    pinned_config.pin_for_cuda = true;
    struct ring_producer *producer = open_producer(&cuda_config);
    struct ring_producer *pinned = open_producer(&pinned_config);
    struct ring_consumer *consumer = open_consumer(&consumer_config);
    ck_assert(link_becomes(consumer, RING_ATTACHED));
    ring_consumer_close(consumer);
    ring_producer_close(pinned);
    ring_producer_close(producer);
    ck_assert_uint_eq(support_count_entries(dir), 0);
}
END_TEST

/* ---- a producer that lies ------------------------------------------------------------------ */

/* Returns what attaching to such a header says; device_fd is taken. */
static int attach_to(const struct ring_header *header, int device_fd)
{
    struct attachment_terms terms = {.leases = 1, .accept_cuda = true};
    struct attachment *attachment = NULL;
    const char *why = NULL;
    int fds[HANDOFF_FDS] = {memfd_create("frames", MFD_ALLOW_SEALING),
                            memfd_create("leases", MFD_ALLOW_SEALING), eventfd(0, EFD_NONBLOCK),
                            device_fd};

    ck_assert_int_eq(ftruncate(fds[0], 16 * RING_PAGE_BYTES), 0);
    ck_assert_int_eq(ftruncate(fds[1], RING_PAGE_BYTES), 0);
    ck_assert_int_eq(pwrite(fds[0], header, sizeof(*header), 0), sizeof(*header));
    ck_assert_int_eq(fcntl(fds[0], F_ADD_SEALS, F_SEAL_SHRINK), 0);
    ck_assert_int_eq(fcntl(fds[1], F_ADD_SEALS, F_SEAL_SHRINK), 0);
    int error = attachment_create(fds, &terms, &attachment, &why);
    attachment_orphan(attachment);
    return error;
}

START_TEST(a_header_that_contradicts_its_descriptors_is_refused)
{
    struct ring_header header = {
        .magic = RING_MAGIC,
        .version = RING_LAYOUT_VERSION,
        .slot_count = 4,
        .memory = RING_MEMORY_CUDA,
        .slot_bytes = RING_PAGE_BYTES,
        .device_slot_bytes = 8192,
        .payload_bytes_max = 8000,
        .device_uuid = {'f'}, /* the fake's GPU 0 */
    };
    unsigned fds_before = support_count_fds();

    ck_assert_int_eq(attach_to(&header, -1), -EPROTO);
    ck_assert_int_eq(attach_to(&header, eventfd(0, 0)), -EINVAL); /* no GPU memory */
    header.memory = 9;
    ck_assert_int_eq(attach_to(&header, eventfd(0, 0)), -EPROTONOSUPPORT);
    header.memory = RING_MEMORY_CUDA;
    header.payload_bytes_max = 8193;
    ck_assert_int_eq(attach_to(&header, eventfd(0, 0)), -EPROTO);
    header.payload_bytes_max = 0;
    header.device_slot_bytes = UINT64_MAX / 4;
    ck_assert_int_eq(attach_to(&header, eventfd(0, 0)), -EPROTO);
    header.memory = RING_MEMORY_HOST;
    header.slot_bytes = 2 * RING_PAGE_BYTES;
    ck_assert_int_eq(attach_to(&header, eventfd(0, 0)), -EPROTO); /* a descriptor too many */
    ck_assert_int_eq(attach_to(&header, -1), 0);
    ck_assert_uint_eq(support_count_fds(), fds_before);
}
END_TEST

/* Memory of another size than the header says: the driver compares. */
START_TEST(gpu_memory_of_another_size_is_refused)
{
    struct ring_header header = {
        .magic = RING_MAGIC,
        .version = RING_LAYOUT_VERSION,
        .slot_count = 4,
        .memory = RING_MEMORY_CUDA,
        .slot_bytes = RING_PAGE_BYTES,
        .device_slot_bytes = 2 * FAKE_CUDA_GRANULARITY,
        .device_uuid = {'f'},
    };
    struct cuda_memory memory;

    ck_assert_int_eq(cuda_memory_create(0, FAKE_CUDA_GRANULARITY, &memory), 0);
    ck_assert_int_eq(attach_to(&header, dup(memory.fd)), -EINVAL);
    header.device_slot_bytes = FAKE_CUDA_GRANULARITY / 4;
    ck_assert_int_eq(attach_to(&header, dup(memory.fd)), 0);
    cuda_memory_fini(&memory);
    assert_fake_holds_nothing();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_cuda_fault");
    TCase *cases = tcase_create("ring_cuda_fault");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, without_a_driver_the_error_says_what_to_do);
    tcase_add_test(cases, a_driver_that_is_too_old_is_said_so);
    tcase_add_test(cases, without_a_driver_a_ring_that_wants_to_be_pinned_works_unpinned);
    tcase_add_test(cases, a_ring_that_does_not_ask_never_loads_the_driver);
    tcase_add_test(cases, a_gpu_that_cannot_share_memory_is_said_so);
    tcase_add_test(cases, a_consumer_that_cannot_pin_read_only_memory_goes_without);
    tcase_add_test(cases, a_consumer_on_another_gpu_is_refused_by_uuid);
    tcase_add_test(cases, a_consumer_finds_the_producers_gpu_among_several);
    tcase_add_test(cases, a_consumers_mapping_is_read_only_where_the_driver_can);
    tcase_add_test(cases, the_exported_descriptor_is_close_on_exec);
    tcase_add_test(cases, a_forked_child_leaves_its_parents_gpu_memory_alone);
    tcase_add_loop_test(cases, a_producer_fails_cleanly_wherever_cuda_fails, 0, PRODUCER_FAULTS);
    tcase_add_loop_test(cases, a_consumer_says_where_cuda_failed_and_tries_again, 0,
                        CONSUMER_FAULTS);
    tcase_add_loop_test(cases, a_ring_that_cannot_be_pinned_works_and_says_why, 0, PIN_FAULTS);
    tcase_add_loop_test(cases, closing_goes_on_where_cuda_fails, 0, TEARDOWN_FAULTS);
    tcase_add_test(cases, a_header_that_contradicts_its_descriptors_is_refused);
    tcase_add_test(cases, gpu_memory_of_another_size_is_refused);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
