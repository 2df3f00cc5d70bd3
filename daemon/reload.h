/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SIGHUP does: the tokens, the certificate, its key and the settings are read again. Settings
 * that changed and cannot change while running are named.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_RELOAD_H
#define SIMCAST_DAEMON_RELOAD_H

struct parts;

/* A file that is wrong leaves the former one in force, and says so. */
void reload(struct parts *parts);

#endif
