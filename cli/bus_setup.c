/* SPDX-License-Identifier: Apache-2.0 */
/* Sets up streams in a NATS server's JetStream, and says what they keep. Owns one connection. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/jetstream.h"
#include "cli/bus_command.h"
#include "cli/bus_options.h"

#define GIGABYTE INT64_C(1000000000)
#define LIVE_BYTES INT64_C(32000000) /* in memory: what the disk has yet to take */
#define DAY_NS (24 * 60 * 60 * NS_PER_S)

static const char before[] =
    "Usage: simcast bus setup [OPTION]...\n"
    "Shows what a NATS server's JetStream keeps, or sets it up. Doing it again changes nothing.\n"
    "Recording is the server's work, through a stream in its memory, so that no command waits for\n"
    "a disk; no program of simcast knows of it.\n"
    "\n";
static const char after[] =
    "\n"
    "  TRAIN      train.>      7 days   10 GB        COMMANDS   command.>     7 days  1 GB\n"
    "  EPISODES   episodes.>  30 days   30 GB        TELEMETRY  telemetry.>   7 days  1 GB\n"
    "  DATASETS   datasets.>  90 days   50 GB\n"
    "Whatever is older, or does not fit, is deleted, the oldest first. COMMANDS and TELEMETRY copy\n"
    "32 MB of memory each, COMMANDS_LIVE and TELEMETRY_LIVE.\n"
    "\n"
    "  simcast bus setup --jetstream --bus nats://nats:4222\n"
    "  simcast bus setup --record\n"
    "  simcast bus replay jetstream:TELEMETRY\n"
    "Exit status: 0, 78 a wrong option, 1 anything else.\n";

enum purpose { PURPOSE_STACK, PURPOSE_RECORD };

static const struct plan {
    struct jetstream_stream stream;
    enum purpose purpose;
} plans[] = {
    {{"TRAIN", "train.>", NULL, false, 7 * DAY_NS, 10 * GIGABYTE}, PURPOSE_STACK},
    {{"EPISODES", "episodes.>", NULL, false, 30 * DAY_NS, 30 * GIGABYTE}, PURPOSE_STACK},
    {{"DATASETS", "datasets.>", NULL, false, 90 * DAY_NS, 50 * GIGABYTE}, PURPOSE_STACK},
    {{"COMMANDS_LIVE", "command.>", NULL, true, DAY_NS, LIVE_BYTES}, PURPOSE_RECORD},
    {{"COMMANDS", NULL, "COMMANDS_LIVE", false, 7 * DAY_NS, GIGABYTE}, PURPOSE_RECORD},
    {{"TELEMETRY_LIVE", "telemetry.>", NULL, true, DAY_NS, LIVE_BYTES}, PURPOSE_RECORD},
    {{"TELEMETRY", NULL, "TELEMETRY_LIVE", false, 7 * DAY_NS, GIGABYTE}, PURPOSE_RECORD},
};

#define PLAN_COUNT (sizeof(plans) / sizeof(plans[0]))

struct setup {
    struct bus_options bus;
    bool wanted[PURPOSE_RECORD + 1];
    bool forget;
    int64_t bytes_max; /* 0: as planned */
};

static bool read_jetstream(void *into, const char *value)
{
    (void)value;
    ((struct setup *)into)->wanted[PURPOSE_STACK] = true;
    return true;
}

static bool read_record(void *into, const char *value)
{
    (void)value;
    ((struct setup *)into)->wanted[PURPOSE_RECORD] = true;
    return true;
}

static bool read_forget(void *into, const char *value)
{
    (void)value;
    ((struct setup *)into)->forget = true;
    return true;
}

static bool read_megabytes(void *into, const char *value)
{
    uint32_t megabytes;

    if (!option_whole(value, 1, 1000000, &megabytes))
        return false;
    ((struct setup *)into)->bytes_max = (int64_t)megabytes * 1000000;
    return true;
}

static const struct option_row rows[] = {
    {"jetstream", NULL, NULL, NULL, read_jetstream, "nothing",
     "make the streams TRAIN, EPISODES and DATASETS"},
    {"record", NULL, NULL, NULL, read_record, "nothing",
     "make COMMANDS and TELEMETRY: from then on the server records"},
    {"megabytes-max", NULL, NULL, "N", read_megabytes, "a whole number from 1 to 1000000",
     "no stream of these keeps more, for a small disk"},
    {"forget", NULL, NULL, NULL, read_forget, "nothing",
     "delete COMMANDS and TELEMETRY with all that they keep"},
};

/* What it keeps, for a person. */
static const char *takes(const struct jetstream_stream *stream)
{
    return stream->source ? stream->source : stream->subject;
}

static int refuse(const char *reason)
{
    log_error("bus setup: %s", reason);
    return 1;
}

static int make(const struct setup *setup, struct jetstream *jetstream, const struct plan *plan)
{
    static const char *const words[] = {"created", "changed", "as it should be"};
    struct jetstream_stream stream = plan->stream;
    enum jetstream_outcome outcome;
    char reason[JETSTREAM_REASON_BYTES];

    if (setup->bytes_max > 0 && setup->bytes_max < stream.bytes_max)
        stream.bytes_max = setup->bytes_max;
    if (jetstream_make(jetstream, &stream, &outcome, reason) < 0) {
        log_error("bus setup: %s%s", reason,
                  strstr(reason, "insufficient") ? "; give the server more disk (max_file_store), "
                                                   "or a smaller --megabytes-max"
                                                 : "");
        return 1;
    }
    printf("%-14s  %-14s %s\n", stream.name, takes(&stream), words[outcome]);
    return 0;
}

static int forget(struct jetstream *jetstream, const struct plan *plan)
{
    char reason[JETSTREAM_REASON_BYTES];
    int error = jetstream_delete(jetstream, plan->stream.name, reason);

    if (error < 0 && error != -ENOENT)
        return refuse(reason);
    printf("%-14s  %-14s %s\n", plan->stream.name, takes(&plan->stream),
           error == 0 ? "deleted" : "was not there");
    return 0;
}

static int show(struct jetstream *jetstream, const struct plan *plan)
{
    struct jetstream_state state;
    int error = jetstream_look(jetstream, plan->stream.name, &state);

    if (error == -EIO)
        return refuse("the server does not answer");
    if (error < 0)
        printf("%-14s  %-14s none; simcast bus setup --%s makes it\n", plan->stream.name,
               takes(&plan->stream), plan->purpose == PURPOSE_RECORD ? "record" : "jetstream");
    else
        printf("%-14s  %-14s %" PRIu64 " messages, %.1f MB\n", plan->stream.name,
               takes(&plan->stream), state.messages, (double)state.bytes / 1e6);
    return 0;
}

static int run(const struct setup *setup)
{
    bool any = setup->wanted[PURPOSE_STACK] || setup->wanted[PURPOSE_RECORD];
    struct jetstream *jetstream = NULL;
    char reason[JETSTREAM_REASON_BYTES] = "no memory";
    int error = jetstream_open(setup->bus.url ? setup->bus.url : "", &jetstream, reason);
    int code = 0;

    if (error < 0)
        return refuse(reason), error == -EINVAL || error == -ENOKEY ? EX_CONFIG : 1;
    for (size_t i = 0; i < PLAN_COUNT && code == 0; i++) {
        const struct plan *plan = &plans[i];
        if (setup->forget && plan->purpose == PURPOSE_RECORD)
            code = forget(jetstream, plan);
        else if (setup->wanted[plan->purpose])
            code = make(setup, jetstream, plan);
        else if (!any && !setup->forget)
            code = show(jetstream, plan);
    }
    jetstream_close(jetstream);
    return code;
}

int bus_setup_main(int argc, char **argv)
{
    struct setup setup = {.bus = bus_options_defaults()};
    const struct bus_action action = {
        .name = "simcast bus setup",
        .before = before,
        .after = after,
        .own = {rows, sizeof(rows) / sizeof(rows[0]), &setup},
        .options = &setup.bus,
    };
    enum option_result result = bus_options_read(&action, argc, argv);

    if (result != OPTION_GO)
        return result == OPTION_DONE ? 0 : EX_CONFIG;
    if (setup.forget && setup.wanted[PURPOSE_RECORD]) {
        log_error("bus setup: --record and --forget contradict each other; give one of them");
        return EX_CONFIG;
    }
    return run(&setup);
}
