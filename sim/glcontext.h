/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenGL context without a window or a display server, through EGL: on the first GPU that
 * EGL can open, otherwise on Mesa's software renderer.
 *
 * Thread: create, use and destroy on one thread, which the context is current on meanwhile.
 */
#ifndef SIMCAST_SIM_GLCONTEXT_H
#define SIMCAST_SIM_GLCONTEXT_H

#include <stdbool.h>

struct glcontext;

/*
 * On success the context is current and the caller owns *ret_context.
 * Errors: -ENODEV no OpenGL here (logged, with what to install); -ENOMEM.
 */
int glcontext_create(struct glcontext **ret_context);

/* Takes NULL. */
void glcontext_destroy(struct glcontext *context);

/* The driver's name for what draws, for instance "llvmpipe (LLVM 15.0.6, 256 bits)". */
const char *glcontext_renderer(const struct glcontext *context);

/* Whether pixels are read top row first from now on; without it OpenGL hands out the bottom first.
 */
bool glcontext_read_top_first(const struct glcontext *context);

/* Whether the CPU draws, so that shadow maps are not affordable. */
bool glcontext_is_software(const struct glcontext *context);

#endif
