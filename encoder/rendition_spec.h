/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rendition of a camera is, as people write it: NAME=CODEC[,WIDTHxHEIGHT][,OPTION...], for
 * example "preview=jpeg,640x360,quality=60,fps=15".
 *
 * Thread: any. Cost: reads a string.
 */
#ifndef SIMCAST_ENCODER_RENDITION_SPEC_H
#define SIMCAST_ENCODER_RENDITION_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/settings.h"
#include "proto/video.h"

#define RENDITION_NAME_BYTES 16
#define RENDITION_REASON_BYTES 160
#define BITRATE_ALLOWED "0.05 to 200 (Mbit/s)"
#define RENDITIONS_MAX 8 /* of one camera, the default rendition included */

struct rendition_spec {
    char name[RENDITION_NAME_BYTES]; /* letters, digits, '-', '_'; "": the default rendition */
    /*
     * codec 0: there is no such rendition. Elsewhere 0: as the default rendition's. width and
     * height: a box that the picture is made to fit, keeping its shape and never enlarged; 0:
     * full size.
     */
    struct stream_settings settings;
};

/*
 * Reads NAME=CODEC[,WIDTHxHEIGHT][,quality=1..100][,bitrate=MBIT][,fps=1..240][,preset=NAME],
 * CODEC one of h264, hevc, jpeg, none. Whether the preset exists is for the caller to ask. Errors:
 * -EINVAL, with what is wrong and what is allowed in ret_reason.
 */
int rendition_spec_parse(const char *text, struct rendition_spec *ret_spec,
                         char ret_reason[RENDITION_REASON_BYTES]);

/* Reads BITRATE_ALLOWED, Mbit/s with a fraction. False, with nothing stored: it is no such. */
bool bitrate_parse(const char *text, uint32_t *ret_bps);

#endif
