# SPDX-License-Identifier: Apache-2.0
"""Mistakes that somebody could make in safety/gate.c: name -> (text that stands there, mistake)."""

MUTANTS = {
    # limits
    "video_hold_at_the_limit": (
        "elapsed_ns(gate->frame_ns, now_ns) <= config->video_hold_ns",
        "elapsed_ns(gate->frame_ns, now_ns) < config->video_hold_ns"),
    "video_estop_at_the_limit": (
        "elapsed_ns(video_since_ns, now_ns) > video_estop_limit_ns(gate, config)",
        "elapsed_ns(video_since_ns, now_ns) >= video_estop_limit_ns(gate, config)"),
    "command_hold_at_the_limit": (
        "elapsed_ns(gate->velocity_ns, now_ns) > config->command_hold_ns",
        "elapsed_ns(gate->velocity_ns, now_ns) >= config->command_hold_ns"),
    "command_estop_at_the_limit": (
        "elapsed_ns(gate->velocity_ns, now_ns) > config->command_estop_ns",
        "elapsed_ns(gate->velocity_ns, now_ns) >= config->command_estop_ns"),
    "grace_at_the_limit": (
        "elapsed_ns(gate->codec_ns, gate->frame_ns) <= config->codec_grace_ns",
        "elapsed_ns(gate->codec_ns, gate->frame_ns) < config->codec_grace_ns"),
    "grace_for_ever": (
        "elapsed_ns(gate->codec_ns, gate->frame_ns) <= config->codec_grace_ns",
        "true"),
    "ttl_at_the_limit": (
        "event->age_ns > event->ttl_ns",
        "event->age_ns >= event->ttl_ns"),
    "hold_later_than_documented": (
        ".video_hold_ns = 1000 * MS",
        ".video_hold_ns = 1001 * MS"),
    # the clock
    "clock_runs_backwards": (
        "if (now_ns > gate->last_ns)\n        gate->last_ns = now_ns;",
        "gate->last_ns = now_ns;"),
    "clock_wraps": (
        "return now_ns > then_ns ? INT64_MAX : 0;",
        "return 0;"),
    # starting
    "starts_open": (
        ".mode = GATE_HOLD,\n        .reason = GATE_REASON_STARTING,",
        ".mode = GATE_ARMED,\n        .reason = GATE_REASON_NONE,"),
    "arms_without_a_frame": (
        "if (!gate->wanted || !gate->seen_frame)",
        "if (!gate->wanted)"),
    "arms_without_a_command": (
        "if (!gate->started)\n            return GATE_REASON_STARTING;",
        ""),
    # video and demand
    "stragglers_arm": (
        "if (!gate->wanted)\n        return;",
        ""),
    "an_old_frame_arms_a_new_viewer": (
        "gate->seen_frame && !gate->fresh_demand &&",
        "gate->seen_frame &&"),
    "a_repeated_demand_restarts_the_clock": (
        "if (wanted == gate->wanted)\n        return;",
        ""),
    "escalates_while_nobody_watches": (
        "config->video_hold_ns > 0 && gate->wanted && gate->seen_frame &&\n        elapsed_ns",
        "config->video_hold_ns > 0 && gate->seen_frame &&\n        elapsed_ns"),
    # stops
    "a_stop_does_not_latch": (
        "latch(gate, GATE_REASON_OPERATOR);\n        actions->pass = true;",
        "actions->pass = true;"),
    "a_stop_does_not_pass": (
        "latch(gate, GATE_REASON_OPERATOR);\n        actions->pass = true;",
        "latch(gate, GATE_REASON_OPERATOR);"),
    "an_unknown_event_is_ignored": (
        "latch(gate, GATE_REASON_UNKNOWN_EVENT);\n        break;",
        "break;"),
    "estop_recovers_by_itself": (
        "if (gate->mode == GATE_ESTOP)\n        return;\n    gate->reason = hold_reason",
        "gate->reason = hold_reason"),
    "the_last_cause_replaces_the_first": (
        "if (gate->mode == GATE_ESTOP)\n        return;\n    gate->mode = GATE_ESTOP;",
        "gate->mode = GATE_ESTOP;"),
    "motion_in_estop_is_not_told_its_cause": (
        "if (gate->mode == GATE_ESTOP)\n        return gate->reason;",
        ""),
    # clearing
    "clears_without_video": (
        "if (config->video_hold_ns > 0 && !gate_video_fresh(gate, config, now_ns))\n"
        "        return GATE_REASON_NONE;\n    gate->mode = GATE_HOLD;",
        "gate->mode = GATE_HOLD;"),
    "clears_while_the_peer_is_gated": (
        "if (gate->peer_gated)\n        return GATE_REASON_NO_VIDEO;\n"
        "    if (gate->mode != GATE_ESTOP)",
        "if (gate->mode != GATE_ESTOP)"),
    "a_clear_leaves_the_timers_running": (
        "gate->command_running = false;",
        ""),
    # commands
    "an_equal_cmd_seq_is_newer": (
        "event->cmd_seq <= gate->cmd_seq &&",
        "event->cmd_seq < gate->cmd_seq &&"),
    "a_session_begins_one_too_early": (
        "gate->cmd_seq - event->cmd_seq <= CMD_SEQ_NEW_SESSION",
        "gate->cmd_seq - event->cmd_seq < CMD_SEQ_NEW_SESSION"),
    "a_refused_velocity_feeds_the_timer": (
        "if (next.mode != GATE_ARMED)\n        return next.reason;",
        "if (next.mode != GATE_ARMED) { *gate = next; settle(gate, config, now_ns); return next.reason; }"),
    "any_motion_feeds_the_timer": (
        "if (event->is_velocity) {",
        "if (true) {"),
    "the_ttl_is_not_looked_at": (
        "if (event->ttl_ns > 0 && event->age_ns > event->ttl_ns)\n"
        "        return GATE_REASON_EXPIRED;",
        ""),
    "a_frozen_picture_at_the_limit": (
        "event->picture_age_ns > config->video_hold_ns",
        "event->picture_age_ns >= config->video_hold_ns"),
    "drives_by_a_frozen_picture": (
        "if (picture_is_frozen(config, event))\n        return GATE_REASON_PICTURE_FROZEN;",
        ""),
    "who_does_not_tell_may_not_drive": (
        "config->video_hold_ns > 0 && event->tells_display &&\n           event->picture_age_ns",
        "config->video_hold_ns > 0 &&\n           event->picture_age_ns"),
    # the peer
    "does_not_obey_a_hold": (
        "case GATE_EVENT_PEER_HOLD:\n        gate->peer_held = true;",
        "case GATE_EVENT_PEER_HOLD:"),
    "drives_on_when_ungated": (
        "case GATE_EVENT_PEER_UNGATED:\n        gate->peer_gated = false;",
        "case GATE_EVENT_PEER_UNGATED:\n        gate->peer_gated = gate->peer_held = false;"),
    # what it tells
    "tells_hold_again_and_again": (
        "mode_before == GATE_ARMED && gate->mode == GATE_HOLD;",
        "gate->mode == GATE_HOLD;"),
    "repeats_the_operators_stop": (
        "mode_before != GATE_ESTOP && gate->mode == GATE_ESTOP &&\n"
        "                            gate->reason != GATE_REASON_OPERATOR;",
        "mode_before != GATE_ESTOP && gate->mode == GATE_ESTOP;"),
    "does_not_settle_before_the_event": (
        "settle(gate, config, gate->last_ns);\n    apply(gate, config, event, &actions);",
        "apply(gate, config, event, &actions);"),
}
