/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `simcast ring ACTION`: looks at the rings of this machine from outside.
 *
 * Each function runs one action; argv[0] is its name. It returns the process's exit code: 0, 78
 * for a wrong option, 1 for anything else; what is wrong was said on stderr in one sentence.
 *
 * Thread: the main thread, as the only one.
 */
#ifndef SIMCAST_CLI_RING_COMMAND_H
#define SIMCAST_CLI_RING_COMMAND_H

int ring_command_main(int argc, char **argv); /* picks one of those below */

int ring_list_main(int argc, char **argv);
int ring_watch_main(int argc, char **argv);
int ring_snapshot_main(int argc, char **argv);
int ring_bench_main(int argc, char **argv);

#endif
