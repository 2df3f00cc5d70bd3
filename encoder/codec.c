/* SPDX-License-Identifier: Apache-2.0 */
/* Owns, per thread, the last complaint of a back end. */
#include "encoder/codec.h"

#include <stdarg.h>
#include <stdio.h>

#define COMPLAINT_BYTES 384

static _Thread_local char complaint[COMPLAINT_BYTES];

const char *codec_complaint(void)
{
    return complaint;
}

void codec_complain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(complaint, sizeof(complaint), format, arguments);
    va_end(arguments);
}
