/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type Producer, a frame ring's writing side, as its loans see it.
 *
 * Thread: with the GIL held, except as producer.c says.
 */
#ifndef SIMCAST_PYTHON_PRODUCER_H
#define SIMCAST_PYTHON_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <Python.h>

#include "python/picture.h"
#include "shm/ring.h"

struct producer {
    PyObject ob_base;
    struct ring_producer *ring; /* NULL: closed */
    unsigned forks;
    bool closing;  /* closed as soon as the loan ends */
    bool copying;  /* a thread is in publish() without the GIL */
    bool loan_out; /* a Loan exists that is not ended */
    struct picture_shape shape;
    uint32_t first_env;
};

/* What the caller says about a frame. */
struct remarks {
    unsigned long long frame_id;
    long long sim_time_ns;
    Py_buffer metadata;
    int bottom_up;
};

/* Opened by a parent process: its memory and its socket are to be left alone. */
bool producer_is_forked(const struct producer *producer);

/* 0 when a frame can be begun, else -1 with an exception that says what is in the way. */
int producer_check_usable(const struct producer *producer);

/* Closes the ring if close() was called and nothing uses it any more. */
void producer_close_if_idle(struct producer *producer);

/* 0, or -1 with ValueError. */
int producer_check_remarks(const struct producer *producer, const struct remarks *remarks);

/* Writes a slot's user metadata, with the batch's header where there is one; returns its length. */
uint32_t producer_write_metadata(const struct producer *producer, const struct remarks *remarks,
                                 uint8_t *user);

/* What ring_publish needs to know of a frame, but for user_bytes. Stamps it as rendered now. */
struct ring_frame producer_make_frame(const struct producer *producer,
                                      const struct remarks *remarks, uint32_t fourcc,
                                      bool bottom_up);

/* Producer.loan(): a new Loan. */
PyObject *producer_loan(PyObject *self, PyObject *ignored);

#endif
