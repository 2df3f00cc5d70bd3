/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns what the process was told about its files of login and TLS; set before threads start. Reads
 * no secret: bus/login.c does, once per connection.
 */
#include "bus/access.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "bus/core.h"

#define ARGUMENTS_BYTES_MAX 16384

static const struct place {
    const char *what;
    const char *variable;
    const char *credential;
} places[BUS_ACCESS_FILES] = {
    {"login", "SIMCAST_BUS_LOGIN", "simcast.bus-login"},
    {"CA certificates", "SIMCAST_BUS_CA", "simcast.bus-ca"},
    {"certificate", "SIMCAST_BUS_CERT", "simcast.bus-cert"},
    {"private key", "SIMCAST_BUS_KEY", "simcast.bus-key"},
};

static struct bus_access used;

void bus_access_use(const struct bus_access *access)
{
    used = *access;
}

static bool read_login(void *into, const char *value)
{
    (void)into;
    used.login = value;
    return true;
}

static bool read_ca(void *into, const char *value)
{
    (void)into;
    used.ca = value;
    return true;
}

static bool read_cert(void *into, const char *value)
{
    (void)into;
    used.cert = value;
    return true;
}

static bool read_key(void *into, const char *value)
{
    (void)into;
    used.key = value;
    return true;
}

const struct option_row bus_access_rows[BUS_ACCESS_ROWS] = {
    {"bus-login", "SIMCAST_BUS_LOGIN", NULL, "FILE", read_login, "a file",
     "who we are to NATS: a .creds file, an nkey seed, USER:PASSWORD or\na token"},
    {"bus-ca", "SIMCAST_BUS_CA", NULL, "FILE", read_ca, "a file",
     "whose NATS servers to trust (PEM); turns TLS on"},
    {"bus-cert", "SIMCAST_BUS_CERT", NULL, "FILE", read_cert, "a file",
     "our own certificate for TLS (PEM)"},
    {"bus-key", "SIMCAST_BUS_KEY", NULL, "FILE", read_key, "a file", "its private key (PEM)"},
};

/* The file in systemd's credential directory, if it is there. */
static char *find_credential(const char *name)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): bus_open runs before other threads change it
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];

    if (!directory)
        return NULL;
    int bytes = snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (bytes < 0 || (size_t)bytes >= sizeof(path) || access(path, F_OK) < 0)
        return NULL;
    return strdup(path);
}

static char *find_file(const char *given, const struct place *place)
{
    if (given && given[0] != '\0')
        return strdup(given);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): as above
    const char *path = getenv(place->variable);
    return path && path[0] != '\0' ? strdup(path) : find_credential(place->credential);
}

int bus_access_find(char *ret_files[BUS_ACCESS_FILES])
{
    const char *const paths[BUS_ACCESS_FILES] = {used.login, used.ca, used.cert, used.key};

    for (int i = 0; i < BUS_ACCESS_FILES; i++) {
        ret_files[i] = find_file(paths[i], &places[i]);
        if (ret_files[i] && access(ret_files[i], R_OK) < 0) {
            log_error("bus: cannot read the %s in %s: %s; correct --%s or %s, or let this "
                      "program's user read the file",
                      places[i].what, ret_files[i], strerrordesc_np(errno),
                      places[i].credential + strlen("simcast."), places[i].variable);
            return -ENOKEY;
        }
    }
    if (!ret_files[BUS_FILE_CERT] != !ret_files[BUS_FILE_KEY]) {
        log_error("bus: --bus-cert and --bus-key belong together: give both or none");
        return -ENOKEY;
    }
    return 0;
}

/* The kernel shows arguments to everybody who may look into /proc; a program may look at its own.
 */
bool bus_url_is_argument(const char *url)
{
    char arguments[ARGUMENTS_BYTES_MAX];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, arguments, sizeof(arguments));

    if (fd >= 0)
        close(fd);
    bool found = bytes > 0 && memmem(arguments, (size_t)bytes, url, strlen(url));
    explicit_bzero(arguments, sizeof(arguments));
    return found;
}
