/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine, or the container, grants: space, descriptors, memory, real time, huge pages,
 * GPU. Owns nothing that outlives a check; what cannot be read is told as such.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <dlfcn.h>

#include "cli/doctor_report.h"

#define MIB (UINT64_C(1) << 20)
#define SPACE_BYTES_MIN (8 * MIB) /* sockets, and the legacy slot of 4 MiB; rings lie elsewhere */
#define MEMORY_BYTES_MIN (256 * MIB) /* rings of 1080p pictures and packets, and the programs */
#define DESCRIPTORS_MIN 2048u        /* simcastd's 1,000 clients, with some to spare */
#define LINE_BYTES 256

static void check_dir(struct doctor *doctor)
{
    struct statvfs space;

    if (access(doctor->dir, R_OK | W_OK | X_OK) < 0) {
        doctor_say(doctor, CRITICAL, "directory",
                   "%s: %s; start simcast-sim or simcastd, or join its group", doctor->dir,
                   strerror(errno));
        return;
    }
    if (statvfs(doctor->dir, &space) < 0) {
        doctor_say(doctor, WARNING, "directory", "%s: %s", doctor->dir, strerror(errno));
        return;
    }
    uint64_t free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    uint64_t all_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    bool enough = free_bytes >= SPACE_BYTES_MIN;
    doctor_say(doctor, enough ? FINE : WARNING, "directory",
               "%s, %" PRIu64 " of %" PRIu64 " MiB free%s", doctor->dir, free_bytes / MIB,
               all_bytes / MIB,
               enough ? "" : "; enlarge this tmpfs (--shm-size of a container), or empty it");
}

static void check_descriptors(struct doctor *doctor)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        doctor_say(doctor, WARNING, "descriptors", "%s", strerror(errno));
    else if (limit.rlim_max < DESCRIPTORS_MIN)
        doctor_say(doctor, WARNING, "descriptors",
                   "%" PRIu64 " at most, too few for 1,000 viewers; raise LimitNOFILE or ulimit -n",
                   (uint64_t)limit.rlim_max);
    else
        doctor_say(doctor, FINE, "descriptors", "%" PRIu64 " at most", (uint64_t)limit.rlim_max);
}

/* The first line of a file; false when it cannot be read. */
static bool read_line(const char *path, char line[LINE_BYTES])
{
    FILE *file = fopen(path, "re");
    bool good = file && fgets(line, LINE_BYTES, file);

    if (file)
        fclose(file);
    if (good)
        line[strcspn(line, "\n")] = '\0';
    return good;
}

static uint64_t available_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[LINE_BYTES];
    uint64_t kib = 0;

    while (file && kib == 0 && fgets(line, sizeof(line), file))
        if (strncmp(line, "MemAvailable:", 13) == 0)
            kib = strtoull(line + 13, NULL, 10);
    if (file)
        fclose(file);
    return kib * 1024;
}

/* What the control group still grants; UINT64_MAX: it sets no limit, or cannot be asked. */
static uint64_t granted_bytes(void)
{
    char limit[LINE_BYTES];
    char used[LINE_BYTES];

    if (!read_line("/sys/fs/cgroup/memory.max", limit) || strcmp(limit, "max") == 0 ||
        !read_line("/sys/fs/cgroup/memory.current", used))
        return UINT64_MAX;
    uint64_t most = strtoull(limit, NULL, 10);
    uint64_t now = strtoull(used, NULL, 10);
    return now < most ? most - now : 0;
}

/* Rings are memory of the producer's control group, whatever the size of /dev/shm. */
static void check_memory(struct doctor *doctor)
{
    uint64_t available = available_bytes();
    uint64_t granted = granted_bytes();

    if (granted < MEMORY_BYTES_MIN)
        doctor_say(doctor, WARNING, "memory",
                   "the control group grants %" PRIu64 " MiB more; raise the container's --memory, "
                   "or MemoryMax",
                   granted / MIB);
    else if (available < MEMORY_BYTES_MIN)
        doctor_say(doctor, WARNING, "memory",
                   "%" PRIu64 " MiB available; a ring of 1080p pictures needs about 64",
                   available / MIB);
    else
        doctor_say(doctor, FINE, "memory", "%" PRIu64 " MiB available", available / MIB);
}

/* Only simcast-hal wants these, and it says so itself if it does not get them. */
static void check_real_time(struct doctor *doctor)
{
    struct rlimit lock;
    struct rlimit priority;

    if (getrlimit(RLIMIT_MEMLOCK, &lock) < 0 || getrlimit(RLIMIT_RTPRIO, &priority) < 0) {
        doctor_say(doctor, WARNING, "real-time", "%s", strerror(errno));
        return;
    }
    bool unlimited = lock.rlim_cur == RLIM_INFINITY || geteuid() == 0;
    bool fifo = priority.rlim_cur > 0 || geteuid() == 0;
    doctor_say(doctor, FINE, "real-time", "memory may be locked: %s; SCHED_FIFO: %s%s",
               unlimited ? "all" : "not all", fifo ? "yes" : "no",
               unlimited && fifo
                   ? ""
                   : " (simcast-hal --lock-memory wants LimitMEMLOCK=infinity, --fifo "
                     "LimitRTPRIO=99)");
}

static void check_huge_pages(struct doctor *doctor)
{
    char line[LINE_BYTES];

    if (!read_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", line))
        doctor_say(doctor, FINE, "huge-pages",
                   "this kernel has none; large frames cost a little "
                   "more");
    else if (strstr(line, "[deny]"))
        doctor_say(doctor, WARNING, "huge-pages",
                   "denied for shared memory, so large frames cost more; echo advise > "
                   "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    else
        doctor_say(doctor, FINE, "huge-pages", "the rings ask for them");
}

static bool has_library(const char *name)
{
    void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);

    if (library)
        dlclose(library);
    return library != NULL;
}

static void check_gpu(struct doctor *doctor)
{
    if (access("/dev/nvidiactl", F_OK) < 0)
        doctor_say(doctor, FINE, "gpu", "none; pictures are encoded by the processor");
    else if (access("/dev/nvidiactl", R_OK | W_OK) < 0)
        doctor_say(doctor, WARNING, "gpu", "/dev/nvidiactl: %s; join the group video",
                   strerror(errno));
    else if (!has_library("libcuda.so.1"))
        doctor_say(doctor, WARNING, "gpu",
                   "a device, but no libcuda.so.1: install NVIDIA's driver, or give the container "
                   "NVIDIA_DRIVER_CAPABILITIES=compute,video");
    else if (!has_library("libnvidia-encode.so.1"))
        doctor_say(doctor, WARNING, "gpu",
                   "no libnvidia-encode.so.1, so H.264 is encoded by the processor; give the "
                   "container NVIDIA_DRIVER_CAPABILITIES=compute,video");
    else
        doctor_say(doctor, FINE, "gpu", "an NVIDIA GPU can be used");
}

void doctor_check_machine(struct doctor *doctor)
{
    check_dir(doctor);
    check_descriptors(doctor);
    check_memory(doctor);
    check_real_time(doctor);
    check_huge_pages(doctor);
    check_gpu(doctor);
}
