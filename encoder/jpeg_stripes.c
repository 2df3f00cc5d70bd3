/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JPEG back end. A large picture is cut into stripes of whole block rows; the camera's thread
 * codes the first one where the packet lies, helpers code the others into memory of their own, and
 * the parts are joined with restart markers between them: the same bytes as from one thread with
 * that restart interval. Helpers sleep on a condition between pictures. Unless the number of
 * threads was given, as many take part as find an idle core when the picture comes; whoever is done
 * takes the next stripe that nobody has. With no core idle the picture is coded in one piece.
 *
 * If a stripe fails or had to be coded worse, the whole picture is coded again on the camera's
 * thread, as every picture of one stripe is. Without helpers (pthread_create failed) there is one.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encoder/idle_cores.h"
#include "encoder/jpeg.h"

#define STRIPES_MAX CODEC_JPEG_THREADS_MAX
#define STRIPE_PIXELS 750000 /* below, waking a thread and joining cost more than they save */
#define ROW_OF_BLOCKS 16U    /* pixels */
#define MARKER_BYTES 2U
#define MARKER_SOF0 0xC0
#define MARKER_RST0 0xD0
#define MARKER_SOS 0xDA
#define RESTART_BLOCKS_MAX 65535U

struct stripe {
    struct jpeg_serial *jpeg; /* of whoever codes this stripe now */
    struct codec_packet packet;
    int rc;
};

struct helper {
    struct codec *codec;
    unsigned number; /* 1 for the first: the camera's thread is 0 */
    unsigned pictures_seen;
    pthread_t thread;
};

struct codec {
    struct jpeg_serial *whole; /* codes the picture alone */
    uint32_t height;
    uint32_t stripe_rows;
    unsigned stripe_count; /* 1: no helpers, and no stripe has a codec */
    struct stripe stripes[STRIPES_MAX];
    struct helper helpers[STRIPES_MAX]; /* one less than there are stripes; [0] is unused */
    bool only_idle;                     /* take idle cores only */
    struct idle_cores idle;

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    unsigned pictures;    /* given to the helpers so far */
    unsigned threads;     /* that take part in this one, the camera's included */
    unsigned next_stripe; /* that nobody has */
    unsigned stripes_done;
    bool over;
};

/* Codes stripes for as long as there are any. The mutex is held, but not while one is coded. */
static void take_stripes(struct codec *codec)
{
    while (codec->next_stripe < codec->stripe_count) {
        struct stripe *stripe = &codec->stripes[codec->next_stripe++];
        pthread_mutex_unlock(&codec->mutex);
        int rc = jpeg_serial_encode(stripe->jpeg, &stripe->packet);
        pthread_mutex_lock(&codec->mutex);
        stripe->rc = rc;
        codec->stripes_done++;
    }
}

static void *work(void *context)
{
    struct helper *helper = context;
    struct codec *codec = helper->codec;

    pthread_mutex_lock(&codec->mutex);
    for (;;) {
        while (!codec->over && (helper->pictures_seen == codec->pictures))
            pthread_cond_wait(&codec->changed, &codec->mutex);
        if (codec->over)
            break;
        helper->pictures_seen = codec->pictures;
        if (helper->number >= codec->threads)
            continue;
        take_stripes(codec);
        pthread_cond_broadcast(&codec->changed);
    }
    pthread_mutex_unlock(&codec->mutex);
    return NULL;
}

/* ---- open and close ------------------------------------------------------------------------ */

static unsigned count_stripes(const struct codec_config *config)
{
    uint32_t width = config->settings.width;
    uint32_t rows = (config->settings.height + ROW_OF_BLOCKS - 1) / ROW_OF_BLOCKS;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t count = config->jpeg_threads;

    if (count == 0) {
        count = (uint64_t)width * config->settings.height / STRIPE_PIXELS;
        count = cores > 0 && count > (uint64_t)cores ? (uint64_t)cores : count;
    }
    if (count > STRIPES_MAX)
        count = STRIPES_MAX;
    if (count > rows)
        count = rows;
    return count > 1 ? (unsigned)count : 1;
}

/* Grey has blocks of eight pixels: the most that a restart interval may have to count. */
static bool interval_fits(uint32_t width, uint32_t rows)
{
    return ((uint64_t)width + 7) / 8 * (rows / 8) <= RESTART_BLOCKS_MAX;
}

static void end_threads(struct codec *codec)
{
    pthread_mutex_lock(&codec->mutex);
    codec->over = true;
    pthread_cond_broadcast(&codec->changed);
    pthread_mutex_unlock(&codec->mutex);
    for (unsigned i = 1; i < codec->stripe_count; i++)
        pthread_join(codec->helpers[i].thread, NULL);
}

/* Signals are the main thread's. */
static int start_helper(struct codec *codec, unsigned number)
{
    struct helper *helper = &codec->helpers[number];
    sigset_t all;
    sigset_t before;

    *helper = (struct helper){.codec = codec, .number = number};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&helper->thread, NULL, work, helper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

static int open_stripe(struct codec *codec, unsigned i, const struct codec_config *config)
{
    struct stripe *stripe = &codec->stripes[i];
    struct codec_config own = *config;
    uint32_t begin = i * codec->stripe_rows;

    own.settings.height =
        codec->height - begin < codec->stripe_rows ? codec->height - begin : codec->stripe_rows;
    int rc = jpeg_serial_open(&own, codec->stripe_rows, &stripe->jpeg);
    if (rc < 0 || i == 0)
        return rc;
    stripe->packet.bytes_max = config->packet_bytes_max;
    stripe->packet.bytes = malloc(config->packet_bytes_max);
    return stripe->packet.bytes ? start_helper(codec, i) : -ENOMEM;
}

static void free_stripe(struct stripe *stripe, unsigned i)
{
    jpeg_serial_close(stripe->jpeg);
    if (i > 0)
        free(stripe->packet.bytes);
    *stripe = (struct stripe){0};
}

/* Gives up at the first that fails: then the picture is coded whole. */
static void open_stripes(struct codec *codec, const struct codec_config *config)
{
    unsigned wanted = count_stripes(config);
    uint32_t rows = (codec->height + wanted - 1) / wanted;

    codec->stripe_count = 1;
    codec->stripe_rows = (rows + ROW_OF_BLOCKS - 1) / ROW_OF_BLOCKS * ROW_OF_BLOCKS;
    wanted = (codec->height + codec->stripe_rows - 1) / codec->stripe_rows; /* rounded: fewer */
    if (wanted < 2 || !interval_fits(config->settings.width, codec->stripe_rows))
        return;
    for (unsigned i = 0; i < wanted; i++) {
        if (open_stripe(codec, i, config) < 0) {
            end_threads(codec);
            for (unsigned j = 0; j <= i; j++)
                free_stripe(&codec->stripes[j], j);
            codec->stripe_count = 1;
            return;
        }
        codec->stripe_count = i + 1;
    }
}

static void close_jpeg(struct codec *codec)
{
    if (!codec)
        return;
    end_threads(codec);
    for (unsigned i = 0; i < codec->stripe_count; i++)
        free_stripe(&codec->stripes[i], i);
    jpeg_serial_close(codec->whole);
    idle_cores_close(&codec->idle);
    pthread_cond_destroy(&codec->changed);
    pthread_mutex_destroy(&codec->mutex);
    free(codec);
}

static int open_jpeg(const struct codec_config *config, struct codec **ret_codec)
{
    struct codec *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return -ENOMEM;
    codec->height = config->settings.height;
    codec->only_idle = config->jpeg_threads == 0;
    idle_cores_open(&codec->idle, IDLE_CORES_FILE);
    pthread_mutex_init(&codec->mutex, NULL);
    pthread_cond_init(&codec->changed, NULL);
    int rc = jpeg_serial_open(config, 0, &codec->whole);
    if (rc < 0) {
        close_jpeg(codec);
        return rc;
    }
    open_stripes(codec, config);
    *ret_codec = codec;
    return 0;
}

/* ---- joining ------------------------------------------------------------------------------- */

/* The first marker of that kind before the coded data; they are ours, so it is there. */
static size_t find_marker(const uint8_t *bytes, size_t size_bytes, uint8_t marker)
{
    size_t at = MARKER_BYTES; /* after SOI */

    while (at + 4 < size_bytes && bytes[at + 1] != marker)
        at += MARKER_BYTES + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
    return at;
}

/* Where the coded data begins: after the header of the scan. */
static size_t find_data(const struct codec_packet *packet)
{
    size_t at = find_marker(packet->bytes, packet->size_bytes, MARKER_SOS);

    return at + MARKER_BYTES + (size_t)(packet->bytes[at + 2] << 8 | packet->bytes[at + 3]);
}

/* Appends the stripes to the first one. False: no room. */
static bool join(const struct codec *codec, struct codec_packet *packet)
{
    uint8_t *frame_header =
        packet->bytes + find_marker(packet->bytes, packet->size_bytes, MARKER_SOF0);

    frame_header[5] = (uint8_t)(codec->height >> 8);
    frame_header[6] = (uint8_t)codec->height;
    for (unsigned i = 1; i < codec->stripe_count; i++) {
        const struct codec_packet *part = &codec->stripes[i].packet;
        size_t data = find_data(part);
        if (part->size_bytes - data > packet->bytes_max - packet->size_bytes)
            return false;
        /* The restart marker takes the place of the end marker, which comes with the part. */
        packet->bytes[packet->size_bytes - 1] = (uint8_t)(MARKER_RST0 + (i - 1) % 8);
        memcpy(packet->bytes + packet->size_bytes, part->bytes + data, part->size_bytes - data);
        packet->size_bytes += part->size_bytes - data;
    }
    return true;
}

/* ---- coding -------------------------------------------------------------------------------- */

/* How many threads are to share this picture. */
static unsigned threads_now(const struct codec *codec)
{
    if (codec->stripe_count < 2 || !codec->only_idle)
        return codec->stripe_count;
    unsigned threads = 1 + idle_cores_count(&codec->idle);
    return threads < codec->stripe_count ? threads : codec->stripe_count;
}

/* Whether all stripes came out as asked. */
static bool code_stripes(struct codec *codec, unsigned threads)
{
    bool fine = true;

    pthread_mutex_lock(&codec->mutex);
    codec->pictures++;
    codec->threads = threads;
    codec->next_stripe = 0;
    codec->stripes_done = 0;
    pthread_cond_broadcast(&codec->changed);
    take_stripes(codec);
    while (codec->stripes_done < codec->stripe_count)
        pthread_cond_wait(&codec->changed, &codec->mutex);
    pthread_mutex_unlock(&codec->mutex);
    for (unsigned i = 0; i < codec->stripe_count; i++)
        fine = fine && codec->stripes[i].rc == 0 && !codec->stripes[i].packet.degraded;
    return fine;
}

static bool encode_stripes(struct codec *codec, unsigned threads, struct codec_packet *packet)
{
    struct stripe *first = &codec->stripes[0];

    first->packet = (struct codec_packet){.bytes = packet->bytes, .bytes_max = packet->bytes_max};
    if (!code_stripes(codec, threads))
        return false;
    packet->size_bytes = first->packet.size_bytes;
    packet->keyframe = true;
    packet->degraded = false;
    return join(codec, packet);
}

static int encode_jpeg(struct codec *codec, bool keyframe, struct codec_packet *packet)
{
    unsigned threads = threads_now(codec);

    (void)keyframe; /* every JPEG is one */
    if (threads > 1 && encode_stripes(codec, threads, packet))
        return 0;
    return jpeg_serial_encode(codec->whole, packet);
}

static bool has_preset_jpeg(const char *preset)
{
    (void)preset;
    return true; /* JPEG has none; whatever H.264 uses does not matter here */
}

static bool adapt_jpeg(struct codec *codec, const struct stream_settings *settings)
{
    if (!jpeg_serial_adapt(codec->whole, settings))
        return false;
    for (unsigned i = 0; i < codec->stripe_count && codec->stripe_count > 1; i++)
        jpeg_serial_quality(codec->stripes[i].jpeg, settings->jpeg_quality);
    return true;
}

static int load_jpeg(struct codec *codec, const struct picture *picture)
{
    int rc = jpeg_serial_load(codec->whole, picture);

    for (unsigned i = 0; i < codec->stripe_count && codec->stripe_count > 1 && rc == 0; i++) {
        ptrdiff_t begin = (ptrdiff_t)i * (ptrdiff_t)codec->stripe_rows;
        struct picture part = *picture;
        part.top += begin * part.stride_bytes;
        if (part.chroma_top)
            part.chroma_top += begin / 2 * part.chroma_stride_bytes;
        rc = jpeg_serial_load(codec->stripes[i].jpeg, &part);
    }
    return rc;
}

const struct codec_backend codec_jpeg = {
    .name = "libjpeg",
    .codec = VIDEO_CODEC_JPEG,
    .borrows_picture = true,
    .has_preset = has_preset_jpeg,
    .open = open_jpeg,
    .adapt = adapt_jpeg,
    .load = load_jpeg,
    .encode = encode_jpeg,
    .close = close_jpeg,
};
