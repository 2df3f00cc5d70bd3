/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A consumer attaches to memory whose header, index, slots and leases hold whatever the input
 * says, as if a hostile producer had written it. It may refuse; it must not read outside.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/attachment.h"

#define FILE_BYTES (4 * RING_PAGE_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sealed_memory(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, FILE_BYTES) < 0)
        return fd;
    if (pwrite(fd, data, size < FILE_BYTES ? size : FILE_BYTES, 0) >= 0)
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ring_header seed = {.magic = RING_MAGIC, .version = RING_LAYOUT_VERSION};
    uint8_t bytes[FILE_BYTES] = {0};
    struct attachment_terms terms = {.leases = 1};
    struct attachment *attachment;
    const char *why;
    static volatile uint8_t last; /* or the reads below would not be made */

    /* The magic stays, so that the fuzzer spends its time behind it. */
    memcpy(bytes, &seed, 12);
    memcpy(bytes + 12, data, size < FILE_BYTES - 12 ? size : FILE_BYTES - 12);
    int fds[HANDOFF_FDS] = {sealed_memory(bytes, sizeof(bytes)), sealed_memory(bytes, 0),
                            eventfd(0, EFD_NONBLOCK), -1};
    if (attachment_create(fds, &terms, &attachment, &why) < 0)
        return 0;
    for (uint32_t i = 0; i < attachment->slot_count; i++) {
        const struct ring_slot *slot = attachment_slot(attachment, i);
        last = slot->user[RING_USER_BYTES - 1];
        size_t payload_bytes = attachment->payload_bytes_max;
#ifdef PLANTED_BUG /* a size that the header gives and nobody checked */
        payload_bytes += FILE_BYTES;
#endif
        if (payload_bytes > 0)
            last = ((const uint8_t *)attachment_payload(attachment, i))[payload_bytes - 1];
    }
    attachment_orphan(attachment);
    return 0;
}
