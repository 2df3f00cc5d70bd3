/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extension module simcast._safety: safety/authority.h as a Python type, and nothing besides.
 * simcast/safety.py is what users see. All runs with the GIL held; only memory can fail.
 */
#define PY_SSIZE_T_CLEAN
#include <errno.h>

#include <Python.h>

#include "safety/authority.h"
#include "safety/authority_report.h"

struct safety {
    PyObject_HEAD;
    struct authority authority;
};

static struct authority *authority_of(PyObject *self)
{
    return &((struct safety *)self)->authority;
}

/* Three numbers from 0; anything else is a ValueError. */
static int read_limits(PyObject *values, const char *name, double ret_values[LIMITS_AXES])
{
    if (!PyArg_ParseTuple(values, "ddd", &ret_values[0], &ret_values[1], &ret_values[2]))
        return -1;
    for (unsigned i = 0; i < LIMITS_AXES; i++) {
        if (!(ret_values[i] >= 0)) {
            PyErr_Format(PyExc_ValueError, "%s must be three numbers from 0", name);
            return -1;
        }
    }
    return 0;
}

static PyObject *safety_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct authority_config config = authority_config_default;
    PyObject *speed;
    PyObject *accel;
    PyObject *jerk;
    long long now_ns;
    long long hold_ns;
    long long estop_ns;
    long long deadman_ns;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O!O!O!LLLL", &PyTuple_Type, &speed, &PyTuple_Type, &accel,
                          &PyTuple_Type, &jerk, &hold_ns, &estop_ns, &deadman_ns, &now_ns) ||
        read_limits(speed, "speed_max", config.limits.speed_max) < 0 ||
        read_limits(accel, "accel_max", config.limits.accel_max) < 0 ||
        read_limits(jerk, "jerk_max", config.limits.jerk_max) < 0)
        return NULL;
    config.gate.command_hold_ns = hold_ns;
    config.gate.command_estop_ns = estop_ns;
    config.gate.deadman_ns = deadman_ns;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *self = allocate(type, 0);
    if (self)
        authority_init(authority_of(self), &config, now_ns);
    return self;
}

static void safety_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    release(self);
    Py_DECREF(type);
}

static PyObject *report_tuple(const struct authority_report *report)
{
    if (report->bytes == 0)
        return PyErr_NoMemory();
    return Py_BuildValue("(sy#)", report->subject, report->payload, (Py_ssize_t)report->bytes);
}

/* (changed, timed_out) */
static PyObject *news_tuple(struct authority_news news)
{
    return Py_BuildValue("(NN)", PyBool_FromLong(news.changed), PyBool_FromLong(news.timed_out));
}

static PyObject *safety_take(PyObject *self, PyObject *args)
{
    struct authority_message message = {0};
    struct authority_report ack;
    struct authority_news news;
    struct command command;
    Py_ssize_t payload_bytes;
    unsigned long long epoch;
    long long sent_ns;
    long long now_ns;

    if (!PyArg_ParseTuple(args, "sy#KLL", &message.subject, &message.payload, &payload_bytes,
                          &epoch, &sent_ns, &now_ns))
        return NULL;
    message.payload_bytes = (size_t)payload_bytes;
    message.epoch = epoch;
    message.sent_ns = sent_ns;
    int result = authority_take(authority_of(self), &message, now_ns, &command, &news);
    if (result == -ENOTSUP)
        Py_RETURN_NONE;
    if (result == -EAGAIN)
        return Py_BuildValue("(OsNNN)", Py_None, "", PyBool_FromLong(news.changed),
                             PyBool_FromLong(news.timed_out), PyBytes_FromString(""));
    authority_report_ack(&command, news.detail, &ack);
    bool tell = command.has_cmd_seq || news.detail;
    bool carry_out = news.accepted && command.origin == COMMAND_FROM_CLIENT;
    return Py_BuildValue("(ssNNy#)", carry_out ? command_name(command.action) : NULL,
                         news.detail ? news.detail : "", PyBool_FromLong(news.changed),
                         PyBool_FromLong(news.timed_out), ack.payload,
                         (Py_ssize_t)(tell ? ack.bytes : 0));
}

static PyObject *safety_bus(PyObject *self, PyObject *args)
{
    int connected;
    long long now_ns;

    if (!PyArg_ParseTuple(args, "pL", &connected, &now_ns))
        return NULL;
    return news_tuple(authority_bus(authority_of(self), connected, now_ns));
}

static PyObject *safety_tick(PyObject *self, PyObject *args)
{
    long long now_ns;

    if (!PyArg_ParseTuple(args, "L", &now_ns))
        return NULL;
    return news_tuple(authority_tick(authority_of(self), now_ns));
}

static PyObject *safety_still(PyObject *self, PyObject *unused)
{
    (void)unused;
    authority_still(authority_of(self));
    Py_RETURN_NONE;
}

static PyObject *safety_state(PyObject *self, PyObject *args)
{
    struct authority_report report;
    unsigned long long state_id;
    long long now_ns;

    if (!PyArg_ParseTuple(args, "KL", &state_id, &now_ns))
        return NULL;
    authority_report_state(authority_of(self), state_id, now_ns, &report);
    return report_tuple(&report);
}

static PyObject *safety_timeout(PyObject *self, PyObject *unused)
{
    struct authority_report report;

    (void)unused;
    authority_report_timeout(authority_of(self), &report);
    return report_tuple(&report);
}

static PyObject *safety_velocity_report(PyObject *self, PyObject *unused)
{
    struct authority_report report;

    (void)unused;
    authority_report_velocity(authority_of(self), &report);
    return report_tuple(&report);
}

static PyObject *get_velocity(PyObject *self, void *unused)
{
    const double *velocity = authority_of(self)->velocity;

    (void)unused;
    return Py_BuildValue("(ddd)", velocity[0], velocity[1], velocity[2]);
}

static PyObject *get_mode(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(gate_mode_name(authority_of(self)->gate.mode));
}

static PyObject *get_reason(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(gate_reason_name(authority_of(self)->gate.reason));
}

static PyObject *get_epoch(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(authority_of(self)->gate.epoch);
}

static PyObject *get_accepted(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(authority_of(self)->accepted);
}

static PyObject *get_refused(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(authority_of(self)->refused);
}

static PyMethodDef methods[] = {
    {"take", safety_take, METH_VARARGS, NULL},
    {"bus", safety_bus, METH_VARARGS, NULL},
    {"tick", safety_tick, METH_VARARGS, NULL},
    {"still", safety_still, METH_NOARGS, NULL},
    {"state", safety_state, METH_VARARGS, NULL},
    {"timeout", safety_timeout, METH_NOARGS, NULL},
    {"velocity_report", safety_velocity_report, METH_NOARGS, NULL},
    {0},
};

static PyGetSetDef getters[] = {
    {.name = "velocity", .get = get_velocity},
    {.name = "mode", .get = get_mode},
    {.name = "reason", .get = get_reason},
    {.name = "epoch", .get = get_epoch},
    {.name = "accepted", .get = get_accepted},
    {.name = "refused", .get = get_refused},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_new, safety_new},
    {Py_tp_dealloc, safety_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {Py_tp_doc, "safety/authority.h; use simcast.Safety."},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "simcast._safety.Authority",
    .basicsize = sizeof(struct safety),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

static int module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    int error = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;

    Py_XDECREF(type);
    return error;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "simcast._safety",
    .m_doc = PyDoc_STR("The safety authority. Use the package simcast."),
    .m_slots = module_slots,
};

/* The interpreter looks for this name. */
PyMODINIT_FUNC PyInit__safety(void) // NOLINT(readability-identifier-naming)
{
    return PyModuleDef_Init(&module_def);
}
