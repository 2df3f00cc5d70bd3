/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the extension module simcast._ring share: its types, its state, and the guard
 * against fork. Python code uses it through simcast/camera.py and simcast/subscription.py.
 *
 * Thread: every function here and every type's methods run with the GIL held; where a method lets
 * go of it, its comment says so.
 */
#ifndef SIMCAST_PYTHON_MODULE_H
#define SIMCAST_PYTHON_MODULE_H

#include <stdbool.h>

#include <Python.h>
#include <structmember.h> /* T_UINT and its like; needs Python.h first */

struct module_state {
    PyObject *loan_type;
    PyObject *view_type;
};

extern PyType_Spec producer_spec;
extern PyType_Spec loan_spec;
extern PyType_Spec consumer_spec;
extern PyType_Spec view_spec;

/* Of the module that defines the object's type, which must be one of the four above. */
struct module_state *module_state_of(PyObject *object);

/*
 * How often this process image was forked since the module was loaded, as seen by the child. An
 * object that remembers another number was opened by a parent process: its ring is not ours.
 */
unsigned module_forks(void);

/* Whether the flags of a buffer request contain all of `what`, which may be several bits. */
static inline bool module_asks(int flags, int what)
{
    return (flags & what) == what;
}

/* Raises OSError with errno -error. Returns NULL. */
PyObject *module_raise_errno(int error);

#endif
