/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `simcast demo`: the whole path on one machine, by one command.
 *
 * Thread: the main thread, as the only one.
 */
#ifndef SIMCAST_CLI_DEMO_H
#define SIMCAST_CLI_DEMO_H

/* Runs the subcommand; returns the process's exit code. */
int demo_main(int argc, char **argv);

#endif
