/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the EGL display and context; the only file that knows EGL and OpenGL. Runs on the render
 * thread. Each candidate display is tried to the end (initialise, choose, create, make current),
 * because a driver may be installed without its device.
 */
#include "sim/glcontext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GL/gl.h>

#include "base/log.h"

#define DEVICES_MAX 16
#define PACK_INVERT 0x8758 /* GL_PACK_INVERT_MESA */

struct glcontext {
    EGLDisplay display;
    EGLContext context;
    bool software;
    bool top_first;
};

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = words; at && (at = strstr(at, word)); at += length) {
        bool starts = at == words || at[-1] == ' ';
        if (starts && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

static EGLContext create_on(EGLDisplay display)
{
    static const EGLint config_wanted[] = {EGL_SURFACE_TYPE,
                                           EGL_PBUFFER_BIT,
                                           EGL_RENDERABLE_TYPE,
                                           EGL_OPENGL_BIT,
                                           EGL_RED_SIZE,
                                           8,
                                           EGL_GREEN_SIZE,
                                           8,
                                           EGL_BLUE_SIZE,
                                           8,
                                           EGL_NONE};
    EGLConfig config;
    EGLint count = 0;

    if (!eglBindAPI(EGL_OPENGL_API) ||
        !eglChooseConfig(display, config_wanted, &config, 1, &count) || count < 1)
        return EGL_NO_CONTEXT;
    EGLContext context = eglCreateContext(display, config, EGL_NO_CONTEXT, NULL);
    if (context == EGL_NO_CONTEXT)
        return EGL_NO_CONTEXT;
    if (!eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, context)) {
        eglDestroyContext(display, context);
        return EGL_NO_CONTEXT;
    }
    return context;
}

static bool try_display(struct glcontext *gl, EGLDisplay display)
{
    if (display == EGL_NO_DISPLAY || !eglInitialize(display, NULL, NULL))
        return false;
    gl->context = create_on(display);
    if (gl->context == EGL_NO_CONTEXT) {
        eglTerminate(display);
        return false;
    }
    gl->display = display;
    return true;
}

/* EGL lists software renderers as devices too; those are left to try_software. */
static bool try_gpus(struct glcontext *gl)
{
    PFNEGLQUERYDEVICESEXTPROC query_devices =
        (PFNEGLQUERYDEVICESEXTPROC)eglGetProcAddress("eglQueryDevicesEXT");
    PFNEGLQUERYDEVICESTRINGEXTPROC query_string =
        (PFNEGLQUERYDEVICESTRINGEXTPROC)eglGetProcAddress("eglQueryDeviceStringEXT");
    EGLDeviceEXT devices[DEVICES_MAX];
    EGLint count = 0;

    if (!query_devices || !query_string || !query_devices(DEVICES_MAX, devices, &count))
        return false;
    for (EGLint i = 0; i < count; i++) {
        const char *extensions = query_string(devices[i], EGL_EXTENSIONS);
        if (has_word(extensions, "EGL_MESA_device_software"))
            continue;
        if (try_display(gl, eglGetPlatformDisplay(EGL_PLATFORM_DEVICE_EXT, devices[i], NULL)))
            return true;
    }
    return false;
}

static bool try_software(struct glcontext *gl)
{
    const char *extensions = eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS);

    return has_word(extensions, "EGL_MESA_platform_surfaceless") &&
           try_display(
               gl, eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL));
}

int glcontext_create(struct glcontext **ret_context)
{
    struct glcontext *gl = calloc(1, sizeof(*gl));

    if (!gl)
        return -ENOMEM;
    if (!try_gpus(gl) && !try_software(gl)) {
        free(gl);
        log_error("no OpenGL to draw with: install the packages libegl1 and libgl1-mesa-dri (a "
                  "GPU is not needed), or run with --pattern for a test pattern");
        return -ENODEV;
    }
    const char *name = glcontext_renderer(gl);
    gl->software = strstr(name, "llvmpipe") || strstr(name, "softpipe") || strstr(name, "swrast");
    gl->top_first = has_word((const char *)glGetString(GL_EXTENSIONS), "GL_MESA_pack_invert");
    if (gl->top_first)
        glPixelStorei(PACK_INVERT, GL_TRUE);
    *ret_context = gl;
    return 0;
}

void glcontext_destroy(struct glcontext *context)
{
    if (!context)
        return;
    eglMakeCurrent(context->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglDestroyContext(context->display, context->context);
    eglTerminate(context->display);
    free(context);
}

const char *glcontext_renderer(const struct glcontext *context)
{
    (void)context;
    const char *name = (const char *)glGetString(GL_RENDERER);

    return name ? name : "unknown renderer";
}

bool glcontext_read_top_first(const struct glcontext *context)
{
    return context->top_first;
}

bool glcontext_is_software(const struct glcontext *context)
{
    return context->software;
}
