/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a certificate and a key can be used, asked before they take the place of those in use:
 * libwebsockets 4.1.6 tells nothing when it reads new ones, and keeps the half that it could read.
 *
 * Thread: any. Cost: reads both files, a millisecond.
 */
#ifndef SIMCAST_DAEMON_CERTIFICATE_H
#define SIMCAST_DAEMON_CERTIFICATE_H

#include <stdbool.h>

/* Both are PEM, and the key is the certificate's. */
bool certificate_fits(const char *certificate_path, const char *key_path);

#endif
