/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of yardstick_swscale.c in a build that did not find libswscale. */
#include "bench/encode_yardsticks.h"

const char *yardstick_swscale_missing(void)
{
    return "built without libswscale; install libswscale-dev, then configure and build again";
}

struct yardstick_swscale *yardstick_swscale_open(const struct scene *scene)
{
    (void)scene;
    return NULL;
}

void yardstick_swscale_close(struct yardstick_swscale *swscale)
{
    (void)swscale;
}

void yardstick_swscale_convert(struct yardstick_swscale *swscale, const uint8_t *rgb24,
                               uint8_t *i420)
{
    (void)swscale;
    (void)rgb24;
    (void)i420;
}
