/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type Loan: one slot to draw into.
 *
 * A loan exports its slot by the buffer protocol, and numpy arrays over it count as exports. The
 * rule that keeps published frames safe: a slot is published, or given back to the ring, only
 * while its loan has no export. A loan that ends with arrays alive is abandoned, and stays out
 * until the last of them is gone; nothing else can be loaned meanwhile. So no writable view of a
 * published slot ever exists.
 *
 * Runs with the GIL held.
 */
#include <errno.h>

#include "python/module.h"
#include "python/producer.h"

enum loan_state {
    LOAN_OPEN,
    LOAN_ENDING, /* abandoned, waiting for its exports to go */
    LOAN_ENDED,
};

struct loan {
    PyObject ob_base;
    struct producer *producer; /* a reference */
    struct ring_loan loan;
    enum loan_state state;
    Py_ssize_t exports;
    int dims;
    Py_ssize_t shape[4];
    Py_ssize_t strides[4];
    Py_ssize_t bytes;
};

/* Ends the loan unpublished, now or when its last export goes. */
static void loan_end(struct loan *loan)
{
    struct producer *producer = loan->producer;

    if (loan->exports > 0) {
        loan->state = LOAN_ENDING;
        return;
    }
    loan->state = LOAN_ENDED;
    if (producer_is_forked(producer))
        return;
    ring_abandon(producer->ring, &loan->loan);
    producer->loan_out = false;
    producer_close_if_idle(producer);
}

static void describe_pixels(struct loan *loan)
{
    struct picture_dims dims = picture_dims(&loan->producer->shape);
    Py_ssize_t stride = 1;

    loan->dims = dims.dims;
    for (int i = dims.dims - 1; i >= 0; i--) {
        loan->shape[i] = (Py_ssize_t)dims.shape[i];
        loan->strides[i] = stride;
        stride *= loan->shape[i];
    }
    loan->bytes = stride;
}

PyObject *producer_loan(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct producer *producer = (struct producer *)self;

    if (producer_check_usable(producer) < 0)
        return NULL;
    PyTypeObject *type = (PyTypeObject *)module_state_of(self)->loan_type;
    struct loan *loan = (struct loan *)PyType_GenericAlloc(type, 0);
    if (!loan)
        return NULL;
    loan->state = LOAN_ENDED;
    loan->producer = (struct producer *)Py_NewRef(self);
    int error = ring_loan(producer->ring, &loan->loan);
    if (error < 0) {
        Py_DECREF(loan);
        return module_raise_errno(error);
    }
    loan->state = LOAN_OPEN;
    producer->loan_out = true;
    describe_pixels(loan);
    return (PyObject *)loan;
}

static void loan_dealloc(PyObject *self)
{
    struct loan *loan = (struct loan *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc free_object = PyType_GetSlot(type, Py_tp_free);

    if (loan->state == LOAN_OPEN)
        loan_end(loan);
    Py_XDECREF((PyObject *)loan->producer);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *loan_abandon(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct loan *loan = (struct loan *)self;

    if (loan->state == LOAN_OPEN)
        loan_end(loan);
    Py_RETURN_NONE;
}

static int check_publishable(const struct loan *loan, const struct remarks *remarks)
{
    if (loan->state != LOAN_OPEN)
        PyErr_SetString(PyExc_ValueError, "the frame was published or abandoned already");
    else if (producer_is_forked(loan->producer))
        PyErr_SetString(PyExc_RuntimeError, "the loan belongs to the parent process");
    else if (loan->exports > 0)
        PyErr_SetString(PyExc_BufferError,
                        "the frame was not published: an array of its pixels is still alive and "
                        "could write into it later; write through frame.pixels[...] itself, or "
                        "del the array before the with block ends");
    else if (remarks->bottom_up && loan->producer->shape.batch > 0)
        PyErr_SetString(PyExc_ValueError, "a batch cannot be loaned bottom-up: publish() it");
    else
        return producer_check_remarks(loan->producer, remarks);
    return -1;
}

static int64_t publish_loan(struct loan *loan, const struct remarks *remarks)
{
    struct producer *producer = loan->producer;
    struct ring_frame frame =
        producer_make_frame(producer, remarks, producer->shape.fourcc, remarks->bottom_up);

    frame.user_bytes = producer_write_metadata(producer, remarks, loan->loan.user);
    loan->state = LOAN_ENDED;
    producer->loan_out = false;
    int64_t seq = ring_publish(producer->ring, &loan->loan, &frame);
    producer_close_if_idle(producer);
    return seq;
}

/* Ends the loan in any case: a frame that cannot be published is abandoned. */
static PyObject *loan_publish(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"frame_id", "sim_time_ns", "metadata", "bottom_up", NULL};
    struct loan *loan = (struct loan *)self;
    struct remarks remarks = {0};
    int64_t seq = -EINVAL;

    if (PyArg_ParseTupleAndKeywords(args, keywords, "KLy*p", names, &remarks.frame_id,
                                    &remarks.sim_time_ns, &remarks.metadata, &remarks.bottom_up)) {
        if (check_publishable(loan, &remarks) == 0)
            seq = publish_loan(loan, &remarks);
        PyBuffer_Release(&remarks.metadata);
    }
    if (loan->state == LOAN_OPEN)
        loan_end(loan);
    if (PyErr_Occurred())
        return NULL;
    return seq < 0 ? module_raise_errno((int)seq) : PyLong_FromLongLong(seq);
}

static int loan_get_buffer(PyObject *self, Py_buffer *buffer, int flags)
{
    struct loan *loan = (struct loan *)self;

    buffer->obj = NULL;
    if (loan->state != LOAN_OPEN) {
        PyErr_SetString(PyExc_BufferError,
                        "the frame was published or abandoned: its pixels are its consumers' now");
        return -1;
    }
    if (module_asks(flags, PyBUF_F_CONTIGUOUS)) {
        PyErr_SetString(PyExc_BufferError, "the picture lies row by row, not column by column");
        return -1;
    }
    if (PyBuffer_FillInfo(buffer, self, loan->loan.payload, loan->bytes, 0, flags) < 0)
        return -1;
    if (flags & PyBUF_ND) {
        buffer->ndim = loan->dims;
        buffer->shape = loan->shape;
    }
    if (module_asks(flags, PyBUF_STRIDES))
        buffer->strides = loan->strides;
    loan->exports++;
    return 0;
}

static void loan_release_buffer(PyObject *self, Py_buffer *Py_UNUSED(buffer))
{
    struct loan *loan = (struct loan *)self;

    loan->exports--;
    if (loan->state == LOAN_ENDING && loan->exports == 0)
        loan_end(loan);
}

static PyMethodDef loan_methods[] = {
    {"publish", (PyCFunction)(void (*)(void))loan_publish, METH_VARARGS | METH_KEYWORDS, NULL},
    {"abandon", loan_abandon, METH_NOARGS, NULL},
    {0},
};

static PyMemberDef loan_members[] = {
    {"exports", T_PYSSIZET, offsetof(struct loan, exports), READONLY, NULL},
    {0},
};

static PyType_Slot loan_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A slot to draw into; its buffer is the slot itself.")},
    {Py_tp_dealloc, loan_dealloc},
    {Py_tp_methods, loan_methods},
    {Py_tp_members, loan_members},
    {Py_bf_getbuffer, loan_get_buffer},
    {Py_bf_releasebuffer, loan_release_buffer},
    {0, NULL},
};

PyType_Spec loan_spec = {
    .name = "simcast._ring.Loan",
    .basicsize = sizeof(struct loan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = loan_slots,
};
