/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What simcast doctor found: findings in order, each with what to do. Private to the doctor.
 *
 * Thread: one.
 */
#ifndef SIMCAST_CLI_DOCTOR_REPORT_H
#define SIMCAST_CLI_DOCTOR_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

#define DOCTOR_FINDINGS_MAX 32
#define DOCTOR_TEXT_BYTES 512

enum verdict { FINE, WARNING, CRITICAL, USAGE };

struct finding {
    enum verdict verdict;
    const char *what;
    char text[DOCTOR_TEXT_BYTES];
};

struct doctor {
    const char *dir;
    const char *stream;
    const char *bus_url; /* NULL: the local bus in dir */
    uint32_t port;
    bool json;
    struct finding findings[DOCTOR_FINDINGS_MAX];
    unsigned count;
};

/* `what` is a constant of one word; a finding too many is a mistake of ours. */
void doctor_say(struct doctor *doctor, enum verdict verdict, const char *what, const char *format,
                ...) LOG_PRINTF(4);

/* Prints all of them, below one line that says the worst; returns the exit code. */
int doctor_print(const struct doctor *doctor);

/* The checks, each with its findings. */
void doctor_check_machine(struct doctor *doctor); /* doctor_machine.c: limits, memory, GPU */
void doctor_check_bus(struct doctor *doctor);     /* doctor_bus.c */
/* doctor_page.c: who has the port, and whether browsers may decode what they get there */
enum served { SERVED_NOT, SERVED_HTTP, SERVED_HTTPS };
void doctor_check_page(struct doctor *doctor, enum served served, int certificate_days);

#endif
