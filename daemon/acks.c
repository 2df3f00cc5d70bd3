/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the last commands in a circle, the oldest overwritten first. Cannot fail. */
#include "daemon/acks.h"

#include "base/clock.h"

#define PATIENCE_NS NS_PER_S

void acks_await(struct acks *acks, const struct command *command, int64_t now_ns)
{
    if (!command->has_cmd_seq)
        return;
    acks->waiting[acks->next].action = command->action;
    acks->waiting[acks->next].cmd_seq = command->cmd_seq;
    acks->waiting[acks->next].received_ns = now_ns;
    acks->next = (acks->next + 1) % ACKS_WAITING;
}

/* The newest first: clients that count alike are told apart by time as far as that goes. */
int64_t acks_take(struct acks *acks, const char *payload, size_t payload_bytes, int64_t now_ns)
{
    struct command answered;

    if (command_identify(payload, payload_bytes, &answered) < 0 || !answered.has_cmd_seq)
        return -1;
    for (size_t i = 1; i <= ACKS_WAITING; i++) {
        size_t at = (acks->next + ACKS_WAITING - i) % ACKS_WAITING;
        int64_t received_ns = acks->waiting[at].received_ns;

        if (received_ns == 0 || acks->waiting[at].action != answered.action ||
            acks->waiting[at].cmd_seq != answered.cmd_seq)
            continue;
        acks->waiting[at].received_ns = 0;
        return now_ns - received_ns <= PATIENCE_NS ? now_ns - received_ns : -1;
    }
    return -1;
}
