/* SPDX-License-Identifier: Apache-2.0 */
/* `simcast top`: how everything does, live in a terminal, or once for a script. */
#ifndef SIMCAST_CLI_TOP_H
#define SIMCAST_CLI_TOP_H

/* argv[0] is "top". Returns the exit code: 0, 78 a wrong flag, 1 anything else. */
int top_main(int argc, char **argv);

#endif
