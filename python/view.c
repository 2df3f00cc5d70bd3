/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type View: a frame or a packet in its slot.
 *
 * A view holds a lease and exports its slot, read-only, by the buffer protocol. The lease goes
 * back when the view is released and no array over it is alive, so an array never shows memory
 * that the producer writes again. Sizes that the producer wrote are checked before they are used.
 *
 * Runs with the GIL held.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/batch.h"
#include "proto/pixel.h"
#include "proto/video.h"
#include "python/consumer.h"
#include "python/module.h"

struct view {
    PyObject ob_base;
    struct consumer *consumer; /* a reference */
    struct ring_view view;
    bool holds;    /* the lease */
    bool released; /* no new exports */
    Py_ssize_t exports;
    const uint8_t *data; /* what is exported; element 0, 0, ... */
    int dims;
    Py_ssize_t shape[4];
    Py_ssize_t strides[4];
    Py_ssize_t bytes;
    struct frame_batch batch;     /* count 0: none */
    unsigned user_skip;           /* bytes of user metadata that are simcast's own */
    unsigned long long frame_seq; /* packets */
};

/* Ends the view's lease once nothing uses it any more. */
static void view_end(struct view *view)
{
    if (!view->holds || view->exports > 0)
        return;
    view->holds = false;
    consumer_give_back(view->consumer, view->view.lease);
}

static void show_bytes(struct view *view, const void *data, size_t bytes)
{
    view->data = data;
    view->dims = 1;
    view->shape[0] = (Py_ssize_t)bytes;
    view->strides[0] = 1;
    view->bytes = view->shape[0];
}

static void read_batch(struct view *view)
{
    const struct ring_frame *frame = &view->view.frame;
    struct frame_batch batch;

    if (frame->user_bytes < sizeof(batch))
        return;
    memcpy(&batch, view->view.user, sizeof(batch));
    if (batch.magic != FRAME_BATCH_MAGIC || batch.count == 0 || frame->height % batch.count != 0)
        return;
    view->batch = batch;
    view->user_skip = sizeof(batch);
}

static void add_dim(struct view *view, uint64_t count, int64_t stride_bytes)
{
    view->shape[view->dims] = (Py_ssize_t)count;
    view->strides[view->dims] = stride_bytes;
    view->bytes *= (Py_ssize_t)count;
    view->dims++;
}

/*
 * [batch,] height, width [, channels] from the top row down, whatever the order in memory.
 * Returns false when the frame's size or layout makes no sense: then its bytes are shown as such.
 */
static bool show_picture(struct view *view)
{
    const struct ring_frame *frame = &view->view.frame;
    bool planar = frame->fourcc == PIXEL_NV12;
    uint64_t bytes =
        pixel_frame_bytes(frame->fourcc, frame->width, frame->height, frame->stride_bytes);
    unsigned pixel = pixel_bytes(frame->fourcc);
    unsigned channels = frame->fourcc == PIXEL_RGBX ? 3 : pixel;
    uint64_t rows = planar ? frame->height + ((uint64_t)frame->height + 1) / 2 : frame->height;
    int64_t row_step = frame->stride_bytes;

    if (bytes == 0 || bytes > frame->payload_bytes)
        return false;
    view->data = view->view.payload;
    if ((frame->flags & RING_FRAME_BOTTOM_UP) && !planar) {
        view->data += (int64_t)(rows - 1) * row_step;
        row_step = -row_step;
    }
    if (!planar)
        read_batch(view);
    view->bytes = 1;
    uint32_t pictures = view->batch.count ? view->batch.count : 1;
    if (view->batch.count > 0)
        add_dim(view, pictures, row_step * (int64_t)(rows / pictures));
    add_dim(view, rows / pictures, row_step);
    add_dim(view, frame->width, pixel);
    if (channels > 1)
        add_dim(view, channels, 1);
    return true;
}

static bool show_packet(struct view *view)
{
    struct video_packet_view packet;

    if (video_packet_parse(view->view.payload, view->view.frame.payload_bytes, &packet) < 0)
        return false;
    view->frame_seq = packet.header.frame_seq;
    view->view.frame.codec = packet.header.codec;
    show_bytes(view, packet.payload, packet.header.size);
    return true;
}

PyObject *view_create(struct consumer *consumer, const struct ring_view *ring_view)
{
    PyTypeObject *type = (PyTypeObject *)module_state_of((PyObject *)consumer)->view_type;
    struct view *view = (struct view *)PyType_GenericAlloc(type, 0);

    consumer->views++;
    if (!view) {
        consumer_give_back(consumer, ring_view->lease);
        return NULL;
    }
    view->consumer = (struct consumer *)Py_NewRef((PyObject *)consumer);
    view->view = *ring_view;
    view->holds = true;
    bool shown = consumer->kind == RING_KIND_PACKETS ? show_packet(view) : show_picture(view);
    if (!shown)
        show_bytes(view, ring_view->payload, ring_view->frame.payload_bytes);
    return (PyObject *)view;
}

static void view_dealloc(PyObject *self)
{
    struct view *view = (struct view *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc free_object = PyType_GetSlot(type, Py_tp_free);

    if (view->consumer)
        view_end(view);
    Py_XDECREF((PyObject *)view->consumer);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *view_release(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    struct view *view = (struct view *)self;

    view->released = true;
    view_end(view);
    Py_RETURN_NONE;
}

static int check_held(const struct view *view, PyObject *exception)
{
    if (!view->released && !consumer_is_forked(view->consumer))
        return 0;
    PyErr_SetString(exception, "the frame was released: use it before the next one is taken, or "
                               "keep frame.pixels.copy()");
    return -1;
}

static int view_get_buffer(PyObject *self, Py_buffer *buffer, int flags)
{
    struct view *view = (struct view *)self;
    Py_ssize_t stride = 1;
    bool contiguous = true;

    buffer->obj = NULL;
    if (check_held(view, PyExc_BufferError) < 0)
        return -1;
    for (int i = view->dims - 1; i >= 0; i--) {
        contiguous = contiguous && view->strides[i] == stride;
        stride *= view->shape[i];
    }
    bool strides_asked = module_asks(flags, PyBUF_STRIDES);
    bool c_asked =
        module_asks(flags, PyBUF_C_CONTIGUOUS) || module_asks(flags, PyBUF_ANY_CONTIGUOUS);
    bool f_asked = module_asks(flags, PyBUF_F_CONTIGUOUS);
    if ((!contiguous && (!strides_asked || c_asked)) || (f_asked && view->dims > 1)) {
        PyErr_SetString(PyExc_BufferError, "the picture's bytes do not lie in one run: ask for "
                                           "strides, as numpy does");
        return -1;
    }
    if (PyBuffer_FillInfo(buffer, self, (void *)(uintptr_t)view->data, view->bytes, 1, flags) < 0)
        return -1;
    if (flags & PyBUF_ND) {
        buffer->ndim = view->dims;
        buffer->shape = view->shape;
    }
    if (strides_asked)
        buffer->strides = view->strides;
    view->exports++;
    return 0;
}

static void view_release_buffer(PyObject *self, Py_buffer *Py_UNUSED(buffer))
{
    struct view *view = (struct view *)self;

    view->exports--;
    if (view->released)
        view_end(view);
}

static PyObject *view_metadata(PyObject *self, void *Py_UNUSED(closure))
{
    const struct view *view = (const struct view *)self;

    if (check_held(view, PyExc_ValueError) < 0)
        return NULL;
    return PyBytes_FromStringAndSize((const char *)view->view.user + view->user_skip,
                                     (Py_ssize_t)(view->view.frame.user_bytes - view->user_skip));
}

static PyObject *view_stamps(PyObject *self, void *Py_UNUSED(closure))
{
    const int64_t *stamps = ((const struct view *)self)->view.frame.stamp_ns;

    return Py_BuildValue(
        "(LLLLL)", (long long)stamps[RING_STAGE_RENDERED], (long long)stamps[RING_STAGE_PUBLISHED],
        (long long)stamps[RING_STAGE_ENCODE_BEGIN], (long long)stamps[RING_STAGE_ENCODE_END],
        (long long)stamps[RING_STAGE_PACKET_PUBLISHED]);
}

static PyObject *view_format(PyObject *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(pixel_name(((const struct view *)self)->view.frame.fourcc));
}

static PyObject *view_codec(PyObject *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(video_codec_name(((const struct view *)self)->view.frame.codec));
}

static PyObject *view_keyframe(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((const struct view *)self)->view.frame.flags & RING_FRAME_KEYFRAME);
}

static PyObject *view_bottom_up(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((const struct view *)self)->view.frame.flags & RING_FRAME_BOTTOM_UP);
}

static PyMethodDef view_methods[] = {
    {"release", view_release, METH_NOARGS, NULL},
    {0},
};

static PyGetSetDef view_properties[] = {
    {.name = "metadata", .get = view_metadata},
    {.name = "stamps_ns", .get = view_stamps},
    {.name = "format", .get = view_format},
    {.name = "codec", .get = view_codec},
    {.name = "keyframe", .get = view_keyframe},
    {.name = "bottom_up", .get = view_bottom_up},
    {0},
};

static PyMemberDef view_members[] = {
    {"seq", T_ULONGLONG, offsetof(struct view, view.frame.seq), READONLY, NULL},
    {"frame_id", T_ULONGLONG, offsetof(struct view, view.frame.frame_id), READONLY, NULL},
    {"width", T_UINT, offsetof(struct view, view.frame.width), READONLY, NULL},
    {"height", T_UINT, offsetof(struct view, view.frame.height), READONLY, NULL},
    {"stride_bytes", T_UINT, offsetof(struct view, view.frame.stride_bytes), READONLY, NULL},
    {"sim_time_ns", T_LONGLONG, offsetof(struct view, view.frame.sim_time_ns), READONLY, NULL},
    {"epoch", T_ULONGLONG, offsetof(struct view, view.epoch), READONLY, NULL},
    {"lost", T_ULONGLONG, offsetof(struct view, view.lost), READONLY, NULL},
    {"batch", T_UINT, offsetof(struct view, batch.count), READONLY, NULL},
    {"first_env", T_UINT, offsetof(struct view, batch.first_env), READONLY, NULL},
    {"frame_seq", T_ULONGLONG, offsetof(struct view, frame_seq), READONLY, NULL},
    {0},
};

static PyType_Slot view_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A frame or packet; its buffer is the slot itself.")},
    {Py_tp_dealloc, view_dealloc},
    {Py_tp_methods, view_methods},
    {Py_tp_getset, view_properties},
    {Py_tp_members, view_members},
    {Py_bf_getbuffer, view_get_buffer},
    {Py_bf_releasebuffer, view_release_buffer},
    {0, NULL},
};

PyType_Spec view_spec = {
    .name = "simcast._ring.View",
    .basicsize = sizeof(struct view),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = view_slots,
};
