/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of yardstick_gst.c in a build that did not find GStreamer. */
#include "bench/yardsticks.h"

const struct courier courier_gst = {0};

const char *yardstick_gst_missing(void)
{
    return "built without GStreamer; install libgstreamer1.0-dev and "
           "libgstreamer-plugins-base1.0-dev, then configure and build again";
}
