/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What viewers ask for. Beyond not crashing: what is accepted ends its names with a NUL within
 * their bounds, what is malformed comes with a reason, and the rest leaves the result alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/viewer.h"
#include "proto/viewer_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct viewer_request untouched;
    struct displayed displayed;
    const char *reason = NULL;

    memset(&untouched, 0xaa, sizeof(untouched));
    struct viewer_request request = untouched;
    int error = viewer_request_parse((const char *)data, size, &request, &reason);
#ifdef PLANTED_BUG /* a name that fills its room has no end */
    if (error == 0 && request.stream[0] != '\0')
        memset(request.stream, 'x', sizeof(request.stream));
#endif
    if (error == -ENOMSG) {
        check(memcmp(&request, &untouched, sizeof(request)) == 0);
    } else {
        check(request.kind < VIEWER_REQUEST_COUNT && (error == 0) == (reason == NULL));
        check(memchr(request.stream, '\0', VIEWER_NAME_BYTES) != NULL);
        check(memchr(request.rendition, '\0', VIEWER_NAME_BYTES) != NULL);
    }
    if (displayed_decode(data, size, &displayed) == 0)
        check(size == DISPLAYED_TIMED_BYTES || displayed.shown_ns == 0);
    return 0;
}
