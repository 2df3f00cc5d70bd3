/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a program shows a NATS server who it is: one file with the login, and TLS files. Secrets
 * come from files, never from an argument list, which everybody on the machine can read.
 *
 * Every program that takes --bus takes these too, by one line among its groups of options:
 * BUS_ACCESS_GROUP. What is told so holds for the whole process, like its log: bus_open uses it,
 * and looks into environment and credential directory for the rest. It refuses a URL whose login
 * stands in the program's own argument list.
 *
 * Thread: before others start. Source: docs/bus.md "Who we are".
 */
#ifndef SIMCAST_BUS_ACCESS_H
#define SIMCAST_BUS_ACCESS_H

#include <stdbool.h>

#include "base/options.h"

/*
 * Paths of files. What is NULL or "" is looked for in the environment, then in the directory that
 * systemd's LoadCredential= made ($CREDENTIALS_DIRECTORY), else it is not used.
 */
struct bus_access {
    const char
        *login;     /* SIMCAST_BUS_LOGIN, simcast.bus-login: what stands in it is told by itself */
    const char *ca; /* SIMCAST_BUS_CA, simcast.bus-ca: PEM; whose servers we trust. Turns TLS on */
    const char *cert; /* SIMCAST_BUS_CERT, simcast.bus-cert: PEM; our own certificate, with key */
    const char *key;  /* SIMCAST_BUS_KEY, simcast.bus-key: PEM */
};

/* Tells what a program's own settings say, which must stay where they are. */
void bus_access_use(const struct bus_access *access);

/* The same by base/options.h: --bus-login, --bus-ca, --bus-cert, --bus-key. */
#define BUS_ACCESS_ROWS 4
extern const struct option_row bus_access_rows[BUS_ACCESS_ROWS];
#define BUS_ACCESS_GROUP                                                                           \
    {                                                                                              \
        bus_access_rows, BUS_ACCESS_ROWS, NULL                                                     \
    }

/* Whether the URL holds a user, password or token. */
bool bus_url_has_secret(const char *url);

#endif
