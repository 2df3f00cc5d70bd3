/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that a Python object lends us, whatever it is: shape and strides of the buffer protocol,
 * of DLPack, or of __cuda_array_interface__, as one struct.
 *
 * Thread: with the GIL held, except that the bytes may be read without it until array_close.
 * Cost: no copy.
 */
#ifndef SIMCAST_PYTHON_ARRAY_H
#define SIMCAST_PYTHON_ARRAY_H

#include <stdbool.h>
#include <stdint.h>

#include <Python.h>

#define ARRAY_DIMS_MAX 8

enum array_place { ARRAY_HOST, ARRAY_CUDA };

struct array {
    const uint8_t *data; /* element 0, 0, ...; never dereferenced here; on the GPU for ARRAY_CUDA */
    enum array_place place;
    uint64_t cuda_stream; /* the data is ready once this has been synchronized; 0: now */
    int dims;
    int64_t shape[ARRAY_DIMS_MAX];
    int64_t strides_bytes[ARRAY_DIMS_MAX]; /* may be negative or 0 */
    Py_buffer buffer;                      /* held when buffer.obj is set */
    PyObject *owner;                       /* what else keeps the bytes alive, or NULL */
};

/*
 * Opens a source of uint8 elements; the caller ends it with array_close. Returns -1 with an
 * exception that names the remedy: TypeError for what is no array or not of uint8, ValueError for
 * a description that contradicts itself, or what the object itself raised.
 */
int array_open(PyObject *source, struct array *ret_array);

void array_close(struct array *array);

#endif
