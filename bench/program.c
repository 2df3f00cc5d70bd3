/* SPDX-License-Identifier: Apache-2.0 */
/* Forks and executes; owns nothing. */
#include "bench/program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libgen.h>

#include "base/clock.h"

struct launch {
    const char *const *argv;
    struct program_pipes pipes;
};

/* The copies made by dup2 survive exec; all else of ours is close-on-exec. */
static int become(void *context)
{
    const struct launch *launch = context;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    dup2(launch->pipes.input >= 0 ? launch->pipes.input : null, STDIN_FILENO);
    dup2(launch->pipes.output >= 0 ? launch->pipes.output : null, STDOUT_FILENO);
    execv(launch->argv[0], (char *const *)launch->argv);
    return 127;
}

int program_start(struct peer *peer, const char *const argv[], struct program_pipes pipes)
{
    struct launch launch = {argv, pipes};

    return peer_start(peer, become, &launch);
}

bool program_find(const char *name, char *ret_path, size_t path_bytes)
{
    const char *dirs = getenv("PATH");

    for (const char *dir = dirs ? dirs : ""; *dir;) {
        size_t length = strcspn(dir, ":");
        int used = snprintf(ret_path, path_bytes, "%.*s/%s", (int)length, dir, name);
        if (dir[0] == '/' && used > 0 && (size_t)used < path_bytes && access(ret_path, X_OK) == 0)
            return true;
        dir += length + (dir[length] == ':');
    }
    return false;
}

int64_t program_cpu_ns(const struct peer *peer)
{
    struct timespec used;
    clockid_t clock;

    if (peer->pid <= 1 || clock_getcpuclockid(peer->pid, &clock) != 0 ||
        clock_gettime(clock, &used) < 0)
        return 0;
    return used.tv_sec * NS_PER_S + used.tv_nsec;
}

uint64_t program_memory_bytes(const struct peer *peer)
{
    char path[64];
    char line[128];
    unsigned long long kib = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)peer->pid);
    FILE *stream = fopen(path, "re");
    while (stream && fgets(line, sizeof(line), stream)) {
        if (sscanf(line, "VmRSS: %llu", &kib) == 1)
            break;
    }
    if (stream)
        fclose(stream);
    return kib * 1024;
}

void program_path(const char *name, char *ret_path, size_t path_bytes)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    self[length > 0 ? length : 0] = '\0';
    snprintf(ret_path, path_bytes, "%s/../%s", dirname(self), name);
}
