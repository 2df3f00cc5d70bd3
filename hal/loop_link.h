/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two loops' link: observations one way, actions the other, over ZeroMQ inproc sockets.
 *
 *   observations  PUB -> SUB, high-water mark 1: latest only. The receiver empties the pipe and
 *                 keeps the newest; when newer ones did not fit any more it waits for the next.
 *                 (ZMQ_CONFLATE would do that, but in libzmq 4.3.4 it now and then loses a
 *                 message without ending it, and with it the frames that the message holds.)
 *   actions       PUSH -> PULL, high-water mark 5.
 *
 * An observation lies in a box of the link's own, which the message refers to
 * (zmq_msg_init_data), and the box in turn to the cameras' frames: nothing is copied. The end of
 * the message gives back box and frames, on whichever thread that is.
 *
 * Thread: loop_link_create and loop_link_destroy on one; each of the two sides on its own thread,
 * from loop_link_hal_open / loop_link_inference_open to the matching close. Home of libzmq's inproc
 * side.
 */
#ifndef SIMCAST_HAL_LOOP_LINK_H
#define SIMCAST_HAL_LOOP_LINK_H

#include <stdint.h>

#include "hal/cameras.h"
#include "hal/policy.h"

struct loop_link;

struct hal_observation {
    struct policy_observation policy;
    int64_t sent_ns; /* CLOCK_MONOTONIC; set by loop_link_send_observation, as is the next */
    uint64_t seq;
    struct camera_frame *frames[POLICY_IMAGE_COUNT]; /* what holds the pictures; NULL: none */
};

struct hal_action {
    int64_t sent_ns;  /* CLOCK_MONOTONIC; of the observation that it answers */
    int64_t state_ns; /* likewise */
    uint64_t step;    /* likewise */
    float joint_position_rad[POLICY_JOINTS];
};

/* Errors: -ENOMEM, -EMFILE. */
int loop_link_create(struct loop_link **ret_link);

/* Takes NULL. Both sides are closed. */
void loop_link_destroy(struct loop_link *link);

/* Ends every wait of both sides with -EPIPE. Thread: any. */
void loop_link_shutdown(struct loop_link *link);

/* ---- the HAL's side ------------------------------------------------------------------------- */

/* Errors: -EMFILE, -ENOMEM. */
int loop_link_hal_open(struct loop_link *link);
void loop_link_hal_close(struct loop_link *link);

/*
 * A zeroed observation to fill and send. NULL: all boxes are still in use, so the inference is
 * far behind; this observation is then dropped.
 */
struct hal_observation *loop_link_observation(struct loop_link *link);

/* Ends an observation that is not sent; its frames were let go of already, or are now. */
void loop_link_give_back(struct hal_observation *observation);

/* Takes the observation, always; drops it when two wait already. */
void loop_link_send_observation(struct loop_link *link, struct hal_observation *observation);

/*
 * Waits until `until_ns` for an action. Sleeps, does not spin. Errors: -ETIMEDOUT; -EPIPE after
 * loop_link_shutdown.
 */
int loop_link_wait_action(struct loop_link *link, int64_t until_ns, struct hal_action *ret_action);

/* ---- the inference's side ------------------------------------------------------------------- */

int loop_link_inference_open(struct loop_link *link);
void loop_link_inference_close(struct loop_link *link);

/*
 * Waits for an observation. It is valid until the next call, which gives it back, as does
 * loop_link_inference_close. Errors: -EPIPE after loop_link_shutdown.
 */
int loop_link_wait_observation(struct loop_link *link,
                               const struct hal_observation **ret_observation);

/* Observations that were sent and never seen by the inference. Thread: the inference's. */
uint64_t loop_link_missed(const struct loop_link *link);

/* Waits while five actions wait already. Errors: -EPIPE after loop_link_shutdown. */
int loop_link_send_action(struct loop_link *link, const struct hal_action *action);

#endif
