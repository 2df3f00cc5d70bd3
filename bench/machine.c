/* SPDX-License-Identifier: Apache-2.0 */
/* Reads /proc and uname on the caller's thread; what is missing stays "unknown" or 0. */
#include "bench/machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sched.h>

#include "base/clock.h"

#define LINE_BYTES 512

/* The text after "key : " in a file of such lines. */
static bool find_value(const char *file, const char *key, char ret_value[MACHINE_TEXT_BYTES])
{
    char line[LINE_BYTES];
    bool found = false;
    FILE *stream = fopen(file, "re");

    if (!stream)
        return false;
    while (!found && fgets(line, sizeof(line), stream)) {
        const char *colon = strchr(line, ':');
        found = colon && strncmp(line, key, strlen(key)) == 0;
        if (found)
            snprintf(ret_value, MACHINE_TEXT_BYTES, "%.*s",
                     (int)strcspn(colon + 1 + strspn(colon + 1, " \t"), "\n"),
                     colon + 1 + strspn(colon + 1, " \t"));
    }
    fclose(stream);
    return found;
}

/* The first line of a file. */
static void read_line(const char *file, char ret_line[MACHINE_TEXT_BYTES])
{
    FILE *stream = fopen(file, "re");

    if (!stream)
        return;
    if (fgets(ret_line, MACHINE_TEXT_BYTES, stream))
        ret_line[strcspn(ret_line, "\n")] = '\0';
    fclose(stream);
}

void machine_describe(struct machine *ret_machine)
{
    struct machine machine = {0};
    struct utsname names;
    cpu_set_t allowed;

    memcpy(machine.kernel, "unknown", sizeof("unknown"));
    memcpy(machine.architecture, "unknown", sizeof("unknown"));
    memcpy(machine.tcp_congestion_control, "unknown", sizeof("unknown"));
    read_line("/proc/sys/net/ipv4/tcp_congestion_control", machine.tcp_congestion_control);
    if (uname(&names) == 0) {
        snprintf(machine.kernel, sizeof(machine.kernel), "%s", names.release);
        snprintf(machine.architecture, sizeof(machine.architecture), "%s", names.machine);
    }
    if (!find_value("/proc/cpuinfo", "model name", machine.cpu))
        memcpy(machine.cpu, machine.architecture, sizeof(machine.cpu));
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        machine.cores = (unsigned)CPU_COUNT(&allowed);
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_bytes > 0)
        machine.memory_bytes = (uint64_t)pages * (uint64_t)page_bytes;
    *ret_machine = machine;
}

static int64_t processor_time_ns(int who)
{
    struct rusage usage;

    getrusage(who, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US;
}

/* Everybody's ticks so far; false when the kernel does not say. */
static bool read_ticks(int64_t *ret_ticks)
{
    enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, COUNTERS }; /* proc(5) */
    char line[LINE_BYTES] = "";
    FILE *stream = fopen("/proc/stat", "re");
    int64_t ticks = 0;

    if (!stream)
        return false;
    bool known = fgets(line, sizeof(line), stream) && strncmp(line, "cpu ", 4) == 0;
    fclose(stream);
    char *next = line + 4;
    for (int i = USER; known && i < COUNTERS; i++) {
        long long counter = strtoll(next, &next, 10);
        if (i != IDLE && i != IOWAIT)
            ticks += counter;
    }
    *ret_ticks = ticks;
    return known;
}

void machine_load_now(struct machine_load *ret_load)
{
    struct machine_load load = {.at_ns = clock_now_ns()};
    int64_t ticks = 0;

    load.known = read_ticks(&ticks);
    load.all_ns = ticks * (NS_PER_S / sysconf(_SC_CLK_TCK));
    load.bench_ns = processor_time_ns(RUSAGE_SELF) + processor_time_ns(RUSAGE_CHILDREN);
    *ret_load = load;
}

double machine_load_others_percent(const struct machine_load *then)
{
    struct machine_load now;

    machine_load_now(&now);
    int64_t others_ns = (now.all_ns - then->all_ns) - (now.bench_ns - then->bench_ns);
    if (!now.known || !then->known || others_ns < 0 || now.at_ns <= then->at_ns)
        return 0;
    return 100.0 * (double)others_ns / (double)(now.at_ns - then->at_ns);
}
