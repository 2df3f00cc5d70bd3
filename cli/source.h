/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `simcast source`: stands in for a simulator, as a legacy writer or as the producer of a ring.
 *
 * Thread: the main thread, as the only one.
 */
#ifndef SIMCAST_CLI_SOURCE_H
#define SIMCAST_CLI_SOURCE_H

/* Runs the subcommand; returns the process's exit code. */
int source_main(int argc, char **argv);

#endif
