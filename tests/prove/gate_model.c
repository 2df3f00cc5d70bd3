/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. */
#include "tests/prove/gate_model.h"

#define MS INT64_C(1000000)
#define S (1000 * MS)

void model_init(struct model *m, bool video, int64_t now)
{
    *m = (struct model){.video = video, .now = now, .frame = -1, .codec = -1, .velocity = -1};
}

static void model_wait_until(struct model *m, int64_t at)
{
    if (at > m->now)
        m->now = at;
    if (m->video && m->watched && m->frame >= 0) {
        int64_t gap_begin = m->frame > m->watched_since ? m->frame : m->watched_since;
        int64_t allowed = 5 * S;
        if (m->codec >= 0 && m->frame - m->codec <= 2 * S)
            allowed += 2 * S;
        if (m->now - gap_begin > allowed)
            m->stopped = true;
    }
    if (!m->video && m->velocity >= 0 && m->now - m->velocity > 2 * S)
        m->stopped = true;
}

static bool model_fresh(const struct model *m)
{
    return m->watched && m->frame_since_watched && m->now - m->frame <= 1 * S;
}

bool model_open(const struct model *m)
{
    if (m->stopped || m->gated || m->told_to_hold)
        return false;
    if (m->video)
        return model_fresh(m);
    return m->started && (m->velocity < 0 || m->now - m->velocity <= 200 * MS);
}

static bool model_motion(struct model *m, const struct gate_event *event)
{
    bool late = event->ttl_ns > 0 && event->age_ns > event->ttl_ns;
    bool old = !m->video && event->has_cmd_seq && m->has_seq && event->cmd_seq <= m->seq &&
               m->seq - event->cmd_seq <= 100;
    bool frozen = m->video && event->tells_display && event->picture_age_ns > 1 * S;

    if (m->stopped || m->gated || late || old || frozen)
        return false;
    if (m->video ? !model_fresh(m) : !event->is_velocity && !model_open(m))
        return false;
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

static bool model_clear(struct model *m)
{
    if (m->gated)
        return false;
    if (m->stopped && (!m->video || model_fresh(m))) {
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
    switch (event->kind) {
    case GATE_EVENT_TICK:
        return false;
    case GATE_EVENT_FRAME:
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
        m->stopped = true;
        return true;
    case GATE_EVENT_ESTOP_CLEAR:
        return model_clear(m);
    case GATE_EVENT_PEER_HOLD:
        m->told_to_hold = true;
        return false;
    case GATE_EVENT_PEER_GATED:
        m->gated = m->told_to_hold = true;
        return false;
    case GATE_EVENT_PEER_UNGATED:
        m->gated = false;
        return false;
    }
    m->stopped = true;
    return false;
}
