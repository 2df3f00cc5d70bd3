/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a descriptor; on the caller's thread. What cannot be read means that nothing is known. */
#include "encoder/idle_cores.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sched.h>

#define TEXT_BYTES 128

static unsigned allowed_cores(void)
{
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    return online > 0 ? (unsigned)online : 1;
}

void idle_cores_open(struct idle_cores *idle, const char *file)
{
    idle->fd = open(file, O_RDONLY | O_CLOEXEC);
    idle->cores = allowed_cores();
}

void idle_cores_close(struct idle_cores *idle)
{
    if (idle->fd >= 0)
        close(idle->fd);
    idle->fd = -1;
}

/* "0.20 0.18 0.12 3/80 11206": three are runnable, the reader among them. */
static bool read_running(int fd, unsigned *ret_running)
{
    char text[TEXT_BYTES];
    const char *at = text;
    ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

    if (got <= 0)
        return false;
    text[got] = '\0';
    for (unsigned fields = 0; fields < 3 && *at != '\0'; at++)
        fields += *at == ' ';
    char *end;
    unsigned long running = strtoul(at, &end, 10);
    if (end == at || *end != '/' || *at < '0' || *at > '9')
        return false;
    *ret_running = running > 1000000 ? 1000000 : (unsigned)running;
    return true;
}

unsigned idle_cores_count(const struct idle_cores *idle)
{
    unsigned running;

    if (!read_running(idle->fd, &running))
        return idle->cores - 1;
    if (running < 1)
        running = 1;
    return running < idle->cores ? idle->cores - running : 0;
}
