/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a ZeroMQ context, four inproc sockets (two per side, each on its side's thread) and the
 * boxes. ZeroMQ may end a message on either thread, so a box comes back by an atomic flag.
 */
#include "hal/loop_link.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#include "base/clock.h"

#define OBSERVATIONS_URL "inproc://observations"
#define ACTIONS_URL "inproc://actions"
#define OBSERVATION_HWM 1
#define PIPE_MESSAGES 2 /* over inproc the marks of both ends add up */
#define ACTION_HWM 5
#define BOXES 6 /* one being filled, two in the pipe, two while it is emptied, one to spare */

struct box {
    struct hal_observation observation; /* first: a box is found by its observation */
    atomic_bool taken; /* released by whoever ends the message, acquired by the HAL's side */
};

struct loop_link {
    void *context;
    void *publisher; /* the HAL's */
    void *puller;
    int puller_fd;
    void *subscriber; /* the inference's */
    void *pusher;
    atomic_uint_fast64_t sent; /* seq of the newest; released by the HAL's side */
    zmq_msg_t held;            /* the inference's: what its observation lies in */
    uint64_t seen;             /* the inference's: seq of its newest */
    uint64_t missed;
    struct box boxes[BOXES];
};

static void *open_socket(struct loop_link *link, int type, int mark)
{
    void *socket = zmq_socket(link->context, type);
    int none = 0;

    if (socket) {
        zmq_setsockopt(socket, ZMQ_SNDHWM, &mark, sizeof(mark));
        zmq_setsockopt(socket, ZMQ_RCVHWM, &mark, sizeof(mark));
        zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    }
    return socket;
}

static void close_socket(void **socket)
{
    if (*socket)
        zmq_close(*socket);
    *socket = NULL;
}

int loop_link_create(struct loop_link **ret_link)
{
    struct loop_link *link = calloc(1, sizeof(*link));

    if (!link)
        return -ENOMEM;
    zmq_msg_init(&link->held);
    link->context = zmq_ctx_new();
    if (!link->context) {
        free(link);
        return -EMFILE;
    }
    zmq_ctx_set(link->context, ZMQ_IO_THREADS, 0); /* inproc needs none */
    *ret_link = link;
    return 0;
}

void loop_link_destroy(struct loop_link *link)
{
    if (!link)
        return;
    zmq_ctx_term(link->context);
    free(link);
}

void loop_link_shutdown(struct loop_link *link)
{
    zmq_ctx_shutdown(link->context);
}

/* ---- the HAL's side ------------------------------------------------------------------------- */

int loop_link_hal_open(struct loop_link *link)
{
    size_t fd_bytes = sizeof(link->puller_fd);

    link->publisher = open_socket(link, ZMQ_PUB, OBSERVATION_HWM);
    link->puller = open_socket(link, ZMQ_PULL, ACTION_HWM);
    if (!link->publisher || !link->puller || zmq_bind(link->publisher, OBSERVATIONS_URL) < 0 ||
        zmq_bind(link->puller, ACTIONS_URL) < 0 ||
        zmq_getsockopt(link->puller, ZMQ_FD, &link->puller_fd, &fd_bytes) < 0) {
        int error = -errno;
        loop_link_hal_close(link);
        return error;
    }
    return 0;
}

void loop_link_hal_close(struct loop_link *link)
{
    close_socket(&link->publisher);
    close_socket(&link->puller);
}

struct hal_observation *loop_link_observation(struct loop_link *link)
{
    int events;
    size_t events_bytes = sizeof(events);

    /* Otherwise libzmq learns only once per millisecond that the pipe has room again. */
    zmq_getsockopt(link->publisher, ZMQ_EVENTS, &events, &events_bytes);
    for (unsigned i = 0; i < BOXES; i++) {
        struct box *box = &link->boxes[i];
        /* Pairs with the release in end_of_message. */
        if (atomic_load_explicit(&box->taken, memory_order_acquire))
            continue;
        memset(&box->observation, 0, sizeof(box->observation));
        atomic_store_explicit(&box->taken, true, memory_order_relaxed);
        return &box->observation;
    }
    return NULL;
}

static void end_of_message(void *data, void *hint)
{
    struct box *box = data;

    (void)hint;
    for (unsigned i = 0; i < POLICY_IMAGE_COUNT; i++)
        camera_drop(box->observation.frames[i]);
    atomic_store_explicit(&box->taken, false, memory_order_release);
}

void loop_link_give_back(struct hal_observation *observation)
{
    end_of_message(observation, NULL);
}

void loop_link_send_observation(struct loop_link *link, struct hal_observation *observation)
{
    zmq_msg_t message;

    observation->sent_ns = clock_now_ns();
    observation->seq = atomic_load_explicit(&link->sent, memory_order_relaxed) + 1;
    atomic_store_explicit(&link->sent, observation->seq, memory_order_release);
    if (zmq_msg_init_data(&message, observation, sizeof(*observation), end_of_message, NULL) < 0) {
        end_of_message(observation, NULL); /* no memory for the message: as if it was dropped */
        return;
    }
    if (zmq_msg_send(&message, link->publisher, ZMQ_DONTWAIT) < 0)
        zmq_msg_close(&message);
}

/* ZMQ_FD tells of changes only, so the socket itself is always asked first. */
static int take_action(struct loop_link *link, struct hal_action *ret_action)
{
    struct hal_action action;
    int count = zmq_recv(link->puller, &action, sizeof(action), ZMQ_DONTWAIT);

    if (count < 0)
        return errno == EAGAIN ? -EAGAIN : -EPIPE;
    assert(count == sizeof(action));
    *ret_action = action;
    return 0;
}

int loop_link_wait_action(struct loop_link *link, int64_t until_ns, struct hal_action *ret_action)
{
    struct pollfd fd = {.fd = link->puller_fd, .events = POLLIN};
    int result;

    while ((result = take_action(link, ret_action)) == -EAGAIN) {
        int64_t left_ns = until_ns - clock_now_ns();
        struct timespec timeout = {left_ns / NS_PER_S, left_ns % NS_PER_S};
        if (left_ns <= 0)
            return -ETIMEDOUT;
        ppoll(&fd, 1, &timeout, NULL);
    }
    return result;
}

/* ---- the inference's side ------------------------------------------------------------------- */

int loop_link_inference_open(struct loop_link *link)
{
    link->subscriber = open_socket(link, ZMQ_SUB, OBSERVATION_HWM);
    link->pusher = open_socket(link, ZMQ_PUSH, ACTION_HWM);
    if (!link->subscriber || !link->pusher ||
        zmq_setsockopt(link->subscriber, ZMQ_SUBSCRIBE, "", 0) < 0 ||
        zmq_connect(link->subscriber, OBSERVATIONS_URL) < 0 ||
        zmq_connect(link->pusher, ACTIONS_URL) < 0) {
        int error = -errno;
        loop_link_inference_close(link);
        return error;
    }
    return 0;
}

void loop_link_inference_close(struct loop_link *link)
{
    zmq_msg_close(&link->held);
    zmq_msg_init(&link->held);
    close_socket(&link->subscriber);
    close_socket(&link->pusher);
}

/* Puts the next message into `held`, in place of what it holds, and says whether it is the newest.
 */
static int receive(struct loop_link *link, bool *ret_newest)
{
    int count;

    do
        count = zmq_msg_recv(&link->held, link->subscriber, 0);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return -EPIPE;
    assert(count == sizeof(struct hal_observation));
    /* Pairs with the release in loop_link_send_observation, which follows the last write. */
    uint64_t sent = atomic_load_explicit(&link->sent, memory_order_acquire);
    const struct hal_observation *observation = zmq_msg_data(&link->held);
    link->missed += observation->seq - link->seen - 1;
    link->seen = observation->seq;
    *ret_newest = observation->seq == sent;
    return 0;
}

int loop_link_wait_observation(struct loop_link *link,
                               const struct hal_observation **ret_observation)
{
    bool newest;
    int error = receive(link, &newest);

    /* What waits behind it is newer; what did not fit any more was dropped, so the next is. */
    for (unsigned i = 0; error == 0 && !newest && i < PIPE_MESSAGES; i++) {
        link->missed++;
        error = receive(link, &newest);
    }
    *ret_observation = zmq_msg_data(&link->held);
    return error;
}

uint64_t loop_link_missed(const struct loop_link *link)
{
    return link->missed;
}

int loop_link_send_action(struct loop_link *link, const struct hal_action *action)
{
    int count;

    do
        count = zmq_send(link->pusher, action, sizeof(*action), 0);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -EPIPE : 0;
}
