/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets as the encoder's slot or the legacy file may hold them, and the small messages. What
 * is accepted must lie inside the input and read back the same.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/legacy_slot.h"
#include "proto/telemetry.h"
#include "proto/video.h"
#include "proto/viewer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void packet(const uint8_t *data, size_t size)
{
    struct video_packet_view view;

    if (video_packet_parse(data, size, &view) < 0)
        return;
    check(view.ws_frame >= data && view.ws_frame + view.ws_frame_bytes == data + size);
    check(view.payload + view.header.size == data + size);
    uint8_t *again = malloc(size);
    memcpy(again, data, size);
    check(video_packet_finish(again, &view.header) == (size_t)(view.ws_frame - data));
    check(memcmp(again + (view.ws_frame - data), view.ws_frame, view.ws_frame_bytes) == 0);
    free(again);
}

static void messages(const uint8_t *data, size_t size)
{
    struct telemetry telemetry;
    struct frame_info info;
    uint8_t again[FRAME_INFO_BYTES];
    uint8_t reply[CLOCK_REPLY_BYTES];

    int error = telemetry_decode(data, size, &telemetry);
#ifdef PLANTED_BUG /* a payload that ends one byte too late */
    if (error == 0 && telemetry.payload_bytes % 8 == 5)
        telemetry.payload_bytes++;
#endif
    if (error == 0)
        check(telemetry.payload + telemetry.payload_bytes == (const char *)data + size);
    if (frame_info_decode(data, size, &info) == 0) {
        frame_info_encode(&info, again);
        check(memcmp(again + 8, data + 8, sizeof(again) - 8) == 0);
    }
    if (clock_reply_encode(data, size, 1, reply) == 0)
        check(memcmp(reply, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct video_header header;

    packet(data, size);
    messages(data, size);
    if (size >= VIDEO_HEADER_BYTES && legacy_slot_check(data, size, true, &header) == 0)
        check(header.size == size - VIDEO_HEADER_BYTES);
    return 0;
}
