/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SIGHUP does: the tokens, the certificate and its key are read again. What cannot be changed
 * while running is named.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_RELOAD_H
#define SIMCAST_DAEMON_RELOAD_H

struct parts;

/* A file that is wrong leaves the former one in force, and says so. */
void reload(struct parts *parts);

#endif
