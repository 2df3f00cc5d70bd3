/* SPDX-License-Identifier: Apache-2.0 */
/* libjpeg-turbo by its own short interface; owns one compressor. */
#include <errno.h>

#include <turbojpeg.h>

#include "bench/encode_yardsticks.h"

/* The library's handle is a void pointer: ours is that, under a name. */

const char *yardstick_turbojpeg_missing(void)
{
    return NULL;
}

struct yardstick_turbojpeg *yardstick_turbojpeg_open(void)
{
    return (struct yardstick_turbojpeg *)tjInitCompress();
}

void yardstick_turbojpeg_close(struct yardstick_turbojpeg *turbojpeg)
{
    if (turbojpeg)
        tjDestroy(turbojpeg);
}

int yardstick_turbojpeg_encode(struct yardstick_turbojpeg *turbojpeg, const struct scene *scene,
                               const uint8_t *rgb24, int quality, uint8_t *into)
{
    unsigned long bytes = tjBufSize((int)scene->width, (int)scene->height, TJSAMP_420);

    return tjCompress2(turbojpeg, rgb24, (int)scene->width, 0, (int)scene->height, TJPF_RGB, &into,
                       &bytes, TJSAMP_420, quality, TJFLAG_NOREALLOC | TJFLAG_BOTTOMUP) < 0
               ? -EIO
               : 0;
}
