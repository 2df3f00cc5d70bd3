/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that run as long as we do: started, restarted 300 ms after they died, stopped. What
 * they write is passed on to stderr line by line, each line with the program's name in front.
 *
 * A child runs in a process group of its own (Ctrl-C reaches us alone) and is killed by the
 * kernel when we die.
 *
 * Thread: one, the one that created the set; it must live as long as the children.
 */
#ifndef SIMCAST_CLI_CHILDREN_H
#define SIMCAST_CLI_CHILDREN_H

#include <stdint.h>

#define CHILDREN_MAX 5
#define CHILD_ARGS_MAX 24

struct children;

/* Errors: -ENOMEM, -EMFILE. */
int children_create(struct children **ret_children);

/* Takes NULL. Stops all that still run: SIGTERM, and after 3 s SIGKILL. */
void children_destroy(struct children *children);

/*
 * Starts a program. argv (NULL-terminated, argv[0] its path) and its strings are borrowed until
 * children_destroy. Errors: -ENOSPC too many; what fork and pipe said.
 */
int children_start(struct children *children, const char *name, const char *const *argv);

/* Readable when a child wrote or died: call children_serve. Borrowed. */
int children_fd(const struct children *children);

/*
 * Passes on what was written, notices who died, restarts whose time has come. Call it when
 * children_fd is readable and at least every 100 ms. Errors: -ECHILD a program cannot do its work:
 * it refused its configuration (exit code 78), or ended five times in a row within a second of
 * its start. It said why, we said which, and it stays down.
 */
int children_serve(struct children *children, int64_t now_ns);

#endif
