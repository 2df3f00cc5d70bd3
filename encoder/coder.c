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

static int try_open(struct coder *coder, const struct codec_backend *backend,
                    const struct picture *like)
{
    struct codec_config config = {
        .settings = coder->wish,
        .packet_bytes_max = coder->packet_bytes_max,
        .jpeg_threads = coder->jpeg_threads,
        .like = like,
        .h264_threads = coder->h264_threads,
        .intra_refresh = coder->intra_refresh,
    };
    int rc = backend->open(&config, &coder->codec);

    if (rc < 0)
        return rc;
    coder->backend = backend;
    coder->h264_threads_now = coder->h264_threads;
    log_info("%s: encoding %ux%u as %s with %s", coder->name, config.settings.width,
             config.settings.height, video_codec_name(backend->codec), backend->name);
    return 0;
}

static int open_h264(struct coder *coder, const struct picture *like)
{
    if (coder->choice != CODER_X264 && !coder->nvenc_absent) {
        if (try_open(coder, &codec_nvenc, like) == 0)
            return 0;
        coder->nvenc_absent = true;
        log_info("%s: no NVENC on this machine (%s): H.264 is encoded with libx264", coder->name,
                 codec_h264_complaint());
    }
    if (try_open(coder, &codec_x264, like) == 0)
        return 0;
    log_error("%s: libx264 refuses %ux%u with preset \"%s\" (%s): %s", coder->name,
              coder->wish.width, coder->wish.height, coder->wish.preset, codec_h264_complaint(),
              coder->jpeg_instead ? "sending JPEG instead" : "ask for JPEG or another size");
    return coder->jpeg_instead ? try_open(coder, &codec_jpeg, like) : -ENODEV;
}

/* Whether the codec that runs shares its pictures among as many threads as it should now. */
static bool same_threads(const struct coder *coder)
{
    return coder->backend != &codec_x264 || coder->h264_threads == coder->h264_threads_now;
}

int coder_fulfil(struct coder *coder, const struct stream_settings *wish,
                 const struct picture *like)
{
    if (memcmp(wish, &coder->wish, sizeof(*wish)) == 0 && same_threads(coder))
        return coder->backend ? CODER_SAME : -ENODEV;
    bool adapted = coder->backend && wish->codec == coder->wish.codec && same_threads(coder) &&
                   coder->backend->adapt(coder->codec, wish);
    if (!adapted)
        coder_close(coder);
    coder->wish = *wish;
    if (adapted)
        return CODER_SAME;
    int rc = wish->codec == VIDEO_CODEC_JPEG ? try_open(coder, &codec_jpeg, like)
                                             : open_h264(coder, like);
    return rc < 0 ? -ENODEV : CODER_NEW;
}
