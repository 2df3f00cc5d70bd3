/* SPDX-License-Identifier: Apache-2.0 */
/* Publishes one message and says whether the bus took it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sysexits.h>

#include "base/log.h"
#include "cli/bus_command.h"
#include "cli/bus_link.h"
#include "cli/bus_options.h"

static const char before[] =
    "Usage: simcast bus pub SUBJECT PAYLOAD [OPTION]...\n"
    "Publishes one message. PAYLOAD - is read from standard input, at most 1 MiB.\n"
    "Whoever publishes motion drives the robot; the gates of simcastd and of the simulator watch it.\n"
    "\n";
static const char after[] =
    "\n"
    "  simcast bus pub telemetry.note '{\"text\":\"lap 3 begins\"}'\n"
    "  simcast bus pub command.genesis.estop '{\"action\":\"estop\",\"data\":{\"reason\":\"test\"}}'\n"
    "Exit status: 0 sent, 78 a wrong option or subject, 1 anything else.\n";

struct pub {
    struct bus_options bus;
    const char *subject;
    const char *payload;
};

static bool take_operand(void *into, const char *word)
{
    struct pub *pub = into;

    if (!pub->subject)
        pub->subject = word;
    else if (!pub->payload)
        pub->payload = word;
    else
        return false;
    return true;
}

/* Returns 0, or an exit code after saying why. */
static int read_payload(const struct pub *pub, struct bus_message *ret_message)
{
    static char text[BUS_PAYLOAD_BYTES_MAX + 1];

    ret_message->payload = pub->payload;
    ret_message->payload_bytes = strlen(pub->payload);
    if (strcmp(pub->payload, "-") != 0)
        return 0;
    ret_message->payload = text;
    ret_message->payload_bytes = fread(text, 1, sizeof(text), stdin);
    if (ferror(stdin)) {
        log_error("bus pub: cannot read standard input: %s", strerrordesc_np(errno));
        return 1;
    }
    return 0;
}

static int publish(const struct pub *pub)
{
    struct bus_message message = {.subject = pub->subject};
    struct bus_link link;
    int code = read_payload(pub, &message);

    if (code == 0)
        code = bus_link_open(&pub->bus, NULL, &link);
    if (code != 0)
        return code;
    int error = bus_link_publish(&link, &message);
    bus_link_close(&link);
    if (error == -EINVAL) {
        log_error("bus pub: '%.80s' is no subject: give words with dots between them, without "
                  "spaces and wildcards",
                  pub->subject);
        return EX_CONFIG;
    }
    if (error < 0)
        log_error("bus pub: the bus did not take it: %s",
                  error == -EMSGSIZE ? "1 MiB is the most" : strerrordesc_np(-error));
    return error < 0;
}

int bus_pub_main(int argc, char **argv)
{
    struct pub pub = {.bus = bus_options_defaults()};
    const struct bus_action action = {
        .name = "simcast bus pub",
        .before = before,
        .after = after,
        .own = {.into = &pub},
        .operand = take_operand,
        .options = &pub.bus,
    };
    enum option_result result = bus_options_read(&action, argc, argv);

    if (result != OPTION_GO)
        return result == OPTION_DONE ? 0 : EX_CONFIG;
    if (!pub.payload) {
        log_error("bus pub: give a SUBJECT and a PAYLOAD; simcast bus pub --help has examples");
        return EX_CONFIG;
    }
    return publish(&pub);
}
