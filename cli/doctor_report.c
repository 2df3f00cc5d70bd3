/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing but the words. The first line is what Nagios shows. */
#include "cli/doctor_report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include <jansson.h>

static const char *const marks[] = {"ok", "WARNING", "CRITICAL"};

void doctor_say(struct doctor *doctor, enum verdict verdict, const char *what, const char *format,
                ...)
{
    va_list args;

    assert(doctor->count < DOCTOR_FINDINGS_MAX);
    struct finding *finding = &doctor->findings[doctor->count++];
    finding->verdict = verdict;
    finding->what = what;
    va_start(args, format);
    vsnprintf(finding->text, sizeof(finding->text), format, args);
    va_end(args);
}

static enum verdict worst_of(const struct doctor *doctor)
{
    enum verdict worst = FINE;

    for (unsigned i = 0; i < doctor->count; i++)
        if (doctor->findings[i].verdict > worst)
            worst = doctor->findings[i].verdict;
    return worst;
}

static void print_summary(const struct doctor *doctor, enum verdict worst)
{
    const char *between = ": ";

    printf("SIMCAST %s", worst == FINE ? "OK" : marks[worst]);
    for (unsigned i = 0; i < doctor->count && worst > FINE; i++) {
        if (doctor->findings[i].verdict < WARNING)
            continue;
        printf("%s%s", between, doctor->findings[i].what);
        between = ", ";
    }
    putchar('\n');
}

static void print_json(const struct doctor *doctor, enum verdict worst)
{
    json_t *findings = json_array();

    for (unsigned i = 0; i < doctor->count; i++) {
        const struct finding *finding = &doctor->findings[i];
        json_array_append_new(findings,
                              json_pack("{s:s, s:s, s:s}", "check", finding->what, "verdict",
                                        marks[finding->verdict], "text", finding->text));
    }
    json_t *all = json_pack("{s:s, s:o}", "worst", marks[worst], "findings", findings);
    if (all && json_dumpf(all, stdout, JSON_COMPACT) == 0)
        putchar('\n');
    json_decref(all);
}

int doctor_print(const struct doctor *doctor)
{
    enum verdict worst = worst_of(doctor);

    if (doctor->json) {
        print_json(doctor, worst);
        return (int)worst;
    }
    print_summary(doctor, worst);
    for (unsigned i = 0; i < doctor->count; i++) {
        const struct finding *finding = &doctor->findings[i];
        printf("%-8s  %-11s  %s\n", marks[finding->verdict], finding->what, finding->text);
    }
    return (int)worst;
}
