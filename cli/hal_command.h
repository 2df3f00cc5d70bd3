/* SPDX-License-Identifier: Apache-2.0 */
/* `simcast hal`: simcast-hal under one roof with the rest, for instance `simcast hal dump`. */
#ifndef SIMCAST_CLI_HAL_COMMAND_H
#define SIMCAST_CLI_HAL_COMMAND_H

/* Becomes simcast-hal with these arguments. Returns the exit code 1 when there is none. */
int hal_command_main(int argc, char **argv);

#endif
