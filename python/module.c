/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extension module simcast._ring: its types, its constants, and the count of forks. A type
 * that cannot be made is an ImportError; nothing else here fails.
 */
#include "python/module.h"

#include <errno.h>
#include <pthread.h>

#include "proto/pixel.h"
#include "shm/ring.h"

static unsigned forks;

static void count_fork(void)
{
    forks++;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned module_forks(void)
{
    return forks;
}

struct module_state *module_state_of(PyObject *object)
{
    return PyType_GetModuleState(Py_TYPE(object));
}

PyObject *module_raise_errno(int error)
{
    errno = -error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static int add_type(PyObject *module, PyType_Spec *spec, PyObject **ret_type)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);

    if (!type)
        return -1;
    int error = PyModule_AddType(module, (PyTypeObject *)type);
    if (error == 0 && ret_type)
        *ret_type = Py_NewRef(type);
    Py_DECREF(type);
    return error;
}

/* FORMATS: the names of proto/pixel.h to their fourcc codes. */
static int add_formats(PyObject *module)
{
    static const uint32_t fourccs[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_RGBX,
                                       PIXEL_BGRA,  PIXEL_NV12, PIXEL_GREY};
    PyObject *formats = PyDict_New();
    int error = formats ? 0 : -1;

    for (size_t i = 0; error == 0 && i < sizeof(fourccs) / sizeof(fourccs[0]); i++) {
        PyObject *fourcc = PyLong_FromUnsignedLong(fourccs[i]);
        error = fourcc ? PyDict_SetItemString(formats, pixel_name(fourccs[i]), fourcc) : -1;
        Py_XDECREF(fourcc);
    }
    if (error == 0)
        error = PyModule_AddObjectRef(module, "FORMATS", formats);
    Py_XDECREF(formats);
    return error;
}

static int module_exec(PyObject *module)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct module_state *state = PyModule_GetState(module);

    pthread_once(&once, watch_forks);
    if (add_type(module, &producer_spec, NULL) < 0 ||
        add_type(module, &loan_spec, &state->loan_type) < 0 ||
        add_type(module, &consumer_spec, NULL) < 0 ||
        add_type(module, &view_spec, &state->view_type) < 0 || add_formats(module) < 0)
        return -1;
    if (PyModule_AddIntConstant(module, "KIND_FRAMES", RING_KIND_FRAMES) < 0 ||
        PyModule_AddIntConstant(module, "KIND_PACKETS", RING_KIND_PACKETS) < 0 ||
        PyModule_AddIntConstant(module, "METADATA_BYTES_MAX", RING_USER_BYTES) < 0 ||
        PyModule_AddIntConstant(module, "PRODUCER_LEASES_MAX", RING_LEASES_MAX) < 0 ||
        PyModule_AddIntConstant(module, "CONSUMER_LEASES_MAX", RING_CONSUMER_LEASES_MAX) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "DIR_DEFAULT", RING_DIR_DEFAULT);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct module_state *state = PyModule_GetState(module);

    Py_VISIT(state->loan_type);
    Py_VISIT(state->view_type);
    return 0;
}

static int module_clear(PyObject *module)
{
    struct module_state *state = PyModule_GetState(module);

    Py_CLEAR(state->loan_type);
    Py_CLEAR(state->view_type);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "simcast._ring",
    .m_doc = PyDoc_STR("Producers and consumers of simcast's rings. Use the package simcast."),
    .m_size = sizeof(struct module_state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

/* The interpreter looks for this name. */
PyMODINIT_FUNC PyInit__ring(void) // NOLINT(readability-identifier-naming)
{
    return PyModuleDef_Init(&module_def);
}
