/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type Consumer: waits for frames without the GIL, and takes leases back. It stays open beyond
 * close() until nobody waits and no view holds a lease.
 */
#include "python/consumer.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "python/module.h"

/*
 * The longest sleep in one piece. A signal that comes between the look for signals and the sleep,
 * or a close() by another thread, is noticed after this.
 */
#define WAIT_MS_MAX 100

bool consumer_is_forked(const struct consumer *consumer)
{
    return consumer->forks != module_forks();
}

/* ---- giving leases back -------------------------------------------------------------------- */

static void close_if_idle(struct consumer *consumer)
{
    if (!consumer->closing || consumer->waiting || consumer->views > 0 || !consumer->ring)
        return;
    ring_consumer_close(consumer->ring);
    consumer->ring = NULL;
}

static void give_back_noted(struct consumer *consumer)
{
    for (unsigned lease = 0; consumer->noted != 0; lease++) {
        struct ring_view view = {.lease = lease};
        if (consumer->noted >> lease & 1) {
            consumer->revoked += ring_release(consumer->ring, &view) == -ESTALE;
            consumer->views--;
        }
        consumer->noted &= ~(1u << lease);
    }
    close_if_idle(consumer);
}

void consumer_give_back(struct consumer *consumer, unsigned lease)
{
    if (consumer_is_forked(consumer))
        return;
    consumer->noted |= 1u << lease;
    if (!consumer->waiting)
        give_back_noted(consumer);
}

/* ---- consumer ------------------------------------------------------------------------------ */

static PyObject *consumer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"dir", "stream", "kind", "leases", NULL};
    struct ring_consumer_config config = {0};
    int kind;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "ssiI", names, &config.dir, &config.stream,
                                     &kind, &config.leases))
        return NULL;
    config.kind = (enum ring_kind)kind;
    struct consumer *consumer = (struct consumer *)PyType_GenericAlloc(type, 0);
    if (!consumer)
        return NULL;
    consumer->forks = module_forks();
    consumer->kind = config.kind;
    int error = ring_consumer_open(&config, &consumer->ring);
    if (error < 0) {
        Py_DECREF(consumer);
        return module_raise_errno(error);
    }
    ring_consumer_want(consumer->ring, true);
    return (PyObject *)consumer;
}

static void consumer_dealloc(PyObject *self)
{
    struct consumer *consumer = (struct consumer *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc free_object = PyType_GetSlot(type, Py_tp_free);

    if (!consumer_is_forked(consumer))
        ring_consumer_close(consumer->ring);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *consumer_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct consumer *consumer = (struct consumer *)self;

    consumer->closing = true;
    if (!consumer_is_forked(consumer))
        close_if_idle(consumer);
    Py_RETURN_NONE;
}

/* 0 when the ring may be called, else -1 with an exception. */
static int check_callable(const struct consumer *consumer)
{
    if (consumer_is_forked(consumer))
        PyErr_SetString(PyExc_RuntimeError,
                        "the subscription was opened before fork() and belongs to the parent "
                        "process: subscribe in this process");
    else if (consumer->waiting)
        PyErr_SetString(PyExc_RuntimeError, "another thread waits on this subscription: subscribe "
                                            "once per thread");
    else
        return 0;
    return -1;
}

/* Lets go of the GIL and sleeps until something may have come, at most until the deadline. */
static int wait_once(struct consumer *consumer, int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns - clock_now_ns();
    int timeout_ms = WAIT_MS_MAX;

    if (left_ns < WAIT_MS_MAX * NS_PER_MS)
        timeout_ms = left_ns > 0 ? (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
    consumer->waiting = true;
    PyThreadState *thread = PyEval_SaveThread();
    ring_consumer_wait(consumer->ring, timeout_ms);
    PyEval_RestoreThread(thread);
    consumer->waiting = false;
    give_back_noted(consumer);
    return PyErr_CheckSignals();
}

/* A view, None at the deadline or when closed, or NULL with an exception. */
static PyObject *take(struct consumer *consumer, enum ring_policy policy, int64_t deadline_ns)
{
    struct ring_view view;

    while (!consumer->closing) {
        int error = ring_acquire(consumer->ring, policy, &view);
        if (error == 0)
            return view_create(consumer, &view);
        if (error == -EBUSY) {
            PyErr_SetString(PyExc_BufferError,
                            "arrays of earlier frames are still alive and hold all leases: keep "
                            "frame.pixels.copy() instead, or subscribe with more leases");
            return NULL;
        }
        if (error == -EPROTO) /* a frame that lies was skipped */
            continue;
        if (clock_now_ns() >= deadline_ns)
            break;
        if (wait_once(consumer, deadline_ns) < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *consumer_take(PyObject *self, PyObject *args)
{
    struct consumer *consumer = (struct consumer *)self;
    int latest;
    long long timeout_ns; /* negative: none */

    if (!PyArg_ParseTuple(args, "pL", &latest, &timeout_ns))
        return NULL;
    if (check_callable(consumer) < 0)
        return NULL;
    int64_t now_ns = clock_now_ns();
    int64_t deadline_ns = INT64_MAX;
    if (timeout_ns >= 0 && timeout_ns < INT64_MAX - now_ns)
        deadline_ns = now_ns + timeout_ns;
    return take(consumer, latest ? RING_LATEST : RING_NEXT, deadline_ns);
}

static PyObject *consumer_request_keyframe(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct consumer *consumer = (struct consumer *)self;

    if (check_callable(consumer) < 0)
        return NULL;
    if (consumer->ring)
        ring_consumer_request_keyframe(consumer->ring);
    Py_RETURN_NONE;
}

static PyObject *consumer_attached(PyObject *self, void *Py_UNUSED(closure))
{
    const struct consumer *consumer = (const struct consumer *)self;

    if (check_callable(consumer) < 0)
        return NULL;
    return PyBool_FromLong(consumer->ring && ring_consumer_link(consumer->ring) == RING_ATTACHED);
}

static PyObject *consumer_reason(PyObject *self, void *Py_UNUSED(closure))
{
    const struct consumer *consumer = (const struct consumer *)self;

    if (check_callable(consumer) < 0)
        return NULL;
    if (!consumer->ring)
        return PyUnicode_FromString("the subscription is closed");
    const char *reason = ring_consumer_link_reason(consumer->ring);
    return PyUnicode_DecodeUTF8(reason, (Py_ssize_t)strlen(reason), "replace");
}

/* ---- types --------------------------------------------------------------------------------- */

static PyMethodDef consumer_methods[] = {
    {"take", consumer_take, METH_VARARGS, NULL},
    {"request_keyframe", consumer_request_keyframe, METH_NOARGS, NULL},
    {"close", consumer_close, METH_NOARGS, NULL},
    {0},
};

static PyGetSetDef consumer_properties[] = {
    {.name = "attached", .get = consumer_attached},
    {.name = "reason", .get = consumer_reason},
    {0},
};

static PyMemberDef consumer_members[] = {
    {"revoked", T_ULONGLONG, offsetof(struct consumer, revoked), READONLY, NULL},
    {0},
};

static PyType_Slot consumer_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The reading side of a ring.")},
    {Py_tp_new, consumer_new},
    {Py_tp_dealloc, consumer_dealloc},
    {Py_tp_methods, consumer_methods},
    {Py_tp_getset, consumer_properties},
    {Py_tp_members, consumer_members},
    {0, NULL},
};

PyType_Spec consumer_spec = {
    .name = "simcast._ring.Consumer",
    .basicsize = sizeof(struct consumer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = consumer_slots,
};
