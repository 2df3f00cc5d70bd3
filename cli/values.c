/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on text, and one look at the environment. */
#include "cli/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/ring.h"

#define SIDE_MIN 16
#define SIDE_MAX 4096

bool value_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret_number)
{
    char *end;

    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || number < low ||
        number > high)
        return false;
    *ret_number = number;
    return true;
}

bool value_size(const char *text, uint32_t *ret_width, uint32_t *ret_height)
{
    char left[8] = "";
    const char *cross = strchr(text, 'x');
    uint64_t width;
    uint64_t height;

    if (!cross || (size_t)(cross - text) >= sizeof(left))
        return false;
    memcpy(left, text, (size_t)(cross - text));
    if (!value_number(left, SIDE_MIN, SIDE_MAX, &width) ||
        !value_number(cross + 1, SIDE_MIN, SIDE_MAX, &height) || width % 2 != 0 || height % 2 != 0)
        return false;
    *ret_width = (uint32_t)width;
    *ret_height = (uint32_t)height;
    return true;
}

const char *value_ipc_dir(void)
{
    const char *dir = getenv("SIMCAST_IPC_DIR");

    return dir && dir[0] != '\0' ? dir : RING_DIR_DEFAULT;
}
