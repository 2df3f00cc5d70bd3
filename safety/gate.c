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
    .follows = true,
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

static bool deadman_counts(const struct gate *gate, const struct gate_config *config,
                           int64_t now_ns)
{
    return gate->deadman_held && elapsed_ns(gate->deadman_ns, now_ns) <= config->deadman_ns;
}

/* Why motion may not pass now, or NONE. */
static enum gate_reason hold_reason(const struct gate *gate, const struct gate_config *config,
                                    int64_t now_ns)
{
    if (gate->bus_away)
        return GATE_REASON_NO_BUS;
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
    if (config->deadman_ns > 0 && !deadman_counts(gate, config, now_ns))
        return GATE_REASON_DEADMAN;
    return GATE_REASON_NONE;
}

/* Who follows waits for the transport's word. */
static void end_epoch(struct gate *gate, const struct gate_config *config)
{
    if (!config->follows)
        gate->epoch++;
}

/* The first cause stays the reason until the stop is cleared. */
static void latch(struct gate *gate, const struct gate_config *config, enum gate_reason reason)
{
    if (gate->mode == GATE_ESTOP)
        return;
    gate->mode = GATE_ESTOP;
    gate->reason = reason;
    end_epoch(gate, config);
}

static void settle(struct gate *gate, const struct gate_config *config, int64_t now_ns)
{
    enum gate_reason reason = estop_reason(gate, config, now_ns);

    if (reason != GATE_REASON_NONE)
        latch(gate, config, reason);
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

static void set_bus(struct gate *gate, const struct gate_config *config, bool away)
{
    if (gate->bus_away && !away)
        end_epoch(gate, config);
    gate->bus_away = away;
}

static void set_holder(struct gate *gate, const struct gate_config *config, uint64_t holder)
{
    if (gate->holder != holder)
        end_epoch(gate, config);
    gate->holder = holder;
}

/* Who follows has taken the event's epoch already if it is newer. */
static bool epoch_has_ended(const struct gate *gate, const struct gate_event *event)
{
    return event->epoch > 0 && event->epoch != gate->epoch;
}

static bool may_command(const struct gate *gate, const struct gate_config *config,
                        const struct gate_event *event)
{
    if (!config->lease || event->role == GATE_ROLE_BUS)
        return true;
    return event->role == GATE_ROLE_OPERATOR && gate->holder > 0 && event->sender == gate->holder;
}

/* Who needs a velocity every so often has no use for one that was under way for longer. */
static bool is_late(const struct gate_config *config, const struct gate_event *event)
{
    return (event->ttl_ns > 0 && event->age_ns > event->ttl_ns) ||
           (config->command_hold_ns > 0 && event->age_ns > config->command_hold_ns);
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

/* What is wrong with the command itself, however open the gate is; or NONE. */
static enum gate_reason fault_of_motion(const struct gate *gate, const struct gate_config *config,
                                        const struct gate_event *event)
{
    if (!may_command(gate, config, event))
        return GATE_REASON_NOT_OPERATOR;
    if (is_late(config, event))
        return GATE_REASON_EXPIRED;
    if (epoch_has_ended(gate, event))
        return GATE_REASON_STALE_EPOCH;
    if (config->check_cmd_seq && cmd_seq_is_stale(gate, event))
        return GATE_REASON_STALE_SEQ;
    return GATE_REASON_NONE;
}

/*
 * A velocity is itself the recovery from a hold by command timeout, as is the deadman that comes
 * with it, so it is tried on a copy: it counts only if the gate is open with it.
 */
static enum gate_reason try_motion(struct gate *gate, const struct gate_config *config,
                                   const struct gate_event *event, int64_t now_ns)
{
    struct gate next = *gate;

    if (gate->mode == GATE_ESTOP)
        return gate->reason;
    enum gate_reason fault = fault_of_motion(gate, config, event);
    if (fault != GATE_REASON_NONE)
        return fault;
    next.deadman_held = event->deadman == GATE_DEADMAN_HELD;
    next.deadman_ns = now_ns;
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
                                  const struct gate_event *event, int64_t now_ns)
{
    if (!may_command(gate, config, event))
        return GATE_REASON_NOT_OPERATOR;
    if (epoch_has_ended(gate, event))
        return GATE_REASON_STALE_EPOCH;
    if (gate->bus_away)
        return GATE_REASON_NO_BUS;
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

/* Events that carry a command: whether it may go on, and what it does to the gate. */
static void apply_command(struct gate *gate, const struct gate_config *config,
                          const struct gate_event *event, struct gate_actions *actions)
{
    int64_t now_ns = gate->last_ns;

    if (event->kind == GATE_EVENT_ESTOP) {
        if (gate->mode == GATE_ESTOP)
            end_epoch(gate, config); /* each stop outlives the clears before it */
        latch(gate, config, GATE_REASON_OPERATOR);
    } else if (event->kind == GATE_EVENT_ESTOP_CLEAR) {
        actions->refused = try_clear(gate, config, event, now_ns);
    } else {
        /* Letting go is like a stop: it counts whoever says it, however late. */
        if (event->deadman == GATE_DEADMAN_RELEASED)
            gate->deadman_held = false;
        actions->refused = try_motion(gate, config, event, now_ns);
    }
    actions->pass = actions->refused == GATE_REASON_NONE;
}

static void apply_peer(struct gate *gate, enum gate_event_kind kind)
{
    if (kind != GATE_EVENT_PEER_UNGATED)
        gate->peer_held = true; /* until the next velocity that passes */
    if (kind != GATE_EVENT_PEER_HOLD)
        gate->peer_gated = kind == GATE_EVENT_PEER_GATED;
}

static void apply(struct gate *gate, const struct gate_config *config,
                  const struct gate_event *event, struct gate_actions *actions)
{
    int64_t now_ns = gate->last_ns;

    if ((config->follows || event->kind == GATE_EVENT_EPOCH) && event->epoch > gate->epoch)
        gate->epoch = event->epoch;
    switch (event->kind) {
    case GATE_EVENT_TICK:
    case GATE_EVENT_EPOCH:
        break;
    case GATE_EVENT_FRAME:
        if (event->codec_changed)
            end_epoch(gate, config);
        see_frame(gate, event->codec_changed, now_ns);
        break;
    case GATE_EVENT_WANTED:
    case GATE_EVENT_UNWANTED:
        set_wanted(gate, event->kind == GATE_EVENT_WANTED, now_ns);
        break;
    case GATE_EVENT_MOTION:
    case GATE_EVENT_ESTOP:
    case GATE_EVENT_ESTOP_CLEAR:
        apply_command(gate, config, event, actions);
        break;
    case GATE_EVENT_PEER_HOLD:
    case GATE_EVENT_PEER_GATED:
    case GATE_EVENT_PEER_UNGATED:
        apply_peer(gate, event->kind);
        break;
    case GATE_EVENT_BUS_DOWN:
    case GATE_EVENT_BUS_UP:
        set_bus(gate, config, event->kind == GATE_EVENT_BUS_DOWN);
        break;
    case GATE_EVENT_LEASE:
        set_holder(gate, config, event->sender);
        break;
    case GATE_EVENT_GONE:
        end_epoch(gate, config);
        break;
    default:
        latch(gate, config, GATE_REASON_UNKNOWN_EVENT);
        break;
    }
}

struct gate_actions gate_step(struct gate *gate, const struct gate_config *config,
                              const struct gate_event *event, int64_t now_ns)
{
    enum gate_mode mode_before = gate->mode;
    enum gate_reason reason_before = gate->reason;
    uint64_t epoch_before = gate->epoch;
    struct gate_actions actions = {.pass = false};

    if (now_ns > gate->last_ns)
        gate->last_ns = now_ns;
    settle(gate, config, gate->last_ns);
    apply(gate, config, event, &actions);
    settle(gate, config, gate->last_ns);

    actions.changed = gate->mode != mode_before || gate->reason != reason_before;
    actions.epoch_ended = gate->epoch != epoch_before;
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
        [GATE_REASON_NO_BUS] = "no_bus",
        [GATE_REASON_STALE_EPOCH] = "stale_epoch",
        [GATE_REASON_NOT_OPERATOR] = "not_operator",
        [GATE_REASON_DEADMAN] = "deadman",
    };

    return (unsigned)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}
