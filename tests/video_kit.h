/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A back end of H.264 or HEVC and a decoder behind it: codes pictures of picture_kit.h into
 * guarded memory and decodes each access unit at once, as a viewer does.
 *
 * Thread: one. Errors fail the test.
 */
#ifndef SIMCAST_TESTS_VIDEO_KIT_H
#define SIMCAST_TESTS_VIDEO_KIT_H

#include <check.h>
#include <libavcodec/avcodec.h>

#include "encoder/codec.h"
#include "tests/picture_kit.h"

#define PACKET_BYTES (1024UL * 1024)
#define GUARD_BYTES 64
#define GUARD_VALUE 0xA5

static uint8_t session_memory[PACKET_BYTES + GUARD_BYTES + AV_INPUT_BUFFER_PADDING_SIZE];

struct session {
    const struct codec_backend *backend;
    struct codec *codec;
    struct stream_settings settings;
    AVCodecContext *decoder;
    AVFrame *decoded;
    AVPacket *packet;
};

/* Of a session without a codec. */
static inline void session_open_decoder(struct session *session, uint32_t codec)
{
    session->decoder = avcodec_alloc_context3(
        avcodec_find_decoder(codec == VIDEO_CODEC_HEVC ? AV_CODEC_ID_HEVC : AV_CODEC_ID_H264));
    session->decoded = av_frame_alloc();
    session->packet = av_packet_alloc();
    ck_assert_int_eq(avcodec_open2(session->decoder, NULL, NULL), 0);
}

static inline struct session session_open_with(const struct codec_backend *backend,
                                               const struct picture *like, uint32_t width,
                                               uint32_t height, size_t packet_bytes_max)
{
    struct session session = {.backend = backend,
                              .settings = {.codec = backend->codec,
                                           .bitrate_bps = 4000000,
                                           .fps = 30,
                                           .width = width,
                                           .height = height,
                                           .preset = "ultrafast"}};
    struct codec_config config = {
        .settings = session.settings, .packet_bytes_max = packet_bytes_max, .like = like};

    ck_assert_msg(backend->open(&config, &session.codec) == 0, "%s: %s", backend->name,
                  codec_complaint());
    session_open_decoder(&session, backend->codec);
    return session;
}

static inline void session_close(struct session *session)
{
    if (session->codec)
        session->backend->close(session->codec);
    av_packet_free(&session->packet);
    av_frame_free(&session->decoded);
    avcodec_free_context(&session->decoder);
}

/* Codes into `bytes_max` bytes of memory and checks that not one more was written. */
static inline int encode_picture(struct session *session, const struct picture *picture,
                                 bool keyframe, struct codec_packet *packet)
{
    packet->bytes = session_memory;
    memset(session_memory, GUARD_VALUE, sizeof(session_memory));
    int loaded = session->backend->load(session->codec, picture);
    ck_assert_msg(loaded == 0, "load: %s (%s)", strerror(-loaded), codec_complaint());
    int rc = session->backend->encode(session->codec, keyframe, packet);
    for (unsigned i = 0; i < GUARD_BYTES; i++)
        ck_assert_uint_eq(session_memory[packet->bytes_max + i], GUARD_VALUE);
    return rc;
}

static inline int encode(struct session *session, const struct kit_frame *kit, bool keyframe,
                         struct codec_packet *packet)
{
    struct picture picture = kit_picture(kit);

    return encode_picture(session, &picture, keyframe, packet);
}

static inline struct codec_packet encode_ok(struct session *session, const struct kit_frame *kit,
                                            bool keyframe)
{
    struct codec_packet packet = {.bytes_max = PACKET_BYTES};

    ck_assert_int_eq(encode(session, kit, keyframe, &packet), 0);
    ck_assert_int_eq(packet.keyframe, keyframe);
    return packet;
}

/* A set of bits: which of H.264's NAL unit types the access unit holds. */
static inline unsigned nal_types(const struct codec_packet *packet)
{
    unsigned types = 0;

    for (size_t i = 0; i + 3 < packet->size_bytes; i++) {
        const uint8_t *at = packet->bytes + i;
        if (at[0] == 0 && at[1] == 0 && at[2] == 1)
            types |= 1u << (at[3] & 0x1f);
    }
    return types;
}

/* Decodes one access unit, which must deliver its picture at once; a viewer has no patience. */
static inline struct kit_image decode(struct session *session, const struct codec_packet *packet)
{
    AVFrame *frame = session->decoded;

    ck_assert_int_eq(av_new_packet(session->packet, (int)packet->size_bytes), 0);
    memcpy(session->packet->data, packet->bytes, packet->size_bytes);
    session->decoder->flags |= AV_CODEC_FLAG_LOW_DELAY;
    ck_assert_int_eq(avcodec_send_packet(session->decoder, session->packet), 0);
    ck_assert_int_eq(avcodec_receive_frame(session->decoder, frame), 0);
    av_packet_unref(session->packet);
    ck_assert_int_eq(frame->format, AV_PIX_FMT_YUV420P);
    struct kit_image image = kit_image_make((uint32_t)frame->width, (uint32_t)frame->height);
    for (uint32_t i = 0; i < image.width * image.height; i++) {
        int x = (int)(i % image.width);
        int y = (int)(i / image.width);
        image.pixels[i] = kit_rgb_from_yuv(frame->data[0][y * frame->linesize[0] + x],
                                           frame->data[1][y / 2 * frame->linesize[1] + x / 2],
                                           frame->data[2][y / 2 * frame->linesize[2] + x / 2]);
    }
    return image;
}

static inline double decoded_psnr(struct session *session, const struct codec_packet *packet,
                                  const struct ring_frame *frame, unsigned phase)
{
    struct kit_image image = decode(session, packet);
    double psnr = kit_psnr(&image, frame, phase);

    free(image.pixels);
    return psnr;
}

#endif
