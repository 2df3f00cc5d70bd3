/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast bus: what travels on the bus, live, recorded and replayed. Each action reads argv, whose
 * [0] is its own name, and returns the exit code: 0, 1, or 78 for a wrong option.
 */
#ifndef SIMCAST_CLI_BUS_COMMAND_H
#define SIMCAST_CLI_BUS_COMMAND_H

int bus_command_main(int argc, char **argv);

int bus_show_main(int argc, char **argv);
int bus_pub_main(int argc, char **argv);
int bus_sub_main(int argc, char **argv);
int bus_replay_main(int argc, char **argv);
int bus_setup_main(int argc, char **argv);

#endif
