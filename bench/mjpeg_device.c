/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For LD_PRELOAD: makes a V4L2 camera of the program's stdin, into which somebody writes JPEG
 * pictures one after the other. ustreamer, which reads cameras only, is thereby given the same
 * pictures as the other servers. The device is DEVICE; all else goes to the C library.
 *
 * Only what ustreamer asks of a camera is answered: one format (MJPEG), buffers by mmap. Owns the
 * buffers and the bytes read beyond a picture's end; used by ustreamer's one capturing thread.
 * What the program says on stderr goes where its stdout goes. With CAMERA_NUMBERS=yes in the
 * environment, each picture is followed by its number, 8 hexadecimal digits, where no decoder
 * looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

#include <dlfcn.h>

#define DEVICE "/dev/stdin"
#define BUFFERS_MAX 8
#define BUFFER_BYTES ((size_t)4 << 20)
#define READ_BYTES ((size_t)64 << 10)

struct device {
    int fd; /* -1: closed */
    unsigned buffers;
    uint8_t *memory[BUFFERS_MAX];
    unsigned queue[BUFFERS_MAX]; /* given back by the program, first in, first out */
    unsigned queue_first;
    unsigned queued;
    uint8_t ahead[READ_BYTES]; /* read, and behind the end of the last picture */
    size_t ahead_bytes;
    unsigned sequence;
    bool numbers;
};

static struct device device = {.fd = -1};

__attribute__((constructor)) static void begin(void)
{
    const char *numbers = getenv("CAMERA_NUMBERS");

    device.numbers = numbers && strcmp(numbers, "yes") == 0;
    dup2(STDOUT_FILENO, STDERR_FILENO);
}

/* The function that ours hides; *ret_function is a pointer to such a function. */
static void find_real(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(ret_function, &found, sizeof(found));
}

/* ---- pictures ------------------------------------------------------------------------------ */

/* The length of the picture that begins the bytes, or 0 when its end is not there yet. */
static size_t picture_end(const uint8_t *bytes, size_t count, size_t from)
{
    static const uint8_t end[] = {0xff, 0xd9};
    const uint8_t *found = from < count ? memmem(bytes + from, count - from, end, 2) : NULL;

    return found ? (size_t)(found - bytes) + 2 : 0;
}

/* Reads until a picture is whole; the writer writes it in one go. Returns its length or -1. */
static ssize_t read_picture(uint8_t *buffer)
{
    size_t filled = device.ahead_bytes;
    size_t searched = 0;
    size_t end;

    memcpy(buffer, device.ahead, filled);
    while ((end = picture_end(buffer, filled, searched)) == 0) {
        searched = filled > 0 ? filled - 1 : 0;
        if (filled + READ_BYTES > BUFFER_BYTES)
            return -1;
        ssize_t got = read(device.fd, buffer + filled, READ_BYTES);
        if (got <= 0)
            return -1;
        filled += (size_t)got;
    }
    device.ahead_bytes = filled - end;
    memcpy(device.ahead, buffer + end, device.ahead_bytes);
    return (ssize_t)end;
}

/* ---- requests ------------------------------------------------------------------------------ */

static int refuse(int error)
{
    errno = error;
    return -1;
}

static int set_format(struct v4l2_format *format)
{
    struct v4l2_pix_format *pixels = &format->fmt.pix;

    pixels->pixelformat = V4L2_PIX_FMT_MJPEG;
    pixels->field = V4L2_FIELD_NONE;
    pixels->bytesperline = 0;
    pixels->sizeimage = BUFFER_BYTES;
    return 0;
}

static int request_buffers(struct v4l2_requestbuffers *request)
{
    if (request->memory != V4L2_MEMORY_MMAP)
        return refuse(EINVAL);
    if (request->count > BUFFERS_MAX)
        request->count = BUFFERS_MAX;
    device.buffers = request->count;
    device.queued = 0;
    return 0;
}

static int query_buffer(struct v4l2_buffer *buffer)
{
    if (buffer->index >= device.buffers)
        return refuse(EINVAL);
    buffer->length = BUFFER_BYTES;
    buffer->m.offset = (uint32_t)(buffer->index * BUFFER_BYTES);
    return 0;
}

static int queue_buffer(const struct v4l2_buffer *buffer)
{
    if (buffer->index >= device.buffers || device.queued == device.buffers)
        return refuse(EINVAL);
    device.queue[(device.queue_first + device.queued++) % BUFFERS_MAX] = buffer->index;
    return 0;
}

static int dequeue_buffer(struct v4l2_buffer *buffer)
{
    if (device.queued == 0)
        return refuse(EAGAIN);
    unsigned index = device.queue[device.queue_first % BUFFERS_MAX];
    ssize_t count = read_picture(device.memory[index]);
    if (count < 0)
        return refuse(ENODEV);
    if (device.numbers)
        count += sprintf((char *)device.memory[index] + count, "%08x", device.sequence);
    device.queue_first++;
    device.queued--;
    buffer->index = index;
    buffer->bytesused = (uint32_t)count;
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_DONE;
    buffer->field = V4L2_FIELD_NONE;
    buffer->sequence = device.sequence++;
    gettimeofday(&buffer->timestamp, NULL);
    return 0;
}

static int answer(unsigned long request, void *argument)
{
    struct v4l2_capability *capability = argument;

    switch ((uint32_t)request) { /* ustreamer holds it in an int, whose sign comes with it */
    case VIDIOC_QUERYCAP:
        memset(capability, 0, sizeof(*capability));
        capability->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    case VIDIOC_S_INPUT:
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        return 0;
    case VIDIOC_S_FMT:
        return set_format(argument);
    case VIDIOC_REQBUFS:
        return request_buffers(argument);
    case VIDIOC_QUERYBUF:
        return query_buffer(argument);
    case VIDIOC_QBUF:
        return queue_buffer(argument);
    case VIDIOC_DQBUF:
        return dequeue_buffer(argument);
    default:
        return refuse(ENOTTY);
    }
}

/* ---- the C library's names ----------------------------------------------------------------- */

int open(const char *path, int flags, ...)
{
    int (*real_open)(const char *, int, ...);
    va_list arguments;

    if (strcmp(path, DEVICE) == 0) {
        device.fd = dup(STDIN_FILENO);
        return device.fd;
    }
    find_real("open", &real_open);
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return real_open(path, flags, mode);
}

int close(int fd)
{
    int (*real_close)(int);

    find_real("close", &real_close);
    if (fd == device.fd)
        device.fd = -1;
    return real_close(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
    int (*real_ioctl)(int, unsigned long, ...);
    va_list arguments;

    find_real("ioctl", &real_ioctl);
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fd == device.fd ? answer(request, argument) : real_ioctl(fd, request, argument);
}

/* NOLINTNEXTLINE(readability-function-size): the C library's parameters */
void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    void *(*real_mmap)(void *, size_t, int, int, int, off_t);
    size_t index = (size_t)offset / BUFFER_BYTES;

    find_real("mmap", &real_mmap);
    if (fd < 0 || fd != device.fd)
        return real_mmap(at, bytes, protection, flags, fd, offset);
    if (index >= device.buffers || bytes != BUFFER_BYTES) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    device.memory[index] = real_mmap(at, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return device.memory[index];
}

/* A picture that was read ahead is there, whatever the pipe says. */
int select(int count, fd_set *readable, fd_set *writable, fd_set *odd, struct timeval *timeout)
{
    int (*real_select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);

    find_real("select", &real_select);
    if (device.fd >= 0 && count == device.fd + 1 && readable &&
        picture_end(device.ahead, device.ahead_bytes, 0) > 0) {
        if (writable)
            FD_ZERO(writable);
        if (odd)
            FD_ZERO(odd);
        return 1;
    }
    return real_select(count, readable, writable, odd, timeout);
}
