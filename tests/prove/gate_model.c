/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. */
#include "tests/prove/gate_model.h"

#define MS INT64_C(1000000)
#define S (1000 * MS)

void model_init(struct model *m, struct gate_kind kind, int64_t now)
{
    *m = (struct model){
        .kind = kind, .now = now, .frame = -1, .codec = -1, .velocity = -1, .held = -1};
}

/* Layer 2 counts the epochs, layer 3 hears of them. */
static void model_new_epoch(struct model *m)
{
    m->epoch += m->kind.video;
}

static void model_stop(struct model *m)
{
    if (!m->stopped)
        model_new_epoch(m);
    m->stopped = true;
}

static void model_wait_until(struct model *m, int64_t at)
{
    if (at > m->now)
        m->now = at;
    if (m->kind.video && m->watched && m->frame >= 0) {
        int64_t gap_begin = m->frame > m->watched_since ? m->frame : m->watched_since;
        int64_t allowed = 5 * S;
        if (m->codec >= 0 && m->frame - m->codec <= 2 * S)
            allowed += 2 * S;
        if (m->now - gap_begin > allowed)
            model_stop(m);
    }
    if (!m->kind.video && m->velocity >= 0 && m->now - m->velocity > 2 * S)
        model_stop(m);
}

static bool model_fresh(const struct model *m)
{
    return m->watched && m->frame_since_watched && m->now - m->frame <= 1 * S;
}

bool model_open(const struct model *m)
{
    if (m->stopped || m->gated || m->told_to_hold || m->bus_away)
        return false;
    if (m->kind.strict && (m->held < 0 || m->now - m->held > 300 * MS))
        return false;
    if (m->kind.video)
        return model_fresh(m);
    return m->started && (m->velocity < 0 || m->now - m->velocity <= 200 * MS);
}

/* Whether its sender may command at all, now, with this command. */
static bool model_admits(const struct model *m, const struct gate_event *event)
{
    bool leased = m->kind.strict && m->kind.video && event->role != GATE_ROLE_BUS;

    if (leased && !(event->role == GATE_ROLE_OPERATOR && m->holder && m->holder == event->sender))
        return false;
    return (event->epoch == 0 || event->epoch == m->epoch) && !m->bus_away;
}

/* What is open but for the deadman, which the command itself brings. */
static bool model_open_with(const struct model *m, const struct gate_event *event)
{
    struct model with = *m;

    with.held = event->deadman == GATE_DEADMAN_HELD ? m->now : -1;
    return model_open(&with);
}

static bool model_motion(struct model *m, const struct gate_event *event)
{
    int64_t life = event->ttl_ns > 0 ? event->ttl_ns : INT64_MAX;
    bool late = event->age_ns > life || (!m->kind.video && event->age_ns > 200 * MS);
    bool old = !m->kind.video && event->has_cmd_seq && m->has_seq && event->cmd_seq <= m->seq &&
               m->seq - event->cmd_seq <= 100;
    bool frozen = m->kind.video && event->tells_display && event->picture_age_ns > 1 * S;

    if (event->deadman == GATE_DEADMAN_RELEASED)
        m->held = -1;
    if (m->stopped || m->gated || late || old || frozen || !model_admits(m, event))
        return false;
    if (m->kind.strict && event->deadman != GATE_DEADMAN_HELD)
        return false;
    if (m->kind.video ? !model_fresh(m) : !event->is_velocity && !model_open_with(m, event))
        return false;
    m->held = event->deadman == GATE_DEADMAN_HELD ? m->now : -1;
    if (event->is_velocity) {
        m->velocity = m->now;
        m->started = true;
        m->told_to_hold = false;
    }
    if (event->has_cmd_seq) {
        m->has_seq = true;
        m->seq = event->cmd_seq;
    }
    return true;
}

static bool model_clear(struct model *m, const struct gate_event *event)
{
    if (m->gated || !model_admits(m, event))
        return false;
    if (m->stopped && (!m->kind.video || model_fresh(m))) {
        m->stopped = false;
        m->told_to_hold = false;
        m->started = true;
        m->velocity = -1;
    }
    return true;
}

bool model_step(struct model *m, const struct gate_event *event, int64_t at)
{
    model_wait_until(m, at);
    if (event->epoch > m->epoch && (!m->kind.video || event->kind == GATE_EVENT_EPOCH))
        m->epoch = event->epoch;
    switch (event->kind) {
    case GATE_EVENT_TICK:
    case GATE_EVENT_EPOCH:
        return false;
    case GATE_EVENT_FRAME:
        if (event->codec_changed)
            model_new_epoch(m);
        if (m->watched) {
            m->frame = m->now;
            m->frame_since_watched = true;
        }
        if (m->watched && event->codec_changed)
            m->codec = m->now;
        return false;
    case GATE_EVENT_WANTED:
        if (!m->watched) {
            m->watched_since = m->now;
            m->frame_since_watched = false;
        }
        m->watched = true;
        return false;
    case GATE_EVENT_UNWANTED:
        m->watched = false;
        return false;
    case GATE_EVENT_MOTION:
        return model_motion(m, event);
    case GATE_EVENT_ESTOP:
        if (m->stopped)
            model_new_epoch(m);
        model_stop(m);
        return true;
    case GATE_EVENT_ESTOP_CLEAR:
        return model_clear(m, event);
    case GATE_EVENT_PEER_HOLD:
        m->told_to_hold = true;
        return false;
    case GATE_EVENT_PEER_GATED:
        m->gated = m->told_to_hold = true;
        return false;
    case GATE_EVENT_PEER_UNGATED:
        m->gated = false;
        return false;
    case GATE_EVENT_BUS_DOWN:
        m->bus_away = true;
        return false;
    case GATE_EVENT_BUS_UP:
        if (m->bus_away)
            model_new_epoch(m);
        m->bus_away = false;
        return false;
    case GATE_EVENT_LEASE:
        if (m->holder != event->sender)
            model_new_epoch(m);
        m->holder = event->sender;
        return false;
    case GATE_EVENT_GONE:
        model_new_epoch(m);
        return false;
    }
    model_stop(m);
    return false;
}
