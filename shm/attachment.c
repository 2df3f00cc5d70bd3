/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns two mappings, a third on a GPU, and the wake descriptor. Everything that comes from the
 * producer is checked here once, so that the rest of the consumer can index without asking again.
 */
#include "shm/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/huge_map.h"

/* A sealed descriptor of at least `bytes`: reading a mapping of it can never fault. */
static bool is_unshrinkable(int fd, size_t bytes)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(fd, &status) == 0 &&
           (uint64_t)status.st_size >= bytes;
}

static int read_geometry(struct attachment *attachment, const struct ring_header *header,
                         size_t file_bytes)
{
    uint64_t slot_bytes = header->slot_bytes;
    uint64_t payload_bytes_max = header->payload_bytes_max;
    uint64_t device_slot_bytes = header->device_slot_bytes;
    uint32_t slot_count = header->slot_count;
    uint32_t memory = header->memory;

    if (header->magic != RING_MAGIC)
        return -EPROTO;
    if (header->version != RING_LAYOUT_VERSION || memory > RING_MEMORY_CUDA)
        return -EPROTONOSUPPORT;
    if (slot_count < 1 || slot_count > RING_SLOTS_MAX || slot_bytes % RING_PAGE_BYTES != 0 ||
        slot_bytes < RING_PAYLOAD_OFFSET || slot_bytes > file_bytes ||
        slot_bytes > (file_bytes - RING_PAGE_BYTES) / slot_count)
        return -EPROTO;
    uint64_t room =
        memory == RING_MEMORY_CUDA ? device_slot_bytes : slot_bytes - RING_PAYLOAD_OFFSET;
    if (room == 0 || room > SIZE_MAX / 2 / RING_SLOTS_MAX || payload_bytes_max > room)
        return -EPROTO;
    attachment->memory = memory;
    attachment->device_slot_bytes = device_slot_bytes;
    attachment->slot_bytes = slot_bytes;
    attachment->payload_bytes_max = payload_bytes_max;
    attachment->slot_count = slot_count;
    attachment->epoch = header->epoch;
    return 0;
}

static int map_frames(struct attachment *attachment, int fd)
{
    struct stat status;

    if (!is_unshrinkable(fd, RING_PAGE_BYTES + 1) || fstat(fd, &status) < 0)
        return -EPROTO;
    size_t bytes = (size_t)status.st_size;
    void *memory;
    int error = huge_map(fd, bytes, PROT_READ, &memory);
    if (error < 0)
        return error;
    attachment->header = memory;
    attachment->mapping_bytes = bytes;
    return read_geometry(attachment, memory, bytes);
}

static int map_leases(struct attachment *attachment, int fd)
{
    if (!is_unshrinkable(fd, RING_PAGE_BYTES))
        return -EPROTO;
    void *page = mmap(NULL, RING_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    attachment->leases = page;
    return 0;
}

static int import_payloads(struct attachment *attachment, int fd,
                           const struct attachment_terms *terms, const char **ret_why)
{
    if (!terms->accept_cuda) {
        *ret_why = "its payloads lie on a GPU and this program reads host memory only; run the "
                   "producer with memory: host";
        return -EOPNOTSUPP;
    }
    int error = cuda_memory_import(fd, attachment->header->device_uuid,
                                   attachment->slot_count * attachment->device_slot_bytes,
                                   &attachment->device);
    if (error < 0) {
        *ret_why = cuda_driver_reason();
        return error;
    }
    attachment->payloads = (const char *)(uintptr_t)attachment->device.address;
    attachment->payload_stride = attachment->device_slot_bytes;
    return 0;
}

static int find_payloads(struct attachment *attachment, int device_fd,
                         const struct attachment_terms *terms, const char **ret_why)
{
    if ((attachment->memory == RING_MEMORY_CUDA) != (device_fd >= 0))
        return -EPROTO;
    if (attachment->memory == RING_MEMORY_CUDA)
        return import_payloads(attachment, device_fd, terms, ret_why);
    attachment->payloads = (const char *)attachment->header + RING_PAGE_BYTES + RING_PAYLOAD_OFFSET;
    attachment->payload_stride = attachment->slot_bytes;
    if (terms->pin_for_cuda)
        cuda_pin_init(&attachment->pin, terms->cuda_device, (void *)(uintptr_t)attachment->header,
                      attachment->mapping_bytes, true);
    return 0;
}

static void attachment_destroy(struct attachment *attachment)
{
    cuda_pin_fini(&attachment->pin);
    cuda_memory_fini(&attachment->device);
    if (attachment->header)
        munmap((void *)(uintptr_t)attachment->header, attachment->mapping_bytes);
    if (attachment->leases)
        munmap(attachment->leases, RING_PAGE_BYTES);
    if (attachment->wake_fd >= 0)
        close(attachment->wake_fd);
    free(attachment);
}

void attachment_orphan(struct attachment *attachment)
{
    if (!attachment)
        return;
    attachment->orphan = true;
    if (attachment->views == 0)
        attachment_destroy(attachment);
}

void attachment_view(struct attachment *attachment)
{
    attachment->views++;
}

void attachment_unview(struct attachment *attachment)
{
    attachment->views--;
    if (attachment->views == 0 && attachment->orphan)
        attachment_destroy(attachment);
}

void attachment_hush(const struct attachment *attachment)
{
    char bytes[64]; /* the producer writes one for each time that we fell asleep */
    ssize_t got = read(attachment->wake_fd, bytes, sizeof(bytes));

    (void)got; /* it does not block; nothing there is as good */
}

int attachment_create(const int fds[HANDOFF_FDS], const struct attachment_terms *terms,
                      struct attachment **ret_attachment, const char **ret_why)
{
    struct attachment *attachment = calloc(1, sizeof(*attachment));
    int error = attachment ? 0 : -ENOMEM;

    for (unsigned i = 0; i < HANDOFF_FDS_HOST; i++) {
        if (fds[i] < 0)
            error = -EPROTO;
    }
    if (attachment)
        attachment->wake_fd = -1;
    if (error == 0)
        error = map_frames(attachment, fds[HANDOFF_FD_FRAMES]);
    if (error == 0)
        error = map_leases(attachment, fds[HANDOFF_FD_LEASES]);
    if (error == 0)
        error = find_payloads(attachment, fds[HANDOFF_FD_DEVICE], terms, ret_why);
    if (error == 0) {
        attachment->wake_fd = fds[HANDOFF_FD_WAKE];
        attachment->lease_count = terms->leases;
    }
    for (unsigned i = 0; i < HANDOFF_FDS; i++) {
        if (fds[i] >= 0 && !(error == 0 && i == HANDOFF_FD_WAKE))
            close(fds[i]);
    }
    if (error < 0) {
        attachment_orphan(attachment);
        return error;
    }
    *ret_attachment = attachment;
    return 0;
}

const struct ring_slot *attachment_slot(const struct attachment *attachment, uint32_t slot)
{
    const char *base = (const char *)attachment->header + RING_PAGE_BYTES;

    return (const struct ring_slot *)(base + slot * attachment->slot_bytes);
}

const void *attachment_payload(const struct attachment *attachment, uint32_t slot)
{
    return attachment->payloads + slot * attachment->payload_stride;
}
