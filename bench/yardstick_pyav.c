/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs yardstick_pyav.py and reads what it printed when it is done. Owns the program, a pipe and
 * a file in memory with the pictures, for one stream.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/encode_yardsticks.h"
#include "bench/program.h"

#define PYTHON "/usr/bin/python3" /* Debian's, which has Debian's PyAV */
#define NUMBERS_MAX 512
#define NUMBER_BYTES 12
#define END_MS 5000

const char *yardstick_pyav_missing(void)
{
    static int found = -1;
    const char *const argv[] = {PYTHON, "-c", "import av, numpy", NULL};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int own = dup(STDERR_FILENO);
    struct peer python = {0};

    if (found < 0) { /* Python's complaint that there is none is not for the reader */
        dup2(null, STDERR_FILENO);
        found = program_start(&python, argv, (struct program_pipes){-1, -1}) == 0 &&
                peer_join(&python, END_MS) == 0;
        dup2(own, STDERR_FILENO);
    }
    close(own);
    close(null);
    return found ? NULL : "PyAV is missing; install the packages python3-av and python3-numpy";
}

/* The pictures as a file that another process can map; its descriptor, or an error. */
static int make_file(const struct scene *scene)
{
    size_t bytes = scene->picture_pixels * 3 * scene->pictures;
    int fd = memfd_create("simcast-bench", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    for (size_t at = 0; at < bytes;) {
        ssize_t wrote = write(fd, scene->rgb24 + at, bytes - at);
        if (wrote <= 0) {
            close(fd);
            return -ENOMEM;
        }
        at += (size_t)wrote;
    }
    return fd;
}

static int start(struct peer *python, const struct scene *scene,
                 const struct yardstick_stream *stream, int file, int output)
{
    static char numbers[NUMBERS_MAX][NUMBER_BYTES];
    static const char *argv[NUMBERS_MAX + 8];
    unsigned all = stream->warm_up + stream->pictures;
    char path[64];
    unsigned count = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), file);
    argv[0] = PYTHON;
    argv[1] = BENCH_SOURCE_DIR "/yardstick_pyav.py";
    argv[2] = path;
    snprintf(numbers[count++], NUMBER_BYTES, "%u", scene->width);
    snprintf(numbers[count++], NUMBER_BYTES, "%u", scene->height);
    snprintf(numbers[count++], NUMBER_BYTES, "%u", stream->fps);
    snprintf(numbers[count++], NUMBER_BYTES, "%u", stream->warm_up);
    for (unsigned n = 0; n < all && count < NUMBERS_MAX; n++)
        snprintf(numbers[count++], NUMBER_BYTES, "%u", scene_picture(scene, n));
    for (unsigned i = 0; i < count; i++)
        argv[3 + i] = numbers[i];
    argv[3 + count] = NULL;
    return program_start(python, argv, (struct program_pipes){-1, output});
}

/* Until the program closes its output. */
static void read_times(int fd, struct histogram *ret_times)
{
    FILE *lines = fdopen(fd, "r");
    long long took_ns;

    while (lines && fscanf(lines, "%lld", &took_ns) == 1)
        histogram_record(ret_times, took_ns);
    if (lines)
        fclose(lines);
}

int yardstick_pyav(const struct scene *scene, struct yardstick_stream *stream)
{
    struct peer python = {0};
    int output[2];
    int file = make_file(scene);

    if (file < 0)
        return file;
    if (pipe2(output, O_CLOEXEC) < 0) {
        close(file);
        return -errno;
    }
    int error = start(&python, scene, stream, file, output[1]);
    close(output[1]);
    if (error == 0)
        read_times(output[0], &stream->latency);
    else
        close(output[0]);
    if (error == 0)
        error = peer_join(&python, END_MS);
    close(file);
    return error == 0 && stream->latency.count == 0 ? -EIO : error;
}
