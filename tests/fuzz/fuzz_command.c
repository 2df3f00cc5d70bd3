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

/* A velocity is replaced in whatever form it came, and nothing else. */
static void check_limited(const char *json, size_t size, const struct command *before)
{
    static const double slow[3] = {0.5, -0.25, 1};
    char text[2 * COMMAND_BYTES_MAX];
    struct command after;

    if (before->action != COMMAND_SET_CMD_VEL ||
        command_set_velocity(json, size, slow, text, sizeof(text)) < 0 ||
        strlen(text) > COMMAND_BYTES_MAX)
        return;
    check(command_parse(text, strlen(text), &after, NULL) == 0);
    check(after.data.velocity.linear_x_mps == 0.5 && after.data.velocity.linear_y_mps == -0.25 &&
          after.data.velocity.angular_z_radps == 1);
    check(after.cmd_seq == before->cmd_seq && after.epoch == before->epoch &&
          after.ttl_ms == before->ttl_ms && after.deadman == before->deadman);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command command;
    struct command untouched;
    const char *reason = NULL;

    memset(&untouched, 0xaa, sizeof(untouched));
    command = untouched;
    int error = command_parse((const char *)data, size, &command, &reason);
#ifdef PLANTED_BUG /* a velocity without bounds */
    if (error == 0 && command.action == COMMAND_SET_CMD_VEL &&
        command.data.velocity.linear_x_mps > 1)
        command.data.velocity.linear_x_mps = INFINITY;
#endif
    if (error == 0) {
        check_accepted(&command);
        check_limited((const char *)data, size, &command);
    } else {
        check(reason && memcmp(&command, &untouched, sizeof(command)) == 0);
    }
    for (unsigned i = 0; i < COMMAND_ACTION_COUNT; i++) {
        error = command_parse_as((enum command_action)i, (const char *)data, size, &command, NULL);
        if (error == 0)
            check_accepted(&command);
        check(error == 0 || i != COMMAND_ESTOP || size > COMMAND_BYTES_MAX);
    }
    return 0;
}
