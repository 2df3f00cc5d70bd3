/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands from clients and from the bus. Beyond not crashing: what is accepted is within its
 * bounds, an error leaves the result alone, and a stop is accepted whatever its bytes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_accepted(const struct command *command)
{
    check(command->action < COMMAND_ACTION_COUNT);
    if (command->action == COMMAND_SET_CMD_VEL)
        check(isfinite(command->data.velocity.linear_x_mps) &&
              isfinite(command->data.velocity.angular_z_radps));
    if (command->action == COMMAND_SET_ALPHA)
        check(command->data.alpha >= 0 && command->data.alpha <= 1);
    if (command->action == COMMAND_SETTINGS)
        check(command->data.settings.jpeg_quality <= 100 && command->data.settings.fps <= 240);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command command;
    struct command untouched;
    const char *reason = NULL;

    memset(&untouched, 0xaa, sizeof(untouched));
    command = untouched;
    if (command_parse((const char *)data, size, &command, &reason) == 0)
        check_accepted(&command);
    else
        check(reason && memcmp(&command, &untouched, sizeof(command)) == 0);
    for (unsigned i = 0; i < COMMAND_ACTION_COUNT; i++) {
        int error =
            command_parse_as((enum command_action)i, (const char *)data, size, &command, NULL);
        if (error == 0)
            check_accepted(&command);
        check(error == 0 || i != COMMAND_ESTOP || size > COMMAND_BYTES_MAX);
    }
    return 0;
}
