/* SPDX-License-Identifier: Apache-2.0 */
/* A pure function on the caller's copy. */
#include "proto/legacy_slot.h"

#include <errno.h>

int legacy_slot_check(const uint8_t *copy, size_t length_bytes, bool check_crc,
                      struct video_header *ret_header)
{
    struct video_header header;

    if (length_bytes <= VIDEO_HEADER_BYTES)
        return -EPROTO;
    video_header_decode(copy, &header);
    if (header.size != length_bytes - VIDEO_HEADER_BYTES || header.codec < VIDEO_CODEC_H264 ||
        header.codec > VIDEO_CODEC_JPEG)
        return -EPROTO;
    if (check_crc && header.crc32 != 0 &&
        header.crc32 != video_crc32(copy + VIDEO_HEADER_BYTES, header.size))
        return -EBADMSG;
    *ret_header = header;
    return 0;
}
