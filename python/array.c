/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three protocols, tried in this order: the buffer protocol (numpy, bytes, memoryview),
 * __cuda_array_interface__ (torch, CuPy, Warp, JAX on a GPU), DLPack (torch and JAX on the host).
 * Everything that an object says about itself is checked for type and range; that its memory is
 * as large as it says cannot be.
 */
#include "python/array.h"

#include <stdio.h>
#include <string.h>

#define CUDA_STREAM_LEGACY 1 /* waits for other streams by itself, so nothing is to be done */

static int refuse_type(const char *type)
{
    PyErr_Format(PyExc_TypeError,
                 "pixels must be uint8 and are %.50s: convert them first, for floats in 0..1 with "
                 "(img * 255).astype(numpy.uint8) or (img * 255).to(torch.uint8)",
                 type);
    return -1;
}

static int refuse_dims(long long dims)
{
    PyErr_Format(PyExc_ValueError,
                 "pixels have %lld dimensions: pass (height, width, channels), or "
                 "(batch, height, width, channels) to a camera opened with batch",
                 dims);
    return -1;
}

static void fill_contiguous_strides(struct array *array)
{
    int64_t stride = 1;

    for (int i = array->dims - 1; i >= 0; i--) {
        array->strides_bytes[i] = stride;
        if (__builtin_mul_overflow(stride, array->shape[i], &stride))
            stride = 0; /* no camera has this shape: it is refused by whoever compares shapes */
    }
}

/* ---- the buffer protocol ------------------------------------------------------------------ */

static bool is_uint8_format(const char *format)
{
    if (!format)
        return true;
    if (*format != '\0' && strchr("@=<>!|", *format))
        format++;
    return strcmp(format, "B") == 0;
}

static int open_buffer(PyObject *source, struct array *array)
{
    if (PyObject_GetBuffer(source, &array->buffer, PyBUF_RECORDS_RO) < 0)
        return -1;
    const Py_buffer *buffer = &array->buffer;
    if (buffer->itemsize != 1 || !is_uint8_format(buffer->format))
        return refuse_type(buffer->format ? buffer->format : "unknown");
    if (buffer->ndim < 1 || buffer->ndim > ARRAY_DIMS_MAX)
        return refuse_dims(buffer->ndim);
    array->data = buffer->buf;
    array->dims = buffer->ndim;
    for (int i = 0; i < array->dims; i++) {
        array->shape[i] = buffer->shape[i];
        array->strides_bytes[i] = buffer->strides[i];
    }
    return 0;
}

/* ---- DLPack ------------------------------------------------------------------------------- */

/* Source: dlpack.h, version 0.8; the layout has been the same since 0.2. */
enum dl_device_type { DL_CPU = 1, DL_CUDA = 2, DL_CUDA_HOST = 3, DL_CUDA_MANAGED = 13 };
enum dl_type_code { DL_INT, DL_UINT, DL_FLOAT };

struct dl_tensor {
    void *data;
    int32_t device_type;
    int32_t device_id;
    int32_t dims;
    uint8_t type_code;
    uint8_t type_bits;
    uint16_t type_lanes;
    int64_t *shape;
    int64_t *strides; /* in elements; NULL: contiguous */
    uint64_t byte_offset;
};

/*
 * The capsule is not renamed to "used_dltensor": we only borrow the tensor, and the capsule's own
 * destructor frees it when we let go of the capsule.
 */
static int take_tensor(const struct dl_tensor *tensor, struct array *array)
{
    bool on_gpu = tensor->device_type == DL_CUDA || tensor->device_type == DL_CUDA_MANAGED;

    if (!on_gpu && tensor->device_type != DL_CPU && tensor->device_type != DL_CUDA_HOST) {
        PyErr_Format(PyExc_TypeError,
                     "the tensor lies on DLPack device type %d: copy it to the host first, "
                     "e.g. tensor.cpu()",
                     (int)tensor->device_type);
        return -1;
    }
    if (tensor->type_code != DL_UINT || tensor->type_bits != 8 || tensor->type_lanes != 1) {
        char type[40];
        snprintf(type, sizeof(type), "DLPack type %u of %u bits", tensor->type_code,
                 tensor->type_bits);
        return refuse_type(type);
    }
    if (tensor->dims < 1 || tensor->dims > ARRAY_DIMS_MAX)
        return refuse_dims(tensor->dims);
    array->data = (const uint8_t *)tensor->data + tensor->byte_offset;
    array->place = on_gpu ? ARRAY_CUDA : ARRAY_HOST;
    array->dims = tensor->dims;
    memcpy(array->shape, tensor->shape, (size_t)array->dims * sizeof(array->shape[0]));
    if (tensor->strides)
        memcpy(array->strides_bytes, tensor->strides,
               (size_t)array->dims * sizeof(array->strides_bytes[0]));
    else
        fill_contiguous_strides(array);
    return 0;
}

/* 1 on a CUDA device, 0 elsewhere or when the object cannot tell, -1 with an exception. */
static int dlpack_on_cuda(PyObject *source)
{
    PyObject *device = PyObject_CallMethod(source, "__dlpack_device__", NULL);
    long type = 0;

    if (!device) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    PyObject *first = PySequence_GetItem(device, 0);
    Py_DECREF(device);
    if (first)
        type = PyLong_AsLong(first);
    Py_XDECREF(first);
    if (PyErr_Occurred())
        return -1;
    return type == DL_CUDA || type == DL_CUDA_MANAGED;
}

static int open_dlpack(PyObject *source, PyObject *export, struct array *array)
{
    int on_cuda = dlpack_on_cuda(source);

    if (on_cuda < 0)
        return -1;
    PyObject *no_arguments = PyTuple_New(0);
    PyObject *keywords =
        on_cuda ? Py_BuildValue("{s:i}", "stream", CUDA_STREAM_LEGACY) : PyDict_New();
    if (no_arguments && keywords)
        array->owner = PyObject_Call(export, no_arguments, keywords);
    Py_XDECREF(no_arguments);
    Py_XDECREF(keywords);
    if (!array->owner)
        return -1;
    const struct dl_tensor *tensor = NULL;
    if (PyCapsule_IsValid(array->owner, "dltensor"))
        tensor = PyCapsule_GetPointer(array->owner, "dltensor");
    if (!tensor) {
        PyErr_SetString(PyExc_TypeError, "__dlpack__() returned no capsule named \"dltensor\"");
        return -1;
    }
    return take_tensor(tensor, array);
}

/* ---- __cuda_array_interface__ ------------------------------------------------------------- */

/* Fills `into` from a tuple of integers; returns its length, or -1 with an exception. */
static int read_integers(PyObject *tuple, const char *key, int64_t into[ARRAY_DIMS_MAX])
{
    if (!tuple || !PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_ValueError, "__cuda_array_interface__: %s is not a tuple", key);
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(tuple);
    if (count < 1 || count > ARRAY_DIMS_MAX)
        return refuse_dims(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        into[i] = PyLong_AsLongLong(PyTuple_GetItem(tuple, i));
        if (PyErr_Occurred())
            return -1;
    }
    return (int)count;
}

static int read_cuda_type(PyObject *interface)
{
    PyObject *type = PyDict_GetItemString(interface, "typestr");
    const char *text = type && PyUnicode_Check(type) ? PyUnicode_AsUTF8AndSize(type, NULL) : NULL;

    if (PyErr_Occurred())
        return -1;
    if (!text || strlen(text) < 3 || strcmp(text + 1, "u1") != 0)
        return refuse_type(text ? text : "of no type");
    return 0;
}

static int read_cuda_data(PyObject *interface, struct array *array)
{
    PyObject *data = PyDict_GetItemString(interface, "data");
    PyObject *stream = PyDict_GetItemString(interface, "stream");

    if (!data || !PyTuple_Check(data) || PyTuple_Size(data) != 2) {
        PyErr_SetString(PyExc_ValueError, "__cuda_array_interface__: data is not a pair");
        return -1;
    }
    array->data = (const uint8_t *)(uintptr_t)PyLong_AsUnsignedLongLong(PyTuple_GetItem(data, 0));
    if (PyErr_Occurred())
        return -1;
    if (stream && stream != Py_None) {
        array->cuda_stream = PyLong_AsUnsignedLongLong(stream);
        if (PyErr_Occurred())
            return -1;
        if (array->cuda_stream == CUDA_STREAM_LEGACY)
            array->cuda_stream = 0;
    }
    return 0;
}

static int open_cuda(PyObject *interface, struct array *array)
{
    if (!PyDict_Check(interface)) {
        PyErr_SetString(PyExc_TypeError, "__cuda_array_interface__ is not a dict");
        return -1;
    }
    array->place = ARRAY_CUDA;
    if (read_cuda_type(interface) < 0 || read_cuda_data(interface, array) < 0)
        return -1;
    array->dims = read_integers(PyDict_GetItemString(interface, "shape"), "shape", array->shape);
    if (array->dims < 0)
        return -1;
    PyObject *strides = PyDict_GetItemString(interface, "strides");
    if (!strides || strides == Py_None) {
        fill_contiguous_strides(array);
        return 0;
    }
    int count = read_integers(strides, "strides", array->strides_bytes);
    if (count >= 0 && count != array->dims)
        PyErr_SetString(PyExc_ValueError, "__cuda_array_interface__: strides do not fit shape");
    return count == array->dims ? 0 : -1;
}

/* ---- open and close ------------------------------------------------------------------------ */

/* The attribute, or NULL without an exception when there is none; NULL with one when it failed. */
static PyObject *find_attribute(PyObject *object, const char *name)
{
    PyObject *attribute = PyObject_GetAttrString(object, name);

    if (!attribute && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    return attribute;
}

static int open_any(PyObject *source, struct array *array)
{
    if (PyObject_CheckBuffer(source))
        return open_buffer(source, array);
    PyObject *attribute = find_attribute(source, "__cuda_array_interface__");
    if (attribute) {
        int error = open_cuda(attribute, array);
        Py_DECREF(attribute);
        array->owner = Py_NewRef(source);
        return error;
    }
    if (PyErr_Occurred())
        return -1;
    attribute = find_attribute(source, "__dlpack__");
    if (attribute) {
        int error = open_dlpack(source, attribute, array);
        Py_DECREF(attribute);
        return error;
    }
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_TypeError,
                     "%R has neither the buffer protocol nor __dlpack__ nor "
                     "__cuda_array_interface__: pass a numpy array or a tensor",
                     (PyObject *)Py_TYPE(source));
    return -1;
}

int array_open(PyObject *source, struct array *ret_array)
{
    *ret_array = (struct array){.place = ARRAY_HOST};
    int error = open_any(source, ret_array);
    if (error < 0)
        array_close(ret_array);
    return error;
}

void array_close(struct array *array)
{
    if (array->buffer.obj)
        PyBuffer_Release(&array->buffer);
    Py_CLEAR(array->owner);
}
