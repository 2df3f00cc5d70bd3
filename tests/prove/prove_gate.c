/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prove_gate EVENTS SEED: walks the gate beside its model, in walks of a million events that
 * alternate between the layers, without and with deadman and lease, and each start anew. Prints one
 * JSON object, and each violation on stderr. Exits 1 when there is one, 2 on wrong arguments.
 *
 * One thread: run several with different seeds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/prove/gate_walk.h"

#define WALK_EVENTS (UINT64_C(1) << 20)

static int parse(const char *text, uint64_t *ret_number)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (end == text || *end != '\0' || *text == '-')
        return -1;
    *ret_number = number;
    return 0;
}

int main(int argc, char **argv)
{
    struct gate_walk_tally tally = {0};
    uint64_t events;
    uint64_t seed;
    uint64_t violations = 0;
    uint64_t walks = 0;

    if (argc != 3 || parse(argv[1], &events) < 0 || parse(argv[2], &seed) < 0) {
        fprintf(stderr, "usage: prove_gate EVENTS SEED\n");
        return 2;
    }
    while (events > 0) {
        uint64_t walk = events < WALK_EVENTS ? events : WALK_EVENTS;
        uint64_t before = tally.events;
        struct gate_kind kind = {.video = walks % 2 == 0, .strict = walks % 4 >= 2};
        const char *fault = gate_walk(kind, seed + walks, walk, &tally);

        if (fault) {
            violations++;
            fprintf(stderr, "layer %d%s, seed %" PRIu64 ", event %" PRIu64 ": %s\n",
                    kind.video ? 2 : 3, kind.strict ? " strict" : "", seed + walks,
                    tally.events - before, fault);
        }
        events -= walk;
        walks++;
    }
    printf("{\"events\":%" PRIu64 ",\"violations\":%" PRIu64 ",\"motion_passed\":%" PRIu64
           ",\"motion_refused\":%" PRIu64 ",\"holds\":%" PRIu64 ",\"estops\":%" PRIu64
           ",\"clears\":%" PRIu64 ",\"epochs\":%" PRIu64 "}\n",
           tally.events, violations, tally.passed, tally.refused, tally.holds, tally.estops,
           tally.cleared, tally.epochs);
    return violations > 0;
}
