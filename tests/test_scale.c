/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures made smaller and laid out as a grid, compared with the scene that they show. */
#include <errno.h>

#include <check.h>

#include "encoder/scale.h"
#include "proto/batch.h"
#include "tests/picture_kit.h"

static struct scaler *scaler;

static void set_up(void)
{
    ck_assert_int_eq(scaler_create(&scaler), 0);
}

static void tear_down(void)
{
    scaler_destroy(scaler);
}

/* NV12 as a browser shows it. */
static struct kit_image image_of(const struct picture *picture)
{
    struct kit_image image = kit_image_make(picture->width, picture->height);

    ck_assert_uint_eq(picture->fourcc, PIXEL_NV12);
    ck_assert(picture->limited_range);
    for (uint32_t i = 0; i < image.width * image.height; i++) {
        ptrdiff_t x = i % image.width;
        ptrdiff_t y = i / image.width;
        const uint8_t *pair =
            picture->chroma_top + y / 2 * picture->chroma_stride_bytes + x / 2 * 2;
        image.pixels[i] =
            kit_rgb_from_yuv(picture->top[y * picture->stride_bytes + x], pair[0], pair[1]);
    }
    return image;
}

static struct mosaic mosaic_of(const struct ring_frame *frame, const void *pixels, const void *user)
{
    struct ring_view view = {.payload = pixels, .user = user, .frame = *frame};
    struct mosaic mosaic;
    const char *reason = "";

    ck_assert_msg(mosaic_from_view(&view, &mosaic, &reason) == 0, "%s", reason);
    return mosaic;
}

/* ---- one picture --------------------------------------------------------------------------- */

static const struct {
    uint32_t width, height;
    struct mosaic_size box;
    struct mosaic_size want;
} sizes[] = {
    {1280, 720, {640, 360}, {640, 360}},    {1280, 720, {640, 640}, {640, 360}},
    {641, 481, {320, 240}, {318, 240}},     {640, 480, {426, 240}, {320, 240}},
    {1920, 1080, {1280, 720}, {1280, 720}}, {640, 480, {600, 4096}, {600, 450}},
    {480, 640, {480, 480}, {360, 480}},
};

static void check_scaled(uint32_t fourcc, unsigned i, uint32_t flags)
{
    struct kit_frame kit = kit_frame_make(fourcc, sizes[i].width, sizes[i].height, flags, 0);
    struct mosaic mosaic = mosaic_of(&kit.frame, kit.bytes, NULL);
    struct picture picture;

    scaler_begin(scaler);
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, sizes[i].box, &picture), 0);
    ck_assert_uint_eq(picture.width, sizes[i].want.width);
    ck_assert_uint_eq(picture.height, sizes[i].want.height);
    struct kit_image image = image_of(&picture);
    struct ring_frame smaller = kit.frame;
    smaller.width = picture.width;
    smaller.height = picture.height;
    /* The scene is one of fractions of its sides, so smaller it is the same scene. */
    double psnr = kit_plane_psnr(&image, &smaller, 0).planes[0];
    ck_assert_msg(psnr >= 26, "%s, size %u, flags %u: %.1f dB", pixel_name(fourcc), i, flags, psnr);
    if (fourcc != PIXEL_GREY)
        ck_assert_msg(kit_patch_error(&image) <= 3, "%s, size %u: a patch is off by %d",
                      pixel_name(fourcc), i, kit_patch_error(&image));
    free(image.pixels);
    kit_frame_free(&kit);
}

START_TEST(every_layout_is_made_smaller_in_shape_and_colour)
{
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_scaled(kit_layouts[_i], i, 0);
        if (kit_layouts[_i] != PIXEL_NV12 || sizes[i].height % 2 == 0)
            check_scaled(kit_layouts[_i], i, RING_FRAME_BOTTOM_UP);
    }
}
END_TEST

START_TEST(a_size_is_made_once_per_frame)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 640, 480, 0, 0);
    struct mosaic mosaic = mosaic_of(&kit.frame, kit.bytes, NULL);
    struct mosaic_size half = {320, 240};
    struct mosaic_size third = {212, 160};
    struct picture first, other, again;

    scaler_begin(scaler);
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, half, &first), 0);
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, third, &other), 0);
    *(uint8_t *)first.top = 77; /* a mark that a second making would wipe out */
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, half, &again), 0);
    ck_assert_ptr_eq(again.top, first.top);
    ck_assert_ptr_ne(again.top, other.top);
    ck_assert_uint_eq(*again.top, 77);
    scaler_begin(scaler);
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, half, &again), 0);
    ck_assert_uint_ne(*again.top, 77);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(what_fits_is_left_where_it_lies)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 321, 243, RING_FRAME_BOTTOM_UP, 0);
    struct mosaic mosaic = mosaic_of(&kit.frame, kit.bytes, NULL);
    struct picture picture;

    scaler_begin(scaler);
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, (struct mosaic_size){0, 0}, &picture), 1);
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, (struct mosaic_size){640, 480}, &picture), 1);
    ck_assert_ptr_eq(picture.top, kit.bytes + (size_t)242 * kit.frame.stride_bytes);
    ck_assert_uint_eq(picture.fourcc, PIXEL_RGB24);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(more_sizes_than_there_are_places_one_after_the_other)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 640, 480, 0, 0);
    struct mosaic mosaic = mosaic_of(&kit.frame, kit.bytes, NULL);
    struct picture picture;

    for (uint32_t side = 16; side < 400; side += 8) {
        scaler_begin(scaler);
        ck_assert_int_eq(
            scaler_fit(scaler, &mosaic, (struct mosaic_size){side * 4 / 3, side}, &picture), 0);
        struct kit_image image = image_of(&picture);
        free(image.pixels);
    }
    kit_frame_free(&kit);
}
END_TEST

START_TEST(what_shows_nothing_is_refused)
{
    struct kit_frame kit = kit_frame_make(PIXEL_DEPTH, 640, 480, 0, 0);
    struct mosaic mosaic = mosaic_of(&kit.frame, kit.bytes, NULL);
    struct mosaic_size half = {320, 240};
    struct picture picture;

    scaler_begin(scaler);
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, half, &picture), -EPROTONOSUPPORT);
    mosaic.first.fourcc = PIXEL_RGB24;
    mosaic.first.memory = RING_MEMORY_CUDA;
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, half, &picture), -EPROTONOSUPPORT);
    kit_frame_free(&kit);
}
END_TEST

/* ---- grids --------------------------------------------------------------------------------- */

static const struct {
    unsigned count;
    struct mosaic_size tile;
    struct mosaic_size box;
    struct mosaic_grid want;
} grids[] = {
    {1, {640, 480}, {0, 0}, {1, 1, {640, 480}}},
    {4, {320, 240}, {0, 0}, {2, 2, {320, 240}}},
    {5, {64, 48}, {0, 0}, {3, 2, {64, 48}}},
    {64, {640, 480}, {0, 0}, {10, 7, {192, 144}}},
    {7, {320, 240}, {640, 480}, {3, 3, {212, 160}}},
    {2, {1280, 720}, {1280, 720}, {1, 2, {640, 360}}},
    {3, {100, 1000}, {300, 1000}, {3, 1, {100, 1000}}},
    {1024, {64, 64}, {64, 64}, {32, 32, {2, 2}}},
};

START_TEST(tiles_are_placed_to_be_as_large_as_can_be)
{
    struct mosaic mosaic = {
        .count = grids[_i].count,
        .first = {.width = grids[_i].tile.width, .height = grids[_i].tile.height}};
    struct mosaic_grid grid = mosaic_grid(&mosaic, grids[_i].box);

    ck_assert_uint_eq(grid.columns, grids[_i].want.columns);
    ck_assert_uint_eq(grid.rows, grids[_i].want.rows);
    ck_assert_uint_eq(grid.tile.width, grids[_i].want.tile.width);
    ck_assert_uint_eq(grid.tile.height, grids[_i].want.tile.height);
}
END_TEST

/* Five kit frames below each other, each with another phase; rows as `flags` says. */
static struct kit_frame make_batch(uint32_t fourcc, uint32_t flags)
{
    enum { WIDTH = 384, HEIGHT = 128, COUNT = 5 };
    struct kit_frame batch = kit_frame_make(fourcc, WIDTH, HEIGHT * COUNT, flags, 0);
    size_t stride = batch.frame.stride_bytes;

    mprotect(batch.bytes, batch.mapped_bytes, PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < COUNT; i++) {
        struct kit_frame one = kit_frame_make(fourcc, WIDTH, HEIGHT, flags, 20 * i);
        unsigned at = flags & RING_FRAME_BOTTOM_UP ? COUNT - 1 - i : i; /* in memory */
        memcpy(batch.bytes + at * HEIGHT * stride, one.bytes, HEIGHT * stride);
        if (fourcc == PIXEL_NV12)
            memcpy(batch.bytes + ((size_t)COUNT * HEIGHT + at * HEIGHT / 2) * stride,
                   one.bytes + HEIGHT * stride, HEIGHT / 2 * stride);
        kit_frame_free(&one);
    }
    return batch;
}

/* The part of the image that shows tile `i`. */
static struct kit_image cut(const struct kit_image *whole, const struct mosaic_grid *grid,
                            unsigned i)
{
    struct kit_image part = kit_image_make(grid->tile.width, grid->tile.height);
    uint32_t x = i % grid->columns * grid->tile.width;
    uint32_t y = i / grid->columns * grid->tile.height;

    for (uint32_t row = 0; row < part.height; row++)
        memcpy(part.pixels + (size_t)row * part.width,
               whole->pixels + (size_t)(y + row) * whole->width + x,
               part.width * sizeof(*part.pixels));
    return part;
}

static void check_batch(uint32_t fourcc, uint32_t flags, struct mosaic_size box)
{
    struct frame_batch header = {.magic = FRAME_BATCH_MAGIC, .count = 5};
    struct kit_frame batch = make_batch(fourcc, flags);
    struct picture picture;

    batch.frame.user_bytes = sizeof(header);
    struct mosaic mosaic = mosaic_of(&batch.frame, batch.bytes, &header);
    struct mosaic_grid grid = mosaic_grid(&mosaic, box);
    scaler_begin(scaler);
    ck_assert_int_eq(scaler_fit(scaler, &mosaic, box, &picture), 0);
    struct kit_image image = image_of(&picture);
    for (unsigned i = 0; i < 5; i++) {
        struct kit_image part = cut(&image, &grid, i);
        struct ring_frame one = {.fourcc = fourcc, .width = part.width, .height = part.height};
        double right = kit_plane_psnr(&part, &one, 20 * i * part.width / 384).planes[0];
        double wrong = kit_plane_psnr(&part, &one, 20 * (i + 1) * part.width / 384).planes[0];
        ck_assert_msg(right >= 25 && right > wrong + 3,
                      "%s, flags %u: tile %u is like its own scene by %.1f dB and like the next by "
                      "%.1f",
                      pixel_name(fourcc), flags, i, right, wrong);
        if (fourcc != PIXEL_GREY)
            ck_assert_int_le(kit_patch_error(&part), 3);
        free(part.pixels);
    }
    struct kit_image empty = cut(&image, &grid, 5);
    for (uint32_t i = 0; i < empty.width * empty.height; i++)
        ck_assert_uint_eq(empty.pixels[i].r + empty.pixels[i].g + empty.pixels[i].b, 0);
    free(empty.pixels);
    free(image.pixels);
    kit_frame_free(&batch);
}

START_TEST(each_tile_shows_its_own_environment)
{
    static const uint32_t orders[] = {0, RING_FRAME_BOTTOM_UP};

    for (unsigned i = 0; i < 2; i++) {
        check_batch(kit_layouts[_i], orders[i], (struct mosaic_size){0, 0});
        check_batch(kit_layouts[_i], orders[i], (struct mosaic_size){576, 400});
    }
}
END_TEST

START_TEST(a_batch_that_lies_is_refused_and_says_why)
{
    struct kit_frame kit = kit_frame_make(PIXEL_NV12, 64, 90, 0, 0);
    struct frame_batch header = {.magic = FRAME_BATCH_MAGIC};
    struct ring_view view = {.payload = kit.bytes, .user = &header, .frame = kit.frame};
    static const uint32_t counts[] = {0, 4, 1025, UINT32_MAX, 2, 90};
    struct mosaic mosaic;

    view.frame.user_bytes = sizeof(header);
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const char *reason = NULL;
        header.count = counts[i];
        ck_assert_int_lt(mosaic_from_view(&view, &mosaic, &reason), 0);
        ck_assert_ptr_nonnull(reason);
    }
    header.count = 5; /* 18 rows each */
    const char *reason = NULL;
    ck_assert_int_eq(mosaic_from_view(&view, &mosaic, &reason), 0);
    view.frame.payload_bytes--;
    ck_assert_int_eq(mosaic_from_view(&view, &mosaic, &reason), -EPROTO);
    view.frame.payload_bytes++;
    header.magic++; /* metadata of another kind: one picture */
    ck_assert_int_eq(mosaic_from_view(&view, &mosaic, &reason), 0);
    ck_assert_uint_eq(mosaic.count, 1);
    kit_frame_free(&kit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scale");
    TCase *cases = tcase_create("scale");

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, every_layout_is_made_smaller_in_shape_and_colour, 0, KIT_LAYOUTS);
    tcase_add_test(cases, a_size_is_made_once_per_frame);
    tcase_add_test(cases, what_fits_is_left_where_it_lies);
    tcase_add_test(cases, more_sizes_than_there_are_places_one_after_the_other);
    tcase_add_test(cases, what_shows_nothing_is_refused);
    tcase_add_loop_test(cases, tiles_are_placed_to_be_as_large_as_can_be, 0,
                        sizeof(grids) / sizeof(grids[0]));
    tcase_add_loop_test(cases, each_tile_shows_its_own_environment, 0, KIT_LAYOUTS);
    tcase_add_test(cases, a_batch_that_lies_is_refused_and_says_why);
    tcase_set_timeout(cases, 60);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
