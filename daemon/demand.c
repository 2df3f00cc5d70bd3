/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the accumulated settings and the time of the last request. */
#include "daemon/demand.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/command.h"

#define MOTION_WANTS_NS (10 * NS_PER_S)

static void request_keyframe(struct demand *demand, int64_t now_ns)
{
    static const char json[] = "{\"cmd_seq\":0}";

    demand->keyframe_due = false;
    demand->keyframe_ns = now_ns;
    demand->counters->keyframe_requests++;
    source_request_keyframe(demand->source);
    if (demand->ring_only)
        return;
    bus_publish(demand->bus, BUS_LANE_NORMAL,
                &(struct bus_message){
                    .subject = command_subject(COMMAND_FORCE_IDR),
                    .payload = json,
                    .payload_bytes = strlen(json),
                });
}

void demand_keyframe(struct demand *demand, int64_t now_ns)
{
    if (demand->keyframe_ns == 0 || now_ns - demand->keyframe_ns >= demand->coalesce_ns)
        request_keyframe(demand, now_ns);
    else
        demand->keyframe_due = true;
}

void demand_satisfied(struct demand *demand)
{
    demand->keyframe_due = false;
}

void demand_settings(struct demand *demand, const struct stream_settings *settings)
{
    stream_settings_merge(&demand->settings, settings);
    source_settings(demand->source, &demand->settings);
}

void demand_motion(struct demand *demand, int64_t now_ns)
{
    demand->motion_ns = now_ns;
}

void demand_renditions(struct demand *demand, bool watched)
{
    demand->renditions_watched = watched;
}

static void update_wanted(struct demand *demand, int64_t now_ns)
{
    bool wanted = audience_watchers(demand->audience) > 0 ||
                  (demand->motion_ns > 0 && now_ns - demand->motion_ns < MOTION_WANTS_NS) ||
                  source_runs_free(demand->source);

    if (wanted != demand->ring_wanted) {
        demand->ring_wanted = wanted;
        source_want(demand->source, wanted);
        log_debug("stream %u is %s", demand->audience->stream, wanted ? "wanted" : "not wanted");
    }
}

bool demand_update(struct demand *demand, int64_t now_ns)
{
    update_wanted(demand, now_ns);
    bool wanted = demand->ring_wanted || demand->renditions_watched;
    bool changed = wanted != demand->wanted;

    demand->wanted = wanted;
    if (audience_waiting_ns(demand->audience, now_ns) > demand->timeout_ns &&
        now_ns - demand->keyframe_ns > demand->timeout_ns)
        demand->keyframe_due = true;
    if (demand->keyframe_due && now_ns - demand->keyframe_ns >= demand->coalesce_ns)
        request_keyframe(demand, now_ns);
    return changed;
}
