/* SPDX-License-Identifier: Apache-2.0 */
/* FFmpeg's converter; owns one context. */
#include <libswscale/swscale.h>

#include "bench/encode_yardsticks.h"

struct yardstick_swscale {
    struct SwsContext *context;
    int width;
    int height;
};

static struct yardstick_swscale only; /* one is open at a time */

const char *yardstick_swscale_missing(void)
{
    return NULL;
}

struct yardstick_swscale *yardstick_swscale_open(const struct scene *scene)
{
    int width = (int)scene->width;
    int height = (int)scene->height;

    only = (struct yardstick_swscale){NULL, width, height};
    only.context = sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height,
                                  AV_PIX_FMT_YUV420P, SWS_FAST_BILINEAR, NULL, NULL, NULL);
    return only.context ? &only : NULL;
}

void yardstick_swscale_close(struct yardstick_swscale *swscale)
{
    if (swscale)
        sws_freeContext(swscale->context);
}

void yardstick_swscale_convert(struct yardstick_swscale *swscale, const uint8_t *rgb24,
                               uint8_t *i420)
{
    int stride = 3 * swscale->width;
    const uint8_t *from[] = {rgb24 + (ptrdiff_t)stride * (swscale->height - 1), NULL, NULL, NULL};
    int from_strides[] = {-stride, 0, 0, 0};
    ptrdiff_t luma = (ptrdiff_t)swscale->width * swscale->height;
    uint8_t *into[] = {i420, i420 + luma, i420 + luma + luma / 4, NULL};
    int into_strides[] = {swscale->width, swscale->width / 2, swscale->width / 2, 0};

    sws_scale(swscale->context, from, from_strides, 0, swscale->height, into, into_strides);
}
