/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ffmpeg between two pipes. Owns the program and both pipes for one stream. Pictures are written
 * as the pipe takes them while the output is read, by one poll loop. An access unit is known by
 * its delimiter (NAL type 9), which x264 is told to write. ffmpeg 5.1 gives a picture out when it
 * has read the next one, whatever it is told; that period is in its latency. The pictures stay
 * upside down, as they are in memory: turning them would cost ffmpeg more.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/encode_yardsticks.h"
#include "bench/program.h"

#define FFMPEG "/usr/bin/ffmpeg"
#define PIPE_BYTES (1 << 20) /* the most that an ordinary user gets: in ffmpeg's favour */
#define STUCK_NS (20 * NS_PER_S)
#define END_MS 5000
#define HELD_BACK_MAX 4 /* pictures that ffmpeg gives out only when later ones came */

struct session {
    const struct scene *scene;
    struct yardstick_stream *stream;
    struct peer program;
    int into; /* pipes, non-blocking */
    int from;
    int64_t *began_ns; /* by picture: when it was at hand */
    unsigned written;  /* pictures, the one in work included */
    unsigned units;    /* access units that came */
    size_t left_bytes; /* of the picture in work */
    uint32_t window;   /* the last four bytes of the output */
    int64_t due_ns;
    int64_t began_cpu_ns;
};

const char *yardstick_ffmpeg_missing(void)
{
    return access(FFMPEG, X_OK) == 0 ? NULL : "ffmpeg is missing; install the package ffmpeg";
}

static int start(struct session *session)
{
    const char *const argv[] = {
        FFMPEG,        "-hide_banner", "-loglevel",   "fatal",
        "-nostdin",    "-fflags",      "nobuffer",    "-probesize",
        "32",          "-f",           "rawvideo",    "-pix_fmt",
        "rgb24",       "-video_size",  "1280x720",    "-framerate",
        "60",          "-i",           "pipe:0",      "-c:v",
        "libx264",     "-preset",      "ultrafast",   "-tune",
        "zerolatency", "-pix_fmt",     "yuv420p",     "-g",
        "1000000",     "-b:v",         "4M",          "-maxrate",
        "4M",          "-bufsize",     "266k",        "-x264-params",
        "aud=1",       "-fps_mode",    "passthrough", "-flush_packets",
        "1",           "-f",           "h264",        "pipe:1",
        NULL,
    };
    int input[2];
    int output[2];

    if (pipe2(input, O_CLOEXEC) < 0)
        return -errno;
    session->into = input[1];
    if (pipe2(output, O_CLOEXEC) < 0) {
        close(input[0]);
        return -errno;
    }
    session->from = output[0];
    fcntl(session->into, F_SETPIPE_SZ, PIPE_BYTES);
    int error = program_start(&session->program, argv, (struct program_pipes){input[0], output[1]});
    close(input[0]);
    close(output[1]);
    fcntl(session->into, F_SETFL, O_NONBLOCK);
    fcntl(session->from, F_SETFL, O_NONBLOCK);
    return error;
}

static void begin_picture(struct session *session)
{
    int64_t now_ns = clock_now_ns();
    unsigned all = session->stream->warm_up + session->stream->pictures + HELD_BACK_MAX;

    if (session->left_bytes > 0 || session->written == all || now_ns < session->due_ns)
        return;
    if (session->written == session->stream->warm_up)
        session->began_cpu_ns = program_cpu_ns(&session->program);
    session->began_ns[session->written++] = now_ns;
    session->left_bytes = session->scene->picture_pixels * 3;
    session->due_ns += NS_PER_S / session->stream->fps;
}

static int write_some(struct session *session)
{
    size_t bytes = session->scene->picture_pixels * 3;
    const uint8_t *picture = scene_rgb24(session->scene, session->written);
    ssize_t wrote =
        write(session->into, picture + (bytes - session->left_bytes), session->left_bytes);

    if (wrote > 0)
        session->left_bytes -= (size_t)wrote;
    return wrote < 0 && errno != EAGAIN ? -errno : 0;
}

/* The unit's first byte is taken for its last. */
static void see_unit(struct session *session, int64_t now_ns)
{
    unsigned n = session->units++;

    if (n < session->written && n >= session->stream->warm_up)
        histogram_record(&session->stream->latency, now_ns - session->began_ns[n]);
}

static int read_some(struct session *session)
{
    uint8_t bytes[65536];
    ssize_t got = read(session->from, bytes, sizeof(bytes));
    int64_t now_ns = clock_now_ns();

    if (got == 0)
        return -EPIPE;
    for (ssize_t i = 0; i < got; i++) {
        session->window = session->window << 8 | bytes[i];
        if ((session->window & 0xffffff1f) == 0x00000109) /* 0, 0, 1 and a delimiter */
            see_unit(session, now_ns);
    }
    return got < 0 && errno != EAGAIN ? -errno : 0;
}

static int step(struct session *session)
{
    struct pollfd fds[] = {{.fd = session->from, .events = POLLIN},
                           {.fd = session->into, .events = POLLOUT}};
    int64_t wait_ns = session->due_ns - clock_now_ns();
    struct timespec wait = {.tv_nsec = wait_ns > 0 ? wait_ns : 0};
    int error = 0;

    begin_picture(session);
    if (session->left_bytes > 0 || wait_ns <= 0)
        wait.tv_nsec = 100 * NS_PER_MS;
    ppoll(fds, session->left_bytes > 0 ? 2 : 1, &wait, NULL);
    if (fds[0].revents)
        error = read_some(session);
    if (error == 0 && fds[1].revents && session->left_bytes > 0)
        error = write_some(session);
    return error;
}

static int run(struct session *session)
{
    unsigned all = session->stream->warm_up + session->stream->pictures;
    int64_t give_up_ns = clock_now_ns() + STUCK_NS;
    int error = 0;

    session->due_ns = clock_now_ns();
    while (session->units < all && error == 0) {
        error = step(session);
        if (clock_now_ns() > give_up_ns)
            error = -ETIMEDOUT;
    }
    session->stream->picture_cpu_ns =
        (double)(program_cpu_ns(&session->program) - session->began_cpu_ns) /
        session->stream->pictures;
    return error;
}

int yardstick_ffmpeg(const struct scene *scene, struct yardstick_stream *stream)
{
    unsigned all = stream->warm_up + stream->pictures + HELD_BACK_MAX;
    struct session session = {.scene = scene, .stream = stream, .into = -1, .from = -1};

    session.began_ns = calloc(all, sizeof(*session.began_ns));
    if (!session.began_ns)
        return -ENOMEM;
    session.window = UINT32_MAX;
    signal(SIGPIPE, SIG_IGN);
    int error = start(&session);
    if (error == 0)
        error = run(&session);
    if (session.into >= 0)
        close(session.into);
    if (session.from >= 0)
        close(session.from);
    peer_signal(&session.program, SIGTERM);
    peer_join(&session.program, END_MS);
    free(session.began_ns);
    return error;
}
