/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns nothing and includes nothing but its own header, so that the daemon, the simulator, the
 * test and a fuzzer all run the same object. It cannot fail.
 *
 * How it decides: an event only records what happened; settle() then derives mode and reason
 * from the record and the time. ESTOP is the one thing that settle() does not undo.
 */
#include "safety/gate.h"

#define MS INT64_C(1000000)

/* A cmd_seq this far behind the newest belongs to a client that started anew. */
#define CMD_SEQ_NEW_SESSION 100

const struct gate_config gate_config_transport = {
    .video_hold_ns = 1000 * MS,
    .video_estop_ns = 5000 * MS,
    .codec_grace_ns = 2000 * MS,
};

const struct gate_config gate_config_simulator = {
    .command_hold_ns = 200 * MS,
    .command_estop_ns = 2000 * MS,
    .check_cmd_seq = true,
};

/* Saturates, so that a wild clock reads as "long ago", which closes the gate. */
static int64_t elapsed_ns(int64_t then_ns, int64_t now_ns)
{
    int64_t elapsed;

    if (__builtin_sub_overflow(now_ns, then_ns, &elapsed))
        return now_ns > then_ns ? INT64_MAX : 0;
    return elapsed < 0 ? 0 : elapsed;
}

void gate_init(struct gate *gate, int64_t now_ns)
{
    *gate = (struct gate){
        .mode = GATE_HOLD,
        .reason = GATE_REASON_STARTING,
        .since_ns = now_ns,
        .last_ns = now_ns,
    };
}

int64_t gate_video_age_ns(const struct gate *gate, int64_t now_ns)
{
    return gate->seen_frame ? elapsed_ns(gate->frame_ns, now_ns) : -1;
}

bool gate_video_fresh(const struct gate *gate, const struct gate_config *config, int64_t now_ns)
{
    return config->video_hold_ns > 0 && gate->wanted && gate->seen_frame && !gate->fresh_demand &&
           elapsed_ns(gate->frame_ns, now_ns) <= config->video_hold_ns;
}

static int64_t video_estop_limit_ns(const struct gate *gate, const struct gate_config *config)
{
    if (gate->seen_codec_change &&
        elapsed_ns(gate->codec_ns, gate->frame_ns) <= config->codec_grace_ns)
        return config->video_estop_ns + config->codec_grace_ns;
    return config->video_estop_ns;
}

/* Why the time that passed demands an ESTOP, or NONE. */
static enum gate_reason estop_reason(const struct gate *gate, const struct gate_config *config,
                                     int64_t now_ns)
{
    int64_t video_since_ns = gate->fresh_demand ? gate->wanted_ns : gate->frame_ns;

    if (config->video_hold_ns > 0 && gate->wanted && gate->seen_frame &&
        elapsed_ns(video_since_ns, now_ns) > video_estop_limit_ns(gate, config))
        return GATE_REASON_NO_VIDEO;
    if (config->command_hold_ns > 0 && gate->command_running &&
        elapsed_ns(gate->velocity_ns, now_ns) > config->command_estop_ns)
        return GATE_REASON_CMD_TIMEOUT;
    return GATE_REASON_NONE;
}

/* Why motion may not pass now, or NONE. */
static enum gate_reason hold_reason(const struct gate *gate, const struct gate_config *config,
                                    int64_t now_ns)
{
    if (config->video_hold_ns > 0) {
        if (!gate->wanted && gate->demand_known)
            return GATE_REASON_NO_VIEWER;
        if (!gate->wanted || !gate->seen_frame)
            return GATE_REASON_STARTING;
        if (!gate_video_fresh(gate, config, now_ns))
            return GATE_REASON_NO_VIDEO;
    }
    if (gate->peer_gated || gate->peer_held)
        return GATE_REASON_NO_VIDEO;
    if (config->command_hold_ns > 0) {
        if (!gate->started)
            return GATE_REASON_STARTING;
        if (gate->command_running &&
            elapsed_ns(gate->velocity_ns, now_ns) > config->command_hold_ns)
            return GATE_REASON_CMD_TIMEOUT;
    }
    return GATE_REASON_NONE;
}

/* The first cause stays the reason until the stop is cleared. */
static void latch(struct gate *gate, enum gate_reason reason)
{
    if (gate->mode == GATE_ESTOP)
        return;
    gate->mode = GATE_ESTOP;
    gate->reason = reason;
}

static void settle(struct gate *gate, const struct gate_config *config, int64_t now_ns)
{
    enum gate_reason reason = estop_reason(gate, config, now_ns);

    if (reason != GATE_REASON_NONE)
        latch(gate, reason);
    if (gate->mode == GATE_ESTOP)
        return;
    gate->reason = hold_reason(gate, config, now_ns);
    gate->mode = gate->reason == GATE_REASON_NONE ? GATE_ARMED : GATE_HOLD;
}

/* Frames that trickle in after the last viewer left must not arm anything. */
static void see_frame(struct gate *gate, bool codec_changed, int64_t now_ns)
{
    if (!gate->wanted)
        return;
    gate->seen_frame = true;
    gate->fresh_demand = false;
    gate->frame_ns = now_ns;
    if (codec_changed) {
        gate->seen_codec_change = true;
        gate->codec_ns = now_ns;
    }
}

static void set_wanted(struct gate *gate, bool wanted, int64_t now_ns)
{
    gate->demand_known = true;
    if (wanted == gate->wanted)
        return;
    gate->wanted = wanted;
    gate->fresh_demand = wanted;
    gate->wanted_ns = now_ns;
}

static bool cmd_seq_is_stale(const struct gate *gate, const struct gate_event *event)
{
    return event->has_cmd_seq && gate->seen_cmd_seq && event->cmd_seq <= gate->cmd_seq &&
           gate->cmd_seq - event->cmd_seq <= CMD_SEQ_NEW_SESSION;
}

/* Frames come, but this operator does not see them: the gate is open to the others. */
static bool picture_is_frozen(const struct gate_config *config, const struct gate_event *event)
{
    return config->video_hold_ns > 0 && event->tells_display &&
           event->picture_age_ns > config->video_hold_ns;
}

/*
 * A velocity is itself the recovery from a hold by command timeout, so it is tried on a copy:
 * it counts only if the gate is open with it.
 */
static enum gate_reason try_motion(struct gate *gate, const struct gate_config *config,
                                   const struct gate_event *event, int64_t now_ns)
{
    struct gate next = *gate;

    if (gate->mode == GATE_ESTOP)
        return gate->reason;
    if (event->ttl_ns > 0 && event->age_ns > event->ttl_ns)
        return GATE_REASON_EXPIRED;
    if (config->check_cmd_seq && cmd_seq_is_stale(gate, event))
        return GATE_REASON_STALE_SEQ;
    if (event->is_velocity) {
        next.started = true;
        next.command_running = true;
        next.velocity_ns = now_ns;
        next.peer_held = false;
    }
    if (event->has_cmd_seq) {
        next.seen_cmd_seq = true;
        next.cmd_seq = event->cmd_seq;
    }
    settle(&next, config, now_ns);
    if (next.mode != GATE_ARMED)
        return next.reason;
    if (picture_is_frozen(config, event))
        return GATE_REASON_PICTURE_FROZEN;
    *gate = next;
    return GATE_REASON_NONE;
}

/* Returns why the clear may not go on, or NONE. Passing on and unlatching here are two things. */
static enum gate_reason try_clear(struct gate *gate, const struct gate_config *config,
                                  int64_t now_ns)
{
    if (gate->peer_gated)
        return GATE_REASON_NO_VIDEO;
    if (gate->mode != GATE_ESTOP)
        return GATE_REASON_NONE;
    if (config->video_hold_ns > 0 && !gate_video_fresh(gate, config, now_ns))
        return GATE_REASON_NONE;
    gate->mode = GATE_HOLD;
    gate->started = true;
    gate->command_running = false;
    gate->peer_held = false;
    return GATE_REASON_NONE;
}

static void apply(struct gate *gate, const struct gate_config *config,
                  const struct gate_event *event, struct gate_actions *actions)
{
    int64_t now_ns = gate->last_ns;

    switch (event->kind) {
    case GATE_EVENT_TICK:
        break;
    case GATE_EVENT_FRAME:
        see_frame(gate, event->codec_changed, now_ns);
        break;
    case GATE_EVENT_WANTED:
        set_wanted(gate, true, now_ns);
        break;
    case GATE_EVENT_UNWANTED:
        set_wanted(gate, false, now_ns);
        break;
    case GATE_EVENT_MOTION:
        actions->refused = try_motion(gate, config, event, now_ns);
        actions->pass = actions->refused == GATE_REASON_NONE;
        break;
    case GATE_EVENT_ESTOP:
        latch(gate, GATE_REASON_OPERATOR);
        actions->pass = true;
        break;
    case GATE_EVENT_ESTOP_CLEAR:
        actions->refused = try_clear(gate, config, now_ns);
        actions->pass = actions->refused == GATE_REASON_NONE;
        break;
    case GATE_EVENT_PEER_HOLD:
        gate->peer_held = true;
        break;
    case GATE_EVENT_PEER_GATED:
        gate->peer_gated = true;
        gate->peer_held = true;
        break;
    case GATE_EVENT_PEER_UNGATED:
        gate->peer_gated = false;
        break;
    default:
        latch(gate, GATE_REASON_UNKNOWN_EVENT);
        break;
    }
}

struct gate_actions gate_step(struct gate *gate, const struct gate_config *config,
                              const struct gate_event *event, int64_t now_ns)
{
    enum gate_mode mode_before = gate->mode;
    enum gate_reason reason_before = gate->reason;
    struct gate_actions actions = {.pass = false};

    if (now_ns > gate->last_ns)
        gate->last_ns = now_ns;
    settle(gate, config, gate->last_ns);
    apply(gate, config, event, &actions);
    settle(gate, config, gate->last_ns);

    actions.changed = gate->mode != mode_before || gate->reason != reason_before;
    if (actions.changed)
        gate->since_ns = gate->last_ns;
    actions.publish_hold = mode_before == GATE_ARMED && gate->mode == GATE_HOLD;
    actions.publish_estop = mode_before != GATE_ESTOP && gate->mode == GATE_ESTOP &&
                            gate->reason != GATE_REASON_OPERATOR;
    return actions;
}

const char *gate_mode_name(enum gate_mode mode)
{
    switch (mode) {
    case GATE_ARMED:
        return "ARMED";
    case GATE_HOLD:
        return "HOLD";
    case GATE_ESTOP:
        break;
    }
    return "ESTOP";
}

const char *gate_reason_name(enum gate_reason reason)
{
    static const char *const names[] = {
        [GATE_REASON_NONE] = "none",
        [GATE_REASON_STARTING] = "starting",
        [GATE_REASON_NO_VIDEO] = "no_video",
        [GATE_REASON_NO_VIEWER] = "no_viewer",
        [GATE_REASON_CMD_TIMEOUT] = "cmd_timeout",
        [GATE_REASON_OPERATOR] = "operator",
        [GATE_REASON_STALE_SEQ] = "stale_seq",
        [GATE_REASON_EXPIRED] = "expired",
        [GATE_REASON_UNKNOWN_EVENT] = "unknown_event",
        [GATE_REASON_PICTURE_FROZEN] = "picture_frozen",
    };

    return (unsigned)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}
