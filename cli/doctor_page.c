/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who listens on simcastd's port, and whether a browser that comes from elsewhere may decode:
 * browsers give WebCodecs to pages from https and from their own machine alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor_report.h"

#define LISTENING 0x0a /* TCP_LISTEN as /proc/net/tcp has it */
#define LINE_BYTES 512
#define DAYS_MIN 14 /* of a certificate: time enough for a person to renew it */

enum { LISTENS_HERE = 1, LISTENS_BEYOND = 2 };

/* Only the loopback addresses have these texts there, in the machine's byte order. */
static bool is_loopback(const char *address)
{
    size_t length = strlen(address);

    return (length == 8 && strcmp(address + 6, "7F") == 0) ||
           strcmp(address, "00000000000000000000000001000000") == 0;
}

static unsigned listeners(const char *path, uint32_t port)
{
    FILE *file = fopen(path, "re");
    char line[LINE_BYTES];
    char address[64];
    unsigned at_port;
    unsigned state;
    unsigned found = 0;

    while (file && fgets(line, sizeof(line), file)) {
        // NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers
        if (sscanf(line, " %*u: %63[0-9A-F]:%x %*[0-9A-F]:%*x %x", address, &at_port, &state) != 3)
            continue;
        if (at_port == port && state == LISTENING)
            found |= is_loopback(address) ? LISTENS_HERE : LISTENS_BEYOND;
    }
    if (file)
        fclose(file);
    return found;
}

static void check_certificate(struct doctor *doctor, int days)
{
    if (days < 0)
        doctor_say(doctor, CRITICAL, "certificate",
                   "ended %d days ago; renew it and reload simcastd", -days);
    else
        doctor_say(doctor, days < DAYS_MIN ? WARNING : FINE, "certificate",
                   "good for %d days yet%s", days,
                   days < DAYS_MIN ? "; renew it and reload simcastd" : "");
}

void doctor_check_page(struct doctor *doctor, enum served served, int certificate_days)
{
    unsigned found =
        listeners("/proc/net/tcp", doctor->port) | listeners("/proc/net/tcp6", doctor->port);

    if (served == SERVED_HTTPS) {
        doctor_say(doctor, FINE, "page", "https, where browsers decode everything");
        check_certificate(doctor, certificate_days);
    } else if (served == SERVED_NOT && found) {
        doctor_say(doctor, CRITICAL, "port",
                   "%" PRIu32 " is taken by a program that does not answer as simcastd does; stop "
                   "it, or choose another by --listen",
                   doctor->port);
    } else if (served == SERVED_NOT) {
        doctor_say(doctor, FINE, "port", "%" PRIu32 " is free", doctor->port);
    } else if (found & LISTENS_BEYOND) {
        doctor_say(doctor, WARNING, "page",
                   "plain http on an address that others reach: their browsers decode no H.264 "
                   "there and show JPEG alone; give simcastd --tls-cert and --tls-key, or use a "
                   "tunnel to localhost");
    } else {
        doctor_say(doctor, FINE, "page", "on this machine alone, where browsers decode everything");
    }
}
