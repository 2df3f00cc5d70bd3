/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the dice and the judgement. Works on its own stack; cannot fail. */
#include "tests/prove/gate_walk.h"

#include <stddef.h>

#define MS INT64_C(1000000)
#define S (1000 * MS)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* splitmix64: every seed is good, 0 too. */
static uint64_t dice_roll(uint64_t *dice)
{
    uint64_t z = *dice += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number below `limit` from 32 bits of a roll, without a division. */
static uint32_t below(uint32_t bits, uint32_t limit)
{
    return (uint32_t)(((uint64_t)bits * limit) >> 32);
}

static uint32_t dice_below(uint64_t *dice, uint32_t limit)
{
    return below((uint32_t)(dice_roll(dice) >> 32), limit);
}

/* Mostly small steps; often exactly at a limit or 1 ns beside it; at times back, or far ahead. */
static int64_t random_wait_ns(uint64_t *dice)
{
    static const int64_t limits[] = {200 * MS, 300 * MS, 1 * S, 2 * S, 5 * S, 7 * S};
    uint64_t roll = dice_roll(dice);
    uint32_t amount = (uint32_t)(roll >> 32);

    switch (roll & 15) {
    case 0:
        return limits[below(amount, COUNT(limits))] + (int64_t)((roll >> 4) % 3) - 1;
    case 1:
        return -(int64_t)below(amount, 3 * S);
    case 2:
        return 10 * (int64_t)below(amount, 1 * S);
    case 3:
        return 0;
    default:
        return below(amount, 60 * MS);
    }
}

static enum gate_event_kind random_kind(uint64_t *dice)
{
    static const enum gate_event_kind often[] = {
        GATE_EVENT_TICK,         GATE_EVENT_TICK,   GATE_EVENT_FRAME,       GATE_EVENT_FRAME,
        GATE_EVENT_FRAME,        GATE_EVENT_MOTION, GATE_EVENT_MOTION,      GATE_EVENT_MOTION,
        GATE_EVENT_MOTION,       GATE_EVENT_MOTION, GATE_EVENT_ESTOP_CLEAR, GATE_EVENT_ESTOP_CLEAR,
        GATE_EVENT_PEER_UNGATED, GATE_EVENT_BUS_UP,
    };
    static const enum gate_event_kind rare[] = {
        GATE_EVENT_WANTED,    GATE_EVENT_WANTED,     GATE_EVENT_UNWANTED,      GATE_EVENT_ESTOP,
        GATE_EVENT_PEER_HOLD, GATE_EVENT_PEER_GATED, GATE_EVENT_BUS_DOWN,      GATE_EVENT_LEASE,
        GATE_EVENT_GONE,      GATE_EVENT_EPOCH,      (enum gate_event_kind)99,
    };
    uint64_t roll = dice_roll(dice);
    uint32_t choice = (uint32_t)(roll >> 32);

    return roll & 7 ? often[below(choice, COUNT(often))] : rare[below(choice, COUNT(rare))];
}

/* Mostly the one that lasts, at times one beside it or none. */
static uint64_t random_epoch(uint32_t bits, uint64_t epoch)
{
    if ((bits & 7) > 1)
        return epoch;
    return bits & 8 && epoch > 0 ? epoch + (bits >> 4) % 3 - 1 : bits >> 31;
}

/* Who sends it, in which epoch, and how he holds the deadman. */
static void sign(struct gate_event *event, uint64_t *dice, const struct gate *gate)
{
    uint64_t roll = dice_roll(dice);

    event->sender = (roll >> 8) & 7 ? gate->holder : (roll >> 11) & 3;
    event->role = roll & 3 ? GATE_ROLE_OPERATOR : (enum gate_role)((roll >> 2) & 3);
    event->deadman = roll & 48 ? GATE_DEADMAN_HELD : (enum gate_deadman)(roll >> 6 & 1);
    event->epoch = random_epoch((uint32_t)(roll >> 32), gate->epoch);
}

static struct gate_event random_event(uint64_t *dice, bool video, const struct gate *gate)
{
    struct gate_event event = {.kind = random_kind(dice)};
    uint64_t roll = dice_roll(dice);

    sign(&event, dice, gate);
    /* Layer 2 has no peer above it. */
    if (video && event.kind >= GATE_EVENT_PEER_HOLD && event.kind <= GATE_EVENT_PEER_GATED)
        event.kind = GATE_EVENT_WANTED;
    event.codec_changed = (roll & 15) == 0;
    if (event.kind != GATE_EVENT_MOTION)
        return event;
    event.is_velocity = (roll >> 4) & 3;
    event.has_cmd_seq = (roll >> 6) & 3;
    event.cmd_seq = (roll >> 8) & 63 ? 1000 + below((uint32_t)(roll >> 32), 400) : dice_roll(dice);
    event.tells_display = (roll >> 15) & 1;
    event.picture_age_ns = 1 * S + ((roll >> 16) & 3 ? (int64_t)((roll >> 18) % 3) - 1
                                                     : (int64_t)dice_below(dice, 2 * S) - S);
    event.age_ns = dice_below(dice, 400 * MS);
    event.ttl_ns = (roll >> 14) & 1 ? 0 : dice_below(dice, 800 * MS);
    return event;
}

/* What must hold whatever the model says. */
static const char *broken_promise(const struct gate *gate, const struct gate_event *event,
                                  struct gate_actions actions, const struct gate *gate_before)
{
    enum gate_mode before = gate_before->mode;
    bool motion = event->kind == GATE_EVENT_MOTION;
    bool stop = event->kind == GATE_EVENT_ESTOP;
    bool latched = before != GATE_ESTOP && gate->mode == GATE_ESTOP;
    bool old = event->epoch > 0 && event->epoch < gate_before->epoch;

    if (gate->epoch < gate_before->epoch)
        return "the epochs ran backwards";
    if (actions.epoch_ended != (gate->epoch != gate_before->epoch))
        return "epoch_ended does not tell that the epoch ended";
    if (actions.pass && old && !stop)
        return "a command of an older epoch passed";
    if (motion && actions.pass && gate->mode != GATE_ARMED)
        return "motion passed while not ARMED";
    if (stop && !(actions.pass && gate->mode == GATE_ESTOP))
        return "a stop did not stop";
    if (before == GATE_ESTOP && gate->mode != GATE_ESTOP && event->kind != GATE_EVENT_ESTOP_CLEAR)
        return "ESTOP was left without a clear";
    if (actions.publish_hold != (before == GATE_ARMED && gate->mode == GATE_HOLD))
        return "publish_hold is not exactly ARMED to HOLD";
    if (actions.publish_estop ? !latched : latched && !stop)
        return "publish_estop is not exactly the gate's own latching";
    if ((gate->mode == GATE_ARMED) != (gate->reason == GATE_REASON_NONE))
        return "a reason without a closed gate, or none with one";
    if (motion && actions.pass == (actions.refused != GATE_REASON_NONE))
        return "refused without a reason, or passed with one";
    return NULL;
}

static const char *disagreement(const struct gate *gate, struct gate_actions actions,
                                const struct model *model, bool model_passes)
{
    if (actions.pass != model_passes)
        return "the model decided otherwise on passing";
    if ((gate->mode == GATE_ESTOP) != model->stopped)
        return "the model decided otherwise on ESTOP";
    if ((gate->mode == GATE_ARMED) != model_open(model))
        return "the model decided otherwise on ARMED";
    if (gate->epoch != model->epoch)
        return "the model counted the epochs otherwise";
    return NULL;
}

const char *gate_walk(struct gate_kind kind, uint64_t seed, uint64_t events,
                      struct gate_walk_tally *tally)
{
    struct gate_config config = kind.video ? gate_config_transport : gate_config_simulator;
    uint64_t dice = seed;
    struct model model;
    struct gate gate;
    int64_t at = 0;

    config.deadman_ns = kind.strict ? 300 * MS : 0;
    config.lease = kind.strict && kind.video;
    model_init(&model, kind, at);
    gate_init(&gate, at);
    for (uint64_t i = 0; i < events; i++) {
        struct gate_event event = random_event(&dice, kind.video, &gate);
        struct gate before = gate;

        at += random_wait_ns(&dice);
        bool passes = model_step(&model, &event, at);
        struct gate_actions actions = gate_step(&gate, &config, &event, at);
        const char *fault = broken_promise(&gate, &event, actions, &before);
        if (!fault)
            fault = disagreement(&gate, actions, &model, passes);
        tally->events++;
        if (fault)
            return fault;
        tally->passed += event.kind == GATE_EVENT_MOTION && actions.pass;
        tally->refused += event.kind == GATE_EVENT_MOTION && !actions.pass;
        tally->holds += actions.publish_hold;
        tally->estops += actions.publish_estop;
        tally->cleared += before.mode == GATE_ESTOP && gate.mode != GATE_ESTOP;
        tally->epochs += actions.epoch_ended;
    }
    return NULL;
}
