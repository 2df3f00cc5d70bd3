/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure functions from state to text and back. Out of memory, or a velocity that JSON cannot hold,
 * gives an empty report, which is not sent.
 */
#include "safety/authority_report.h"

#include <jansson.h>

#include "base/clock.h"

#define DIGITS 6

/* Takes `object`, NULL included. */
static void finish(const char *subject, json_t *object, struct authority_report *ret_report)
{
    ret_report->subject = subject;
    ret_report->bytes = 0;
    if (object) {
        size_t bytes = json_dumpb(object, ret_report->payload, sizeof(ret_report->payload) - 1,
                                  JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
        if (bytes < sizeof(ret_report->payload))
            ret_report->bytes = bytes;
    }
    ret_report->payload[ret_report->bytes] = '\0';
    json_decref(object);
}

void authority_report_ack(const struct command *command, const char *error_detail,
                          struct authority_report *ret_report)
{
    json_t *cmd_seq =
        command->has_cmd_seq ? json_integer((json_int_t)command->cmd_seq) : json_null();
    json_t *object = json_pack("{s:s,s:o,s:s}", "action", command_name(command->action), "cmd_seq",
                               cmd_seq, "status", error_detail ? "error" : "ok");

    if (error_detail)
        json_object_set_new(object, "detail", json_string(error_detail));
    finish("telemetry.command.ack", object, ret_report);
}

void authority_report_state(const struct authority *authority, uint64_t state_id, int64_t now_ns,
                            struct authority_report *ret_report)
{
    const struct gate *gate = &authority->gate;
    int64_t since_ms = (now_ns - gate->since_ns) / NS_PER_MS;

    finish("telemetry.safety.state",
           json_pack("{s:I,s:s,s:s,s:I,s:I,s:I}", "state_id", (json_int_t)state_id, "mode",
                     gate_mode_name(gate->mode), "reason", gate_reason_name(gate->reason),
                     "since_ms", (json_int_t)since_ms, "epoch", (json_int_t)gate->epoch, "refused",
                     (json_int_t)authority->refused),
           ret_report);
}

static json_t *velocity_of(const double velocity[LIMITS_AXES])
{
    return json_pack("{s:f,s:f,s:f}", "linear_x", velocity[0], "linear_y", velocity[1], "angular_z",
                     velocity[2]);
}

void authority_report_timeout(const struct authority *authority,
                              struct authority_report *ret_report)
{
    finish("telemetry.safety.cmd_timeout",
           json_pack("{s:s,s:b,s:o}", "mode", gate_mode_name(authority->gate.mode), "decaying",
                     authority->decaying, "velocity", velocity_of(authority->velocity)),
           ret_report);
}

void authority_report_velocity(const struct authority *authority,
                               struct authority_report *ret_report)
{
    finish("telemetry.velocity.command", velocity_of(authority->velocity), ret_report);
}

bool authority_read_gated(const char *json, size_t json_bytes)
{
    json_t *object = json_loadb(json, json_bytes, 0, NULL);
    bool open = json_is_false(json_object_get(object, "gated"));

    json_decref(object);
    return !open;
}
