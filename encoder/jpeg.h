/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG in two layers: jpeg.c codes a picture on the calling thread; jpeg_stripes.c cuts a large
 * one into stripes, has one such codec for each, and is the back end codec_jpeg.
 *
 * Thread: one per codec.
 */
#ifndef SIMCAST_ENCODER_JPEG_H
#define SIMCAST_ENCODER_JPEG_H

#include "encoder/codec.h"

struct jpeg_serial;

/*
 * The back end's functions for one thread. `restart_rows`: a restart marker after every so many
 * rows of pixels, a multiple of 16; 0: none. Errors of open: -ENOMEM.
 */
int jpeg_serial_open(const struct codec_config *config, uint32_t restart_rows,
                     struct jpeg_serial **ret_codec);
bool jpeg_serial_adapt(struct jpeg_serial *codec, const struct stream_settings *settings);
void jpeg_serial_quality(struct jpeg_serial *codec, uint32_t quality);
int jpeg_serial_load(struct jpeg_serial *codec, const struct picture *picture);
int jpeg_serial_encode(struct jpeg_serial *codec, struct codec_packet *packet);
void jpeg_serial_close(struct jpeg_serial *codec);

#endif
