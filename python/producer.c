/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type Producer: opening a frame ring, publishing arrays, closing.
 *
 * Runs with the GIL held, but for the copy in publish(): `copying` keeps other threads out. Loans
 * and a thread that copies keep the ring open beyond close().
 */
#include "python/producer.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "proto/batch.h"
#include "proto/pixel.h"
#include "python/array.h"
#include "python/cuda.h"
#include "python/module.h"

/* ---- producer ----------------------------------------------------------------------------- */

bool producer_is_forked(const struct producer *producer)
{
    return producer->forks != module_forks();
}

/* 0 when the producer can be written to, else -1 with an exception. */
int producer_check_usable(const struct producer *producer)
{
    if (!producer->ring || producer->closing)
        PyErr_SetString(PyExc_ValueError, "the camera is closed");
    else if (producer_is_forked(producer))
        PyErr_SetString(PyExc_RuntimeError,
                        "the camera was opened before fork() and belongs to the parent process: "
                        "open one in this process, under another stream name");
    else if (producer->copying)
        PyErr_SetString(PyExc_RuntimeError,
                        "another thread publishes on this camera just now: use one thread per "
                        "camera, or a lock");
    else if (producer->loan_out)
        PyErr_SetString(PyExc_BufferError,
                        "an earlier loan is still out: leave its with block, and drop every array "
                        "made from its pixels (del it, or keep a .copy() instead)");
    else
        return 0;
    return -1;
}

void producer_close_if_idle(struct producer *producer)
{
    if (!producer->closing || producer->copying || producer->loan_out ||
        producer_is_forked(producer))
        return;
    ring_producer_close(producer->ring);
    producer->ring = NULL;
}

static int read_config(PyObject *args, PyObject *keywords, struct ring_producer_config *config,
                       struct producer *producer)
{
    static char *names[] = {"dir",       "stream", "width",        "height", "fourcc",      "batch",
                            "first_env", "leases", "lease_ns_max", "pin",    "cuda_device", NULL};
    struct picture_shape *shape = &producer->shape;
    long long lease_ns_max;
    int pin;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "ssIIIIIILpi", names, &config->dir,
                                     &config->stream, &shape->width, &shape->height, &shape->fourcc,
                                     &shape->batch, &producer->first_env, &config->leases_max,
                                     &lease_ns_max, &pin, &config->cuda_device))
        return -1;
    config->kind = RING_KIND_FRAMES;
    config->payload_bytes_max = picture_slot_bytes(shape);
    config->lease_ns_max = lease_ns_max;
    config->pin_for_cuda = pin;
    if (config->payload_bytes_max == 0 || (shape->batch > 0 && shape->fourcc == PIXEL_NV12)) {
        PyErr_SetString(PyExc_ValueError, "no frame can have this format and size");
        return -1;
    }
    return 0;
}

/* Lets go of the GIL while the ring's memory is reserved. */
static PyObject *producer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    struct ring_producer_config config = {0};
    struct producer *producer = (struct producer *)PyType_GenericAlloc(type, 0);

    if (!producer)
        return NULL;
    producer->forks = module_forks();
    if (read_config(args, keywords, &config, producer) < 0) {
        Py_DECREF(producer);
        return NULL;
    }
    PyThreadState *thread = PyEval_SaveThread();
    int error = ring_producer_open(&config, &producer->ring);
    PyEval_RestoreThread(thread);
    if (error < 0) {
        Py_DECREF(producer);
        return module_raise_errno(error);
    }
    return (PyObject *)producer;
}

/* In a forked child the ring is the parent's: leave its socket and its memory alone. */
static void producer_dealloc(PyObject *self)
{
    struct producer *producer = (struct producer *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc free_object = PyType_GetSlot(type, Py_tp_free);

    producer->closing = true;
    producer_close_if_idle(producer);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *producer_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct producer *producer = (struct producer *)self;

    producer->closing = true;
    producer_close_if_idle(producer);
    Py_RETURN_NONE;
}

static struct ring_demand demand_of(const struct producer *producer)
{
    struct ring_demand demand = {0};

    if (producer->ring && !producer_is_forked(producer))
        ring_producer_demand(producer->ring, &demand);
    return demand;
}

static PyObject *producer_consumers(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(demand_of((struct producer *)self).consumers);
}

static PyObject *producer_wanting(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(demand_of((struct producer *)self).wanting);
}

/* Why the memory is not pinned; "" when it is, or was not asked to be. */
static PyObject *producer_pin_reason(PyObject *self, void *Py_UNUSED(closure))
{
    const struct producer *producer = (const struct producer *)self;

    if (!producer->ring || producer_is_forked(producer))
        return PyUnicode_FromString("the camera is closed");
    return PyUnicode_FromString(ring_producer_pin_reason(producer->ring));
}

/* ---- what is said about a frame ------------------------------------------------------------ */

static size_t metadata_bytes_max(const struct producer *producer)
{
    return RING_USER_BYTES - (producer->shape.batch > 0 ? sizeof(struct frame_batch) : 0);
}

int producer_check_remarks(const struct producer *producer, const struct remarks *remarks)
{
    size_t bytes_max = metadata_bytes_max(producer);

    if ((size_t)remarks->metadata.len > bytes_max) {
        PyErr_Format(PyExc_ValueError, "metadata has %zd bytes and may have %zu: shorten it",
                     remarks->metadata.len, bytes_max);
        return -1;
    }
    if (remarks->bottom_up && producer->shape.fourcc == PIXEL_NV12) {
        PyErr_SetString(PyExc_ValueError, "NV12 cannot be bottom-up: flip both of its planes");
        return -1;
    }
    return 0;
}

/* Writes the user metadata; returns its length. */
uint32_t producer_write_metadata(const struct producer *producer, const struct remarks *remarks,
                                 uint8_t *user)
{
    struct frame_batch batch = {
        .magic = FRAME_BATCH_MAGIC,
        .count = producer->shape.batch,
        .first_env = producer->first_env,
    };
    uint32_t used = 0;

    if (batch.count > 0) {
        memcpy(user, &batch, sizeof(batch));
        used = sizeof(batch);
    }
    memcpy(user + used, remarks->metadata.buf, (size_t)remarks->metadata.len);
    return used + (uint32_t)remarks->metadata.len;
}

struct ring_frame producer_make_frame(const struct producer *producer,
                                      const struct remarks *remarks, uint32_t fourcc,
                                      bool bottom_up)
{
    const struct picture_shape *shape = &producer->shape;
    struct ring_frame frame = {
        .frame_id = remarks->frame_id,
        .flags = RING_FRAME_KEYFRAME | (bottom_up ? RING_FRAME_BOTTOM_UP : 0),
        .fourcc = fourcc,
        .width = shape->width,
        .height = shape->height * (shape->batch ? shape->batch : 1),
        .stride_bytes = shape->width * pixel_bytes(fourcc),
        .matrix = fourcc == PIXEL_NV12 ? RING_MATRIX_BT601 : RING_MATRIX_SRGB,
        .range = fourcc == PIXEL_NV12 ? RING_RANGE_LIMITED : RING_RANGE_FULL,
        .sim_time_ns = remarks->sim_time_ns,
        .stamp_ns[RING_STAGE_RENDERED] = clock_now_ns(),
    };

    frame.payload_bytes = pixel_frame_bytes(fourcc, frame.width, frame.height, frame.stride_bytes);
    return frame;
}

/* ---- publish ------------------------------------------------------------------------------- */

static PyObject *tuple_of(const int64_t *values, int count)
{
    PyObject *tuple = PyTuple_New(count);

    for (int i = 0; tuple && i < count; i++) {
        PyObject *value = PyLong_FromLongLong(values[i]);
        if (value && PyTuple_SetItem(tuple, i, value) == 0)
            continue;
        Py_DECREF(tuple);
        return NULL;
    }
    return tuple;
}

static const char *shape_remedy(const struct picture_shape *shape, const struct array *array)
{
    int64_t channels = array->shape[array->dims - 1];

    if (shape->fourcc == PIXEL_RGB24 && channels == 4)
        return "drop alpha with img[..., :3], a view that costs nothing";
    if (pixel_bytes(shape->fourcc) == 4 && channels == 3)
        return "open the camera with format=\"rgb24\"";
    if (array->dims == 4 && shape->batch == 0)
        return "open the camera with batch, the number of pictures";
    return "open the camera with the picture's width, height and batch, or resize the picture";
}

static int refuse_picture(const struct picture_shape *shape, const struct array *array, int error)
{
    struct picture_dims dims = picture_dims(shape);

    if (error == -ERANGE) {
        PyErr_SetString(PyExc_ValueError, "the array's strides are gigabytes: pass img.copy()");
        return -1;
    }
    PyObject *mine = tuple_of(dims.shape, dims.dims);
    PyObject *given = tuple_of(array->shape, array->dims);
    if (mine && given)
        PyErr_Format(PyExc_ValueError, "this camera takes pixels of shape %R and got %R: %s", mine,
                     given, shape_remedy(shape, array));
    Py_XDECREF(mine);
    Py_XDECREF(given);
    return -1;
}

/* The plan for a source that is open, or -1 with an exception. */
static int plan_copy(const struct producer *producer, const struct array *array, bool bottom_up,
                     struct picture_plan *ret_plan)
{
    const char *reason;
    int error = picture_plan(&producer->shape, array, bottom_up, ret_plan);

    if (error < 0)
        return refuse_picture(&producer->shape, array, error);
    if (array->place == ARRAY_CUDA && cuda_load(&reason) < 0) {
        PyErr_Format(PyExc_RuntimeError,
                     "pixels are on a GPU and cannot be read: %s; pass them from host memory, "
                     "e.g. tensor.cpu()",
                     reason);
        return -1;
    }
    return 0;
}

/*
 * The copy and the publishing, without the GIL. Returns the sequence number, or what cuda_copy
 * said.
 */
static int64_t copy_and_publish(struct producer *producer, const struct array *array,
                                const struct picture_plan *plan, const struct remarks *remarks,
                                const char **ret_reason)
{
    struct ring_frame frame = producer_make_frame(producer, remarks, plan->fourcc, plan->bottom_up);
    struct ring_loan loan;
    int error = ring_loan(producer->ring, &loan);

    if (error < 0)
        return error;
    if (array->place == ARRAY_CUDA)
        error = cuda_copy(plan, array->cuda_stream, loan.payload, ret_reason);
    else
        picture_copy(plan, loan.payload);
    if (error < 0) {
        ring_abandon(producer->ring, &loan);
        return error;
    }
    frame.user_bytes = producer_write_metadata(producer, remarks, loan.user);
    return ring_publish(producer->ring, &loan, &frame);
}

static PyObject *result_of(int64_t seq, const char *reason)
{
    if (seq == -EPROTONOSUPPORT) {
        PyErr_SetString(PyExc_ValueError,
                        "pixels on a GPU must lie in whole rows: pass tensor.contiguous()");
        return NULL;
    }
    if (seq == -EIO) {
        PyErr_Format(PyExc_RuntimeError, "copying from the GPU failed: %s", reason);
        return NULL;
    }
    return seq < 0 ? module_raise_errno((int)seq) : PyLong_FromLongLong(seq);
}

static PyObject *publish_array(struct producer *producer, const struct array *array,
                               const struct remarks *remarks)
{
    struct picture_plan plan;
    const char *reason = "";

    if (plan_copy(producer, array, remarks->bottom_up, &plan) < 0)
        return NULL;
    producer->copying = true;
    PyThreadState *thread = PyEval_SaveThread();
    int64_t seq = copy_and_publish(producer, array, &plan, remarks, &reason);
    PyEval_RestoreThread(thread);
    producer->copying = false;
    producer_close_if_idle(producer);
    return result_of(seq, reason);
}

/* Lets go of the GIL while it copies. Opening the source may run Python code of the caller's. */
static PyObject *producer_publish(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"source", "frame_id", "sim_time_ns", "metadata", "bottom_up", NULL};
    struct producer *producer = (struct producer *)self;
    struct remarks remarks = {0};
    struct array array;
    PyObject *source;
    PyObject *result = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OKLy*p", names, &source, &remarks.frame_id,
                                     &remarks.sim_time_ns, &remarks.metadata, &remarks.bottom_up))
        return NULL;
    if (producer_check_remarks(producer, &remarks) == 0 && array_open(source, &array) == 0) {
        if (producer_check_usable(producer) == 0)
            result = publish_array(producer, &array, &remarks);
        array_close(&array);
    }
    PyBuffer_Release(&remarks.metadata);
    return result;
}

/* ---- types --------------------------------------------------------------------------------- */

static PyMethodDef producer_methods[] = {
    {"publish", (PyCFunction)(void (*)(void))producer_publish, METH_VARARGS | METH_KEYWORDS, NULL},
    {"loan", producer_loan, METH_NOARGS, NULL},
    {"close", producer_close, METH_NOARGS, NULL},
    {0},
};

static PyGetSetDef producer_properties[] = {
    {.name = "consumers", .get = producer_consumers},
    {.name = "wanting", .get = producer_wanting},
    {.name = "pin_reason", .get = producer_pin_reason},
    {0},
};

static PyType_Slot producer_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The writing side of a frame ring.")},
    {Py_tp_new, producer_new},
    {Py_tp_dealloc, producer_dealloc},
    {Py_tp_methods, producer_methods},
    {Py_tp_getset, producer_properties},
    {0, NULL},
};

PyType_Spec producer_spec = {
    .name = "simcast._ring.Producer",
    .basicsize = sizeof(struct producer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = producer_slots,
};
