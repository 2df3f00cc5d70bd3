# SPDX-License-Identifier: Apache-2.0
"""Mistakes that somebody could make in the gate: file -> name -> (text that stands there, mistake)."""

GATE = {
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
    "late_at_the_limit": (
        "event->age_ns > config->command_hold_ns",
        "event->age_ns >= config->command_hold_ns"),
    "the_deadman_at_the_limit": (
        "elapsed_ns(gate->deadman_ns, now_ns) <= config->deadman_ns",
        "elapsed_ns(gate->deadman_ns, now_ns) < config->deadman_ns"),
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
        "latch(gate, config, GATE_REASON_OPERATOR);",
        ";"),
    "a_stop_does_not_pass": (
        "latch(gate, config, GATE_REASON_OPERATOR);",
        "latch(gate, config, GATE_REASON_OPERATOR);\n        actions->refused = gate->reason;"),
    "only_the_first_stop_counts": (
        "if (gate->mode == GATE_ESTOP)\n            end_epoch(gate, config);",
        ""),
    "a_stop_ends_no_epoch": (
        "gate->reason = reason;\n    end_epoch(gate, config);",
        "gate->reason = reason;"),
    "an_unknown_event_is_ignored": (
        "latch(gate, config, GATE_REASON_UNKNOWN_EVENT);\n        break;",
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
    "clears_while_the_bus_is_away": (
        "return GATE_REASON_STALE_EPOCH;\n    if (gate->bus_away)\n"
        "        return GATE_REASON_NO_BUS;\n    if (gate->peer_gated)",
        "return GATE_REASON_STALE_EPOCH;\n    if (gate->peer_gated)"),
    "an_old_clear_undoes_a_stop": (
        "return GATE_REASON_NOT_OPERATOR;\n    if (epoch_has_ended(gate, event))\n"
        "        return GATE_REASON_STALE_EPOCH;\n    if (gate->bus_away)",
        "return GATE_REASON_NOT_OPERATOR;\n    if (gate->bus_away)"),
    "anybody_clears": (
        "{\n    if (!may_command(gate, config, event))\n        return GATE_REASON_NOT_OPERATOR;\n"
        "    if (epoch_has_ended(gate, event))",
        "{\n    if (epoch_has_ended(gate, event))"),
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
        "if (is_late(config, event))\n        return GATE_REASON_EXPIRED;",
        ""),
    "what_was_long_under_way_passes": (
        "config->command_hold_ns > 0 && event->age_ns > config->command_hold_ns",
        "false"),
    "a_frozen_picture_at_the_limit": (
        "event->picture_age_ns > config->video_hold_ns",
        "event->picture_age_ns >= config->video_hold_ns"),
    "drives_by_a_frozen_picture": (
        "if (picture_is_frozen(config, event))\n        return GATE_REASON_PICTURE_FROZEN;",
        ""),
    "who_does_not_tell_may_not_drive": (
        "config->video_hold_ns > 0 && event->tells_display &&\n           event->picture_age_ns",
        "config->video_hold_ns > 0 &&\n           event->picture_age_ns"),
    # epochs
    "motion_of_an_older_epoch_passes": (
        "return GATE_REASON_EXPIRED;\n    if (epoch_has_ended(gate, event))\n"
        "        return GATE_REASON_STALE_EPOCH;",
        "return GATE_REASON_EXPIRED;"),
    "motion_of_an_epoch_to_come_passes": (
        "event->epoch > 0 && event->epoch != gate->epoch",
        "event->epoch > 0 && event->epoch < gate->epoch"),
    "who_knows_no_epochs_may_not_drive": (
        "event->epoch > 0 && event->epoch != gate->epoch",
        "event->epoch != gate->epoch"),
    "the_simulator_counts_by_itself": (
        "if (!config->follows)\n        gate->epoch++;",
        "gate->epoch++;"),
    "the_transport_believes_an_epoch": (
        "(config->follows || event->kind == GATE_EVENT_EPOCH) &&",
        "true &&"),
    "the_simulator_believes_no_epoch": (
        "(config->follows || event->kind == GATE_EVENT_EPOCH) &&",
        "event->kind == GATE_EVENT_EPOCH &&"),
    "the_epoch_goes_back": (
        "event->epoch > gate->epoch)\n        gate->epoch = event->epoch;",
        "event->epoch > 0)\n        gate->epoch = event->epoch;"),
    "a_reconnect_ends_no_epoch": (
        "if (gate->bus_away && !away)",
        "if (false)"),
    "each_word_of_the_bus_ends_an_epoch": (
        "if (gate->bus_away && !away)",
        "if (!away)"),
    "a_switch_of_the_encoder_ends_no_epoch": (
        "if (event->codec_changed)\n            end_epoch(gate, config);",
        ""),
    "a_change_of_operator_ends_no_epoch": (
        "if (gate->holder != holder)\n        end_epoch(gate, config);",
        ""),
    "a_client_that_leaves_ends_no_epoch": (
        "case GATE_EVENT_GONE:\n        end_epoch(gate, config);",
        "case GATE_EVENT_GONE:"),
    "does_not_tell_that_an_epoch_ended": (
        "actions.epoch_ended = gate->epoch != epoch_before;",
        ""),
    # who, and by what
    "drives_while_the_bus_is_away": (
        "if (gate->bus_away)\n        return GATE_REASON_NO_BUS;\n    if (config->video_hold_ns > 0) {",
        "if (config->video_hold_ns > 0) {"),
    "the_bus_is_never_back": (
        "gate->bus_away = away;",
        "gate->bus_away |= away;"),
    "anybody_drives": (
        "if (!may_command(gate, config, event))\n        return GATE_REASON_NOT_OPERATOR;\n"
        "    if (is_late(config, event))",
        "if (is_late(config, event))"),
    "a_viewer_with_the_lease_drives": (
        "event->role == GATE_ROLE_OPERATOR && gate->holder > 0 &&",
        "gate->holder > 0 &&"),
    "any_operator_drives": (
        "&& event->sender == gate->holder;",
        ";"),
    "nobody_holds_the_lease_and_drives": (
        "gate->holder > 0 && event->sender == gate->holder;",
        "event->sender == gate->holder;"),
    "the_bus_needs_a_lease": (
        "if (!config->lease || event->role == GATE_ROLE_BUS)",
        "if (!config->lease)"),
    "one_hand_on_the_deadman_serves_all": (
        "next.deadman_held = event->deadman == GATE_DEADMAN_HELD;",
        "next.deadman_held |= event->deadman == GATE_DEADMAN_HELD;"),
    "a_deadman_that_nobody_asked_for": (
        "if (config->deadman_ns > 0 && !deadman_counts(gate, config, now_ns))",
        "if (!deadman_counts(gate, config, now_ns))"),
    "letting_go_changes_nothing": (
        "if (event->deadman == GATE_DEADMAN_RELEASED)",
        "if (false)"),
    "not_saying_is_letting_go": (
        "if (event->deadman == GATE_DEADMAN_RELEASED)",
        "if (event->deadman != GATE_DEADMAN_HELD)"),
    "the_deadman_is_never_renewed": (
        "next.deadman_ns = now_ns;",
        "if (!gate->deadman_held)\n        next.deadman_ns = now_ns;"),
    # the peer
    "does_not_obey_a_hold": (
        "if (kind != GATE_EVENT_PEER_UNGATED)\n        gate->peer_held = true;",
        ""),
    "drives_on_when_ungated": (
        "if (kind != GATE_EVENT_PEER_UNGATED)\n        gate->peer_held = true;",
        "gate->peer_held = kind != GATE_EVENT_PEER_UNGATED;"),
    "a_hold_ungates": (
        "if (kind != GATE_EVENT_PEER_HOLD)\n        gate->peer_gated",
        "gate->peer_gated"),
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

LIMITS = {
    "cuts_nothing": (
        "return limit > 0 ? fmax(-limit, fmin(limit, value)) : value;",
        "return value;"),
    "cuts_only_forwards": (
        "fmax(-limit, fmin(limit, value))",
        "fmin(limit, value)"),
    "cuts_only_backwards": (
        "fmax(-limit, fmin(limit, value))",
        "fmax(-limit, value)"),
    "a_limit_of_zero_stops": (
        "limit > 0 ?",
        "true ?"),
    "lets_what_is_no_number_through": (
        "if (isnan(value))\n        return 0;",
        ""),
    "does_not_tell_that_it_cut": (
        "changed |= !(allowed == velocity[i]);",
        ""),
    "tells_a_cut_that_was_none": (
        "changed |= !(allowed == velocity[i]);",
        "changed |= !(allowed < velocity[i]);"),
    "forgets_an_axis": (
        "for (unsigned i = 0; i < LIMITS_AXES; i++) {\n        double allowed",
        "for (unsigned i = 0; i < 2; i++) {\n        double allowed"),
    "accelerates_as_it_likes": (
        "accel = cut(accel, limits->accel_max[i]);",
        ""),
    "jerks_as_it_likes": (
        "glide->accel[i] += cut(accel - glide->accel[i], jerk_max * dt_s);",
        "glide->accel[i] = accel;"),
    "brakes_too_late": (
        "return copysign(step * (k / 2 + units / (k + 1)), missing);",
        "return copysign(step * (k / 2 + units / (k + 1) + 1), missing);"),
    "crawls": (
        "return copysign(step * (k / 2 + units / (k + 1)), missing);",
        "return copysign(step * (k / 2 + units / (k + 1)) / 4, missing);"),
    "needs_both_limits": (
        "limits->accel_max[i] <= 0 && jerk_max <= 0",
        "limits->accel_max[i] <= 0 || jerk_max <= 0"),
}

AUTHORITY = {
    "a_refused_velocity_is_applied": (
        "if (news.accepted && event.kind == GATE_EVENT_MOTION && event.is_velocity)",
        "if (event.kind == GATE_EVENT_MOTION && event.is_velocity)"),
    "any_motion_is_a_velocity": (
        "if (news.accepted && event.kind == GATE_EVENT_MOTION && event.is_velocity)",
        "if (news.accepted && event.kind == GATE_EVENT_MOTION)"),
    "a_stop_leaves_the_velocity": (
        "if (authority->gate.mode == GATE_ESTOP)\n        authority_still(authority);\n    else if",
        "if"),
    "what_was_wanted_comes_back_after_a_stop": (
        "if (authority->gate.mode != GATE_ARMED) {\n        memset(authority->target,",
        "if (false) {\n        memset(authority->target,"),
    "a_hold_does_not_slow_down": (
        "authority->velocity[i] /= 2;",
        ""),
    "a_hold_never_comes_to_rest": (
        "if (fabs(authority->velocity[i]) < AUTHORITY_STILL)",
        "if (false)"),
    "the_gates_own_stop_is_no_stop": (
        "command->action == COMMAND_ESTOP || command->origin == COMMAND_FROM_GATE_ESTOP",
        "command->action == COMMAND_ESTOP"),
    "the_gates_hold_is_motion": (
        "else if (command->origin == COMMAND_FROM_GATE_HOLD)\n        event.kind = GATE_EVENT_PEER_HOLD;",
        ""),
    "a_clear_is_no_clear": (
        "else if (command->action == COMMAND_ESTOP_CLEAR)\n        event.kind = GATE_EVENT_ESTOP_CLEAR;",
        ""),
    "gated_is_ungated": (
        "gated ? GATE_EVENT_PEER_GATED : GATE_EVENT_PEER_UNGATED",
        "gated ? GATE_EVENT_PEER_UNGATED : GATE_EVENT_PEER_GATED"),
    "the_word_on_the_video_has_no_epoch": (
        ".epoch = epoch};",
        "};"),
    "the_age_is_not_looked_at": (
        "stamp && stamp->sent_ns > 0 ? now_ns - stamp->sent_ns : 0",
        "0"),
    "the_epoch_is_not_looked_at": (
        "stamp ? stamp->epoch : 0",
        "0"),
    "the_deadman_is_always_held": (
        "command->deadman == COMMAND_DEADMAN_HELD ? GATE_DEADMAN_HELD : GATE_DEADMAN_RELEASED",
        "GATE_DEADMAN_HELD"),
    "no_limit_of_speed": (
        "bool limited = limits_cut(&authority->config.limits, authority->target);",
        "bool limited = false;"),
    "a_limit_of_acceleration_is_passed_by": (
        "if (!glides(&authority->config.limits))\n        memcpy",
        "memcpy"),
    "the_robot_forgets_who_is_refused": (
        "authority->refused++;",
        ""),
    "a_malformed_command_is_carried_out": (
        "if (error < 0) {",
        "if (false) {"),
    "the_lost_bus_is_none": (
        "connected ? GATE_EVENT_BUS_UP : GATE_EVENT_BUS_DOWN",
        "GATE_EVENT_BUS_UP"),
}

MUTANTS = {"safety/gate.c": GATE, "safety/limits.c": LIMITS, "safety/authority.c": AUTHORITY}
