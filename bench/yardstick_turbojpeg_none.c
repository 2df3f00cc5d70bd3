/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of yardstick_turbojpeg.c in a build that did not find TurboJPEG. */
#include <errno.h>

#include "bench/encode_yardsticks.h"

const char *yardstick_turbojpeg_missing(void)
{
    return "built without TurboJPEG; install libturbojpeg0-dev, then configure and build again";
}

struct yardstick_turbojpeg *yardstick_turbojpeg_open(void)
{
    return NULL;
}

void yardstick_turbojpeg_close(struct yardstick_turbojpeg *turbojpeg)
{
    (void)turbojpeg;
}

int yardstick_turbojpeg_encode(struct yardstick_turbojpeg *turbojpeg, const struct scene *scene,
                               const uint8_t *rgb24, int quality, uint8_t *into)
{
    (void)turbojpeg;
    (void)scene;
    (void)rgb24;
    (void)quality;
    (void)into;
    return -ENODEV;
}
