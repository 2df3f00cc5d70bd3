/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a ZeroMQ context with its I/O thread and two sockets. Peers are not trusted: a message is
 * read into locals, checked whole, then used. Camera frames that ZeroMQ still sends are let go of
 * on its thread, by camera_drop.
 */
#include "hal/endpoint.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "base/clock.h"
#include "base/log.h"

#define OBSERVATION_HWM 1
#define COMMAND_HWM 5
#define ZEROS_BYTES ((size_t)64 << 20) /* of address space: all of it is the kernel's zero page */

struct endpoint {
    struct endpoint_config config;
    void *context;
    void *publisher;
    void *puller;
    int puller_fd;
    unsigned bound; /* sockets that have their address: publisher, then puller */
    const void *zeros;
    uint64_t refused[OBSERVATION_FAULT_COUNT];
};

static int bind_socket(struct endpoint *endpoint, int type, int mark, const char *url,
                       void **ret_socket)
{
    void *socket = zmq_socket(endpoint->context, type);
    int none = 0;

    if (!socket)
        return -EMFILE;
    *ret_socket = socket;
    zmq_setsockopt(socket, ZMQ_SNDHWM, &mark, sizeof(mark));
    zmq_setsockopt(socket, ZMQ_RCVHWM, &mark, sizeof(mark));
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    if (zmq_bind(socket, url) == 0) {
        endpoint->bound++;
        return 0;
    }
    int error = errno == EPROTONOSUPPORT ? -EINVAL : -errno;
    log_error("cannot serve control programs at %s: %s: give a free one, such as "
              "tcp://127.0.0.1:6001 or ipc:///tmp/hal",
              url, zmq_strerror(errno));
    return error;
}

static int open_all(struct endpoint *endpoint)
{
    const struct endpoint_config *config = &endpoint->config;
    size_t fd_bytes = sizeof(endpoint->puller_fd);
    void *zeros =
        mmap(NULL, ZEROS_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (zeros == MAP_FAILED)
        return -ENOMEM;
    endpoint->zeros = zeros;
    endpoint->context = zmq_ctx_new();
    if (!endpoint->context)
        return -EMFILE;
    int error =
        bind_socket(endpoint, ZMQ_PUB, OBSERVATION_HWM, config->observations, &endpoint->publisher);
    if (error == 0)
        error = bind_socket(endpoint, ZMQ_PULL, COMMAND_HWM, config->commands, &endpoint->puller);
    if (error == 0 && zmq_getsockopt(endpoint->puller, ZMQ_FD, &endpoint->puller_fd, &fd_bytes) < 0)
        error = -errno;
    return error;
}

int endpoint_open(const struct endpoint_config *config, struct endpoint **ret_endpoint)
{
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

    if (!endpoint)
        return -ENOMEM;
    endpoint->config = *config;
    int error = open_all(endpoint);
    if (error < 0) {
        endpoint_close(endpoint);
        return error;
    }
    *ret_endpoint = endpoint;
    return 0;
}

/* libzmq leaves the files of its ipc sockets behind. */
static void close_socket(void *socket, const char *url, bool bound)
{
    static const char scheme[] = "ipc://";

    if (!socket)
        return;
    zmq_close(socket);
    if (bound && strncmp(url, scheme, strlen(scheme)) == 0)
        unlink(url + strlen(scheme));
}

void endpoint_close(struct endpoint *endpoint)
{
    if (!endpoint)
        return;
    close_socket(endpoint->publisher, endpoint->config.observations, endpoint->bound > 0);
    close_socket(endpoint->puller, endpoint->config.commands, endpoint->bound > 1);
    if (endpoint->context)
        zmq_ctx_term(endpoint->context);
    if (endpoint->zeros)
        munmap((void *)(uintptr_t)endpoint->zeros, ZEROS_BYTES);
    free(endpoint);
}

/* ---- observations --------------------------------------------------------------------------- */

static void send_message(struct endpoint *endpoint, zmq_msg_t *message, bool last)
{
    if (zmq_msg_send(message, endpoint->publisher, ZMQ_DONTWAIT | (last ? 0 : ZMQ_SNDMORE)) < 0)
        zmq_msg_close(message);
}

static void send_copy(struct endpoint *endpoint, const void *bytes, size_t count)
{
    zmq_send(endpoint->publisher, bytes, count, ZMQ_DONTWAIT | ZMQ_SNDMORE);
}

static void drop_frame(void *data, void *frame)
{
    (void)data;
    camera_drop(frame);
}

static void copy_rows(const struct policy_image *image, uint8_t *to, size_t row_bytes)
{
    const uint8_t *row = image->top_row;

    for (uint32_t i = 0; i < image->height; i++)
        memcpy(to + i * row_bytes, row + (int64_t)i * image->stride_bytes, row_bytes);
}

/* Sends one picture, or black; takes the frame. */
static void send_picture(struct endpoint *endpoint, const struct policy_image *image,
                         struct camera_frame *frame, size_t bytes, bool last)
{
    size_t row_bytes = image->height ? bytes / image->height : 0;
    zmq_msg_t message;

    if (frame && image->stride_bytes == (int64_t)row_bytes) {
        /* ZeroMQ only reads it; its interface has no const. */
        zmq_msg_init_data(&message, (void *)(uintptr_t)image->top_row, bytes, drop_frame, frame);
    } else if (frame && zmq_msg_init_size(&message, bytes) == 0) {
        copy_rows(image, zmq_msg_data(&message), row_bytes);
        camera_drop(frame);
    } else {
        camera_drop(frame);
        zmq_msg_init_data(&message, (void *)(uintptr_t)endpoint->zeros, bytes, NULL, NULL);
    }
    send_message(endpoint, &message, last);
}

static void send_pictures(struct endpoint *endpoint, struct hal_observation *observation,
                          uint32_t width, uint32_t height)
{
    for (unsigned i = 0; i < POLICY_IMAGE_COUNT; i++) {
        const struct policy_image *image = &observation->policy.images[i];
        bool fits = image->width == width && image->height == height;
        size_t bytes = observation_part_bytes(OBSERVATION_PART_RGB_1 + i, width, height);
        if (!fits)
            camera_drop(observation->frames[i]);
        send_picture(endpoint, image, fits ? observation->frames[i] : NULL, bytes,
                     i + 1 == POLICY_IMAGE_COUNT);
        observation->frames[i] = NULL;
    }
}

void endpoint_publish(struct endpoint *endpoint, struct hal_observation *observation)
{
    const struct policy_observation *policy = &observation->policy;
    struct observation sent = {.timestamp_ns = observation->sent_ns,
                               .camera_width = policy->images[0].width,
                               .camera_height = policy->images[0].height};
    char metadata[OBSERVATION_METADATA_BYTES_MAX];
    int events;
    size_t events_bytes = sizeof(events);

    /* Otherwise libzmq learns only once per millisecond that the pipes have room again. */
    zmq_getsockopt(endpoint->publisher, ZMQ_EVENTS, &events, &events_bytes);
    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        sent.joint_position_rad[endpoint->config.joint_map[i]] = policy->joint_position_rad[i];
    if (observation_part_bytes(OBSERVATION_PART_DEPTH, sent.camera_width, sent.camera_height) >
        ZEROS_BYTES)
        sent.camera_width = sent.camera_height = 0; /* beyond 16 million pixels: no pictures */
    int count = observation_write_metadata(&sent, metadata, sizeof(metadata));
    if (count < 0)
        return;
    send_copy(endpoint, OBSERVATION_TOPIC, strlen(OBSERVATION_TOPIC));
    send_copy(endpoint, OBSERVATION_VERSION, strlen(OBSERVATION_VERSION));
    send_copy(endpoint, metadata, (size_t)count);
    send_copy(endpoint, sent.joint_position_rad, sizeof(sent.joint_position_rad));
    send_pictures(endpoint, observation, sent.camera_width, sent.camera_height);
}

/* ---- commands ------------------------------------------------------------------------------- */

/* Receives all parts, keeps the first three (one more than there may be). Errors: -EAGAIN. */
static int receive_parts(struct endpoint *endpoint, zmq_msg_t parts[JOINT_COMMAND_PARTS + 1],
                         size_t *ret_count)
{
    size_t count = 0;
    int more = 1;

    while (more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, endpoint->puller, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            break; /* only before the first: ZeroMQ delivers messages whole */
        }
        more = zmq_msg_more(&part);
        if (count <= JOINT_COMMAND_PARTS)
            zmq_msg_move(&parts[count], &part);
        zmq_msg_close(&part);
        count++;
    }
    *ret_count = count;
    return count > 0 ? 0 : -EAGAIN;
}

static enum observation_fault read_command(zmq_msg_t parts[JOINT_COMMAND_PARTS + 1], size_t count,
                                           struct joint_command *ret_command)
{
    struct observation_part views[JOINT_COMMAND_PARTS];

    for (unsigned i = 0; i < JOINT_COMMAND_PARTS; i++)
        views[i] = (struct observation_part){zmq_msg_data(&parts[i]), zmq_msg_size(&parts[i])};
    return joint_command_read(views, count, ret_command);
}

/* Errors: -EAGAIN none waits; -EPROTO it was refused. */
static int take_command(struct endpoint *endpoint, struct joint_command *ret_command)
{
    zmq_msg_t parts[JOINT_COMMAND_PARTS + 1];
    size_t count = 0;

    for (unsigned i = 0; i <= JOINT_COMMAND_PARTS; i++)
        zmq_msg_init(&parts[i]);
    int error = receive_parts(endpoint, parts, &count);
    if (error == 0) {
        enum observation_fault fault = read_command(parts, count, ret_command);
        if (fault != OBSERVATION_FINE && endpoint->refused[fault]++ == 0)
            log_warning("a control program's command is refused because of %s; more of this "
                        "kind are only counted",
                        observation_fault_name(fault));
        error = fault == OBSERVATION_FINE ? 0 : -EPROTO;
    }
    for (unsigned i = 0; i <= JOINT_COMMAND_PARTS; i++)
        zmq_msg_close(&parts[i]);
    return error;
}

static int wait_readable(struct endpoint *endpoint, int64_t until_ns)
{
    struct pollfd fd = {.fd = endpoint->puller_fd, .events = POLLIN};
    int64_t left_ns = until_ns - clock_now_ns();
    struct timespec timeout = {left_ns / NS_PER_S, left_ns % NS_PER_S};

    if (left_ns <= 0)
        return -ETIMEDOUT;
    ppoll(&fd, 1, &timeout, NULL);
    return 0;
}

int endpoint_wait_command(struct endpoint *endpoint, int64_t until_ns,
                          struct hal_action *ret_action)
{
    struct joint_command command;
    int error;

    while ((error = take_command(endpoint, &command)) < 0) {
        if (error == -EAGAIN && wait_readable(endpoint, until_ns) < 0)
            return -ETIMEDOUT;
    }
    *ret_action = (struct hal_action){.sent_ns = command.observation_timestamp_ns};
    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        ret_action->joint_position_rad[i] =
            command.joint_position_rad[endpoint->config.joint_map[i]];
    return 0;
}

uint64_t endpoint_refused(const struct endpoint *endpoint)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < OBSERVATION_FAULT_COUNT; i++)
        sum += endpoint->refused[i];
    return sum;
}
