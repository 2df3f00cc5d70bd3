/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the running codec; on the stage's thread. When an encoder fails to open, takes the next. */
#include "encoder/coder.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

void coder_close(struct coder *coder)
{
    if (coder->backend)
        coder->backend->close(coder->codec);
    coder->backend = NULL;
    coder->codec = NULL;
    coder->wish = (struct stream_settings){0};
}

static int try_open(struct coder *coder, const struct codec_backend *backend)
{
    struct codec_config config = {coder->wish, coder->packet_bytes_max, coder->jpeg_threads};
    int rc = backend->open(&config, &coder->codec);

    if (rc < 0)
        return rc;
    coder->backend = backend;
    log_info("encoding %ux%u as %s with %s", config.settings.width, config.settings.height,
             video_codec_name(backend->codec), backend->name);
    return 0;
}

static int open_h264(struct coder *coder)
{
    if (coder->choice != CODER_X264 && !coder->nvenc_absent) {
        if (try_open(coder, &codec_nvenc) == 0)
            return 0;
        coder->nvenc_absent = true;
        log_info("no NVENC on this machine (%s): H.264 is encoded with libx264",
                 codec_h264_complaint());
    }
    if (try_open(coder, &codec_x264) == 0)
        return 0;
    log_error("libx264 refuses %ux%u with preset \"%s\" (%s): %s", coder->wish.width,
              coder->wish.height, coder->wish.preset, codec_h264_complaint(),
              coder->jpeg_instead ? "sending JPEG instead" : "ask for JPEG or another size");
    return coder->jpeg_instead ? try_open(coder, &codec_jpeg) : -ENODEV;
}

int coder_fulfil(struct coder *coder, const struct stream_settings *wish)
{
    if (memcmp(wish, &coder->wish, sizeof(*wish)) == 0)
        return coder->backend ? CODER_SAME : -ENODEV;
    bool adapted = coder->backend && wish->codec == coder->wish.codec &&
                   coder->backend->adapt(coder->codec, wish);
    if (!adapted)
        coder_close(coder);
    coder->wish = *wish;
    if (adapted)
        return CODER_SAME;
    int rc = wish->codec == VIDEO_CODEC_JPEG ? try_open(coder, &codec_jpeg) : open_h264(coder);
    return rc < 0 ? -ENODEV : CODER_NEW;
}
