/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong with a camera's pictures while it runs, told in the log at most once a minute.
 * The first of each kind is named where it happens; this says how many there were.
 *
 * Thread: one. Cost: none worth naming; meant for once a second.
 */
#ifndef SIMCAST_ENCODER_TROUBLE_H
#define SIMCAST_ENCODER_TROUBLE_H

#include <stdint.h>

#include "encoder/rendition.h"

struct trouble {
    struct rendition_counts told; /* all that the log knows of */
    int64_t since_ns;             /* when more than that was first seen; 0: there is no more */
};

/* Logs how much more was refused, degraded or lost, once this has been known for a minute. */
void trouble_tell(struct trouble *trouble, const char *camera,
                  const struct rendition_counts *counts, int64_t now_ns);

#endif
