/* SPDX-License-Identifier: Apache-2.0 */
/* What the JPEG back end writes, decoded again with libjpeg and compared with the source. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include <check.h>
#include <malloc.h>

#include "encoder/jpeg.h"
#include "tests/jpeg_kit.h"

#define PACKET_BYTES (2048UL * 1024)
#define GUARD_BYTES 64
#define GUARD_VALUE 0xA5

static uint8_t memory[PACKET_BYTES + GUARD_BYTES];

static struct codec *codec_open(uint32_t width, uint32_t height, uint32_t quality)
{
    struct codec_config config = {.settings = {.codec = VIDEO_CODEC_JPEG,
                                               .jpeg_quality = quality,
                                               .width = width,
                                               .height = height},
                                  .packet_bytes_max = PACKET_BYTES};
    struct codec *codec = NULL;

    ck_assert_int_eq(codec_jpeg.open(&config, &codec), 0);
    return codec;
}

/* Codes into `bytes_max` bytes of memory and checks that not one more was written. */
static int encode(struct codec *codec, const struct kit_frame *kit, size_t bytes_max,
                  struct codec_packet *ret_packet)
{
    struct picture picture = kit_picture(kit);
    struct codec_packet packet = {.bytes = memory, .bytes_max = bytes_max};

    memset(memory, GUARD_VALUE, sizeof(memory));
    ck_assert_int_eq(codec_jpeg.load(codec, &picture), 0);
    int rc = codec_jpeg.encode(codec, false, &packet);
    for (unsigned i = 0; i < GUARD_BYTES; i++)
        ck_assert_uint_eq(memory[bytes_max + i], GUARD_VALUE);
    *ret_packet = packet;
    return rc;
}

static void check_picture(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t flags)
{
    struct kit_frame kit = kit_frame_make(fourcc, width, height, flags, 5);
    struct codec *codec = codec_open(width, height, 80);
    struct codec_packet packet;
    int sampling;

    ck_assert_int_eq(encode(codec, &kit, PACKET_BYTES, &packet), 0);
    ck_assert(packet.keyframe && !packet.degraded);
    struct kit_image image = kit_jpeg_decode(&packet, &sampling);
    ck_assert_int_eq(sampling, 22); /* 4:2:0 */
    ck_assert_uint_eq(image.width, width);
    ck_assert_uint_eq(image.height, height);
    /* Patch edges on odd columns and rows share a chroma sample: that costs a few dB. */
    double least = (width | height) % 2 == 0 ? 30 : 28;
    ck_assert_msg(kit_psnr(&image, &kit.frame, 5) >= least, "PSNR %.1f dB",
                  kit_psnr(&image, &kit.frame, 5));
    ck_assert_msg(kit_patch_error(&image) <= 3, "a patch is off by %d", kit_patch_error(&image));
    free(image.pixels);
    codec_jpeg.close(codec);
    kit_frame_free(&kit);
}

static const uint32_t colour_layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_RGBX, PIXEL_BGRA,
                                          PIXEL_NV12};

START_TEST(every_colour_layout_is_read_in_place)
{
    check_picture(colour_layouts[_i], 320, 240, 0);
}
END_TEST

static void check_quality(uint32_t fourcc, struct kit_shape shape, uint32_t flags)
{
    struct kit_frame kit = kit_frame_make(fourcc, shape.width, shape.height, flags, 5);
    struct codec *codec = codec_open(shape.width, shape.height, 90);
    struct codec_packet packet;
    int sampling;

    ck_assert_int_eq(encode(codec, &kit, PACKET_BYTES, &packet), 0);
    ck_assert(!packet.degraded);
    struct kit_image image = kit_jpeg_decode(&packet, &sampling);
    ck_assert_uint_eq(image.width, shape.width);
    ck_assert_uint_eq(image.height, shape.height);
    kit_check_image(&image, &kit.frame, 5);
    free(image.pixels);
    codec_jpeg.close(codec);
    kit_frame_free(&kit);
}

START_TEST(every_layout_and_size_keeps_each_plane)
{
    kit_every_shape(kit_layouts[_i], check_quality);
}
END_TEST

START_TEST(a_4k_picture_keeps_each_plane)
{
    check_quality(PIXEL_RGB24, (struct kit_shape){4096, 2160}, RING_FRAME_BOTTOM_UP);
    check_quality(PIXEL_NV12, (struct kit_shape){4096, 2160}, 0);
}
END_TEST

START_TEST(bottom_up_rows_come_out_upright)
{
    check_picture(colour_layouts[_i], 320, 240, RING_FRAME_BOTTOM_UP);
}
END_TEST

START_TEST(odd_sizes_keep_their_size)
{
    check_picture(PIXEL_RGB24, 321, 243, 0);
    check_picture(PIXEL_BGRA, 199, 161, RING_FRAME_BOTTOM_UP);
    check_picture(PIXEL_NV12, 318, 243, 0);
}
END_TEST

/* Full range is what JPEG holds: what goes in comes out, up to the coding. */
START_TEST(full_range_nv12_keeps_its_luma)
{
    static uint8_t pixels[320 * 240 * 3 / 2];
    struct kit_frame kit = {.bytes = pixels,
                            .frame = {.fourcc = PIXEL_NV12,
                                      .width = 320,
                                      .height = 240,
                                      .stride_bytes = 320,
                                      .matrix = RING_MATRIX_BT601,
                                      .range = RING_RANGE_FULL,
                                      .payload_bytes = sizeof(pixels)}};
    struct codec *codec = codec_open(320, 240, 95);
    struct codec_packet packet;
    int sampling;

    memset(pixels, 128, sizeof(pixels));
    for (uint32_t i = 0; i < 320 * 240; i++)
        pixels[i] = (uint8_t)(i % 320 * 255 / 319);
    ck_assert_int_eq(encode(codec, &kit, PACKET_BYTES, &packet), 0);
    struct kit_image image = kit_jpeg_decode(&packet, &sampling);
    for (uint32_t i = 0; i < 320 * 240; i++) {
        ck_assert_int_le(abs(image.pixels[i].r - pixels[i]), 4);
        ck_assert_int_le(abs(image.pixels[i].b - pixels[i]), 4);
    }
    free(image.pixels);
    codec_jpeg.close(codec);
}
END_TEST

START_TEST(grey_stays_grey)
{
    struct kit_frame kit = kit_frame_make(PIXEL_GREY, 320, 240, 0, 0);
    struct codec *codec = codec_open(320, 240, 80);
    struct codec_packet packet;
    int sampling;

    ck_assert_int_eq(encode(codec, &kit, PACKET_BYTES, &packet), 0);
    struct kit_image image = kit_jpeg_decode(&packet, &sampling);
    for (uint32_t i = 0; i < image.width * image.height; i++) {
        struct kit_rgb want = kit_scene(i % 320, i / 320, &kit.frame, 0);
        ck_assert_int_le(abs(image.pixels[i].r - want.g), 40);
        ck_assert_uint_eq(image.pixels[i].r, image.pixels[i].b);
    }
    free(image.pixels);
    codec_jpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(one_codec_serves_changing_layouts_and_qualities)
{
    struct kit_frame rgb = kit_frame_make(PIXEL_RGB24, 320, 240, 0, 0);
    struct kit_frame bgra = kit_frame_make(PIXEL_BGRA, 320, 240, 0, 0);
    struct stream_settings settings = {.jpeg_quality = 30, .width = 320, .height = 240};
    struct codec *codec = codec_open(320, 240, 90);
    struct codec_packet high, low, again;

    ck_assert_int_eq(encode(codec, &rgb, PACKET_BYTES, &high), 0);
    ck_assert(codec_jpeg.adapt(codec, &settings));
    ck_assert_int_eq(encode(codec, &bgra, PACKET_BYTES, &low), 0);
    ck_assert_int_eq(encode(codec, &rgb, PACKET_BYTES, &again), 0);
    ck_assert_uint_lt(low.size_bytes * 3, high.size_bytes * 2);
    ck_assert_uint_eq(low.size_bytes, again.size_bytes); /* the same picture either way */
    settings.width = 640;
    ck_assert(!codec_jpeg.adapt(codec, &settings));
    codec_jpeg.close(codec);
    kit_frame_free(&rgb);
    kit_frame_free(&bgra);
}
END_TEST

START_TEST(a_slot_too_small_gets_a_worse_picture)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 320, 240, 0, 0);
    struct codec *codec = codec_open(320, 240, 95);
    struct codec_packet packet;
    int sampling;

    ck_assert_int_eq(encode(codec, &kit, PACKET_BYTES, &packet), 0);
    size_t full_bytes = packet.size_bytes;
    ck_assert_int_eq(encode(codec, &kit, full_bytes + 1, &packet), 0); /* libjpeg needs one spare */
    ck_assert(!packet.degraded);
    ck_assert_int_eq(encode(codec, &kit, full_bytes, &packet), 0);
    ck_assert(packet.degraded);
    struct kit_image image = kit_jpeg_decode(&packet, &sampling);
    ck_assert(kit_psnr(&image, &kit.frame, 0) >= 25);
    free(image.pixels);
    codec_jpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(a_slot_too_small_for_any_quality_loses_only_that_picture)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 320, 240, 0, 0);
    struct codec *codec = codec_open(320, 240, 80);
    struct codec_packet packet;
    int sampling;

    for (size_t bytes_max = 0; bytes_max < 1000; bytes_max += 37)
        ck_assert_int_eq(encode(codec, &kit, bytes_max, &packet), -EMSGSIZE);
    ck_assert_int_eq(encode(codec, &kit, PACKET_BYTES, &packet), 0);
    ck_assert(!packet.degraded);
    struct kit_image image = kit_jpeg_decode(&packet, &sampling);
    ck_assert(kit_psnr(&image, &kit.frame, 0) >= 30);
    free(image.pixels);
    codec_jpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

/* Rows of the stripes that jpeg_stripes.c cuts for so many threads. */
static uint32_t stripe_rows(uint32_t height, unsigned threads)
{
    return ((height + threads - 1) / threads + 15) / 16 * 16;
}

static void check_stripes(uint32_t fourcc, struct kit_shape size, unsigned threads, uint32_t flags)
{
    static uint8_t serial_memory[PACKET_BYTES];
    struct kit_frame kit = kit_frame_make(fourcc, size.width, size.height, flags, 5);
    struct picture picture = kit_picture(&kit);
    struct codec_packet serial = {.bytes = serial_memory, .bytes_max = PACKET_BYTES};
    struct codec_packet packet;
    struct codec_config config = {.settings = {.codec = VIDEO_CODEC_JPEG,
                                               .jpeg_quality = 80,
                                               .width = size.width,
                                               .height = size.height},
                                  .packet_bytes_max = PACKET_BYTES,
                                  .jpeg_threads = threads};
    struct codec *striped;
    struct jpeg_serial *jpeg;

    ck_assert_int_eq(codec_jpeg.open(&config, &striped), 0);
    ck_assert_int_eq(jpeg_serial_open(&config, stripe_rows(size.height, threads), &jpeg), 0);
    ck_assert_int_eq(jpeg_serial_load(jpeg, &picture), 0);
    ck_assert_int_eq(jpeg_serial_encode(jpeg, &serial), 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(encode(striped, &kit, PACKET_BYTES, &packet), 0);
        ck_assert(packet.keyframe && !packet.degraded);
        ck_assert_uint_eq(packet.size_bytes, serial.size_bytes);
        ck_assert_mem_eq(packet.bytes, serial.bytes, serial.size_bytes);
    }
    /* Without room for all stripes, and for any of them. */
    ck_assert_int_eq(encode(striped, &kit, serial.size_bytes * 9 / 10, &packet), 0);
    ck_assert(packet.degraded);
    ck_assert_int_eq(encode(striped, &kit, 100, &packet), -EMSGSIZE);
    config.settings.jpeg_quality = 30;
    ck_assert(codec_jpeg.adapt(striped, &config.settings));
    ck_assert(jpeg_serial_adapt(jpeg, &config.settings));
    ck_assert_int_eq(jpeg_serial_encode(jpeg, &serial), 0);
    ck_assert_int_eq(encode(striped, &kit, PACKET_BYTES, &packet), 0);
    ck_assert_uint_eq(packet.size_bytes, serial.size_bytes);
    ck_assert_mem_eq(packet.bytes, serial.bytes, serial.size_bytes);
    jpeg_serial_close(jpeg);
    codec_jpeg.close(striped);
    kit_frame_free(&kit);
}

START_TEST(stripes_join_to_what_one_thread_writes)
{
    for (unsigned threads = 2; threads <= 8; threads += 3) {
        check_stripes(kit_layouts[_i], (struct kit_shape){640, 360}, threads, 0);
        check_stripes(kit_layouts[_i], (struct kit_shape){334, 402}, threads, RING_FRAME_BOTTOM_UP);
    }
}
END_TEST

static void *burn(void *context)
{
    while (!atomic_load_explicit((atomic_bool *)context, memory_order_relaxed))
        ;
    return NULL;
}

/* Without a number of threads, what comes out is one of two: with stripes, or in one piece. */
START_TEST(no_stripes_are_coded_while_no_core_is_idle)
{
    enum { BURNERS = 64 };
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 1920, 1080, 0, 0);
    struct codec *codec = codec_open(1920, 1080, 50);
    static uint8_t alone_memory[PACKET_BYTES];
    struct codec_packet alone = {.bytes = alone_memory, .bytes_max = PACKET_BYTES};
    struct picture picture = kit_picture(&kit);
    struct codec_config config = {.settings = {.jpeg_quality = 50, .width = 1920, .height = 1080}};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t burners[BURNERS];
    struct jpeg_serial *jpeg;
    struct codec_packet packet;
    atomic_bool over = false;

    ck_assert_int_eq(jpeg_serial_open(&config, 0, &jpeg), 0);
    ck_assert_int_eq(jpeg_serial_load(jpeg, &picture), 0);
    ck_assert_int_eq(jpeg_serial_encode(jpeg, &alone), 0);
    for (long i = 0; i < cores && i < BURNERS; i++)
        ck_assert_int_eq(pthread_create(&burners[i], NULL, burn, &over), 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(encode(codec, &kit, PACKET_BYTES, &packet), 0);
        ck_assert_uint_eq(packet.size_bytes, alone.size_bytes);
        ck_assert_mem_eq(packet.bytes, alone.bytes, alone.size_bytes);
    }
    atomic_store(&over, true);
    for (long i = 0; i < cores && i < BURNERS; i++)
        pthread_join(burners[i], NULL);
    jpeg_serial_close(jpeg);
    codec_jpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

/* The source cannot be written, and what the codec keeps would not hold a tenth of a picture. */
START_TEST(no_picture_is_copied)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 1280, 720, RING_FRAME_BOTTOM_UP, 0);
    struct mallinfo2 before = mallinfo2();
    struct codec *codec = codec_open(1280, 720, 80);
    struct codec_packet packet;

    ck_assert_int_eq(encode(codec, &kit, PACKET_BYTES, &packet), 0);
    struct mallinfo2 after = mallinfo2();
    size_t kept = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    ck_assert_uint_lt(kept * 10, kit.frame.payload_bytes);
    codec_jpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jpeg");
    TCase *cases = tcase_create("jpeg");
    int layouts = sizeof(colour_layouts) / sizeof(colour_layouts[0]);

    tcase_add_loop_test(cases, every_colour_layout_is_read_in_place, 0, layouts);
    tcase_add_loop_test(cases, bottom_up_rows_come_out_upright, 0, layouts);
    tcase_add_test(cases, odd_sizes_keep_their_size);
    tcase_add_loop_test(cases, every_layout_and_size_keeps_each_plane, 0, KIT_LAYOUTS);
    tcase_add_test(cases, a_4k_picture_keeps_each_plane);
    tcase_add_test(cases, full_range_nv12_keeps_its_luma);
    tcase_add_test(cases, grey_stays_grey);
    tcase_add_test(cases, one_codec_serves_changing_layouts_and_qualities);
    tcase_add_test(cases, a_slot_too_small_gets_a_worse_picture);
    tcase_add_test(cases, a_slot_too_small_for_any_quality_loses_only_that_picture);
    tcase_add_loop_test(cases, stripes_join_to_what_one_thread_writes, 0, KIT_LAYOUTS);
    tcase_add_test(cases, no_stripes_are_coded_while_no_core_is_idle);
    tcase_add_test(cases, no_picture_is_copied);
    tcase_set_timeout(cases, 60);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
