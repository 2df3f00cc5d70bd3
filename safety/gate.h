/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: decides whether a motion command may pass and when the robot must be told to hold or
 * to stop. One pure function of (state, event, monotonic now): no I/O, no clock, no allocation.
 * The same object runs in simcastd (layer 2: watches the age of the video) and in the simulator
 * (layer 3: watches the age and order of the commands); the configuration says which timers run.
 *
 *   ARMED  motion passes.
 *   HOLD   motion is refused; the robot is told zero velocity once. Recovers by itself.
 *   ESTOP  motion is refused; latched until estop_clear while the picture is fresh.
 *
 * It starts in HOLD. An event that it does not know counts as a stop.
 *
 * An epoch is a stretch of time in which a command still means what its sender meant. It ends when
 * the bus was away, when the operator changes or is gone, at a switch of the encoder, and with each
 * stop: a command of an older epoch is refused. The transport counts the epochs, the simulator
 * follows its count.
 *
 * Source: docs/safety.md. Thread: the owner's. Cost: nanoseconds.
 */
#ifndef SIMCAST_SAFETY_GATE_H
#define SIMCAST_SAFETY_GATE_H

#include <stdbool.h>
#include <stdint.h>

enum gate_mode { GATE_ARMED, GATE_HOLD, GATE_ESTOP };

enum gate_reason {
    GATE_REASON_NONE,        /* armed */
    GATE_REASON_STARTING,    /* nothing seen yet */
    GATE_REASON_NO_VIDEO,    /* the newest frame is too old (layer 2, or told to layer 3) */
    GATE_REASON_NO_VIEWER,   /* nobody watches, so no frames are asked for */
    GATE_REASON_CMD_TIMEOUT, /* no fresh set_cmd_vel (layer 3) */
    GATE_REASON_OPERATOR,    /* somebody pressed stop */
    GATE_REASON_STALE_SEQ,   /* a command's cmd_seq is not newer */
    GATE_REASON_EXPIRED,     /* a command is older than its ttl */
    GATE_REASON_UNKNOWN_EVENT,
    GATE_REASON_PICTURE_FROZEN, /* the sender of a command sees an old picture, or none any more */
    GATE_REASON_NO_BUS,         /* commands cannot reach the robot */
    GATE_REASON_STALE_EPOCH,    /* a command of an epoch that has ended */
    GATE_REASON_NOT_OPERATOR,   /* its sender may only watch, or another operator holds the lease */
    GATE_REASON_DEADMAN,        /* the deadman is not held, or no longer */
};

/* Who sent a command. With a lease in use, clients are viewers or operators. */
enum gate_role {
    GATE_ROLE_NONE, /* a client whose role is not known */
    GATE_ROLE_VIEWER,
    GATE_ROLE_OPERATOR,
    GATE_ROLE_BUS, /* it came by the bus: whose permissions are the bus's matter */
};

enum gate_deadman {
    GATE_DEADMAN_ABSENT, /* its sender has none */
    GATE_DEADMAN_RELEASED,
    GATE_DEADMAN_HELD,
};

/* "Older than" and "for this long" are strict: exactly the limit is still fresh. */
struct gate_config {
    int64_t video_hold_ns;    /* newest frame older than this: HOLD; 0: video is not watched.
                               * Who tells what is displayed may not drive by an older picture */
    int64_t video_estop_ns;   /* older than this: ESTOP */
    int64_t codec_grace_ns;   /* added to video_estop_ns in the gap right after a codec change:
                               * when the newest frame came at most this long after the change */
    int64_t command_hold_ns;  /* no fresh set_cmd_vel for this long: HOLD; 0: not watched */
    int64_t command_estop_ns; /* for this long: ESTOP */
    int64_t deadman_ns;       /* motion passes only when it says that the deadman is held, which
                               * holds the gate open for this long; 0: no deadman is asked for */
    bool check_cmd_seq;       /* refuse motion whose cmd_seq is not newer */
    bool lease;               /* clients command only as the operator who holds the lease */
    bool follows;             /* take epochs from the events; false: count them */
};

/* Layer 2 as wire.md gives it: 1 s, 5 s, 2 s. */
extern const struct gate_config gate_config_transport;
/* Layer 3 as wire.md gives it: 200 ms, 2 s, cmd_seq checked; follows the transport's epochs. */
extern const struct gate_config gate_config_simulator;

/* Embed it. The first four may be read by its owner; the rest belongs to gate.c. */
struct gate {
    enum gate_mode mode;
    enum gate_reason reason; /* why not ARMED; of an ESTOP, what latched it */
    int64_t since_ns;        /* when mode or reason last changed */
    uint64_t epoch;          /* from 1, or 0 while none is known; only grows */

    int64_t last_ns; /* newest `now_ns` ever given: time never runs backwards in here */

    bool demand_known; /* WANTED or UNWANTED was heard */
    bool wanted;
    bool seen_frame;   /* ever, while wanted */
    bool fresh_demand; /* wanted, and no frame came since */
    bool seen_codec_change;
    int64_t wanted_ns;
    int64_t frame_ns; /* newest frame's arrival */
    int64_t codec_ns; /* newest codec change */

    bool peer_gated;      /* the transport gate says that the operator cannot see */
    bool peer_held;       /* it told us to hold, and no set_cmd_vel passed since */
    bool started;         /* a set_cmd_vel or an estop_clear came */
    bool command_running; /* the command timers run, counting from velocity_ns */
    bool seen_cmd_seq;
    int64_t velocity_ns; /* newest set_cmd_vel that passed */
    uint64_t cmd_seq;    /* newest that passed */

    bool bus_away;
    uint64_t holder; /* of the lease; 0: nobody */
    bool deadman_held;
    int64_t deadman_ns; /* newest motion that said so */
};

enum gate_event_kind {
    GATE_EVENT_TICK,
    GATE_EVENT_FRAME,    /* a frame reached this process; `codec_changed` may be set */
    GATE_EVENT_WANTED,   /* video is wanted from now on; a repeat changes nothing */
    GATE_EVENT_UNWANTED, /* nobody wants video any more */
    GATE_EVENT_MOTION,   /* set_cmd_vel, set_alpha, set_skill: fields below */
    GATE_EVENT_ESTOP,
    GATE_EVENT_ESTOP_CLEAR,
    GATE_EVENT_PEER_HOLD,    /* layer 3 received the transport gate's hold */
    GATE_EVENT_PEER_GATED,   /* layer 3 heard video_gate {gated:true} */
    GATE_EVENT_PEER_UNGATED, /* layer 3 heard video_gate {gated:false} */
    GATE_EVENT_BUS_DOWN,
    GATE_EVENT_BUS_UP, /* after BUS_DOWN: reconnected. A repeat changes nothing */
    GATE_EVENT_LEASE,  /* `sender` holds the lease from now on; 0: nobody */
    GATE_EVENT_GONE,   /* a client that commanded is gone */
    GATE_EVENT_EPOCH,  /* the count is at least at `epoch` */
};

struct gate_event {
    enum gate_event_kind kind;
    bool codec_changed;        /* FRAME: the first one of another codec, encoder or source */
    bool is_velocity;          /* MOTION: set_cmd_vel */
    bool has_cmd_seq;          /* MOTION */
    uint64_t cmd_seq;          /* MOTION */
    int64_t age_ns;            /* MOTION: since its sender sent it; 0: just now or unknown */
    int64_t ttl_ns;            /* MOTION; 0: no limit */
    bool tells_display;        /* MOTION: its sender tells which frames it displays */
    int64_t picture_age_ns;    /* MOTION, tells_display: since the newest of them came here */
    enum gate_deadman deadman; /* MOTION */
    enum gate_role role;       /* MOTION, ESTOP_CLEAR */
    uint64_t sender;           /* MOTION, ESTOP_CLEAR, LEASE: one client's number, from 1 */
    /*
     * MOTION, ESTOP_CLEAR: that its sender knew, or with `follows` that the transport passed it in;
     * ESTOP, PEER_*, with `follows`: the transport's. 0: unknown, so the one that lasts.
     */
    uint64_t epoch;
};

struct gate_actions {
    bool pass;                /* the command of this event may go on; false for other events */
    enum gate_reason refused; /* why a MOTION or ESTOP_CLEAR may not */
    bool publish_hold;        /* left ARMED for HOLD: tell the robot zero velocity, once, now */
    bool publish_estop;       /* the gate itself latched ESTOP: tell the robot, once, now. Not set
                               * for an ESTOP event, which passes and so tells the robot itself */
    bool changed;             /* mode or reason changed */
    bool epoch_ended;         /* gate.epoch has grown: what waits of older ones is void */
};

void gate_init(struct gate *gate, int64_t now_ns);

/*
 * The whole gate: lets time pass up to `now_ns`, then applies the event. `now_ns` is
 * CLOCK_MONOTONIC; a decrease counts as no time passed.
 */
struct gate_actions gate_step(struct gate *gate, const struct gate_config *config,
                              const struct gate_event *event, int64_t now_ns);

/* Age of the newest frame at `now_ns`, or -1 before the first one. */
int64_t gate_video_age_ns(const struct gate *gate, int64_t now_ns);

/*
 * Whether video is wanted and not older than video_hold_ns; what `video_gate` {gated} reports,
 * since with an ESTOP latched the mode alone does not tell. False when video is not watched.
 */
bool gate_video_fresh(const struct gate *gate, const struct gate_config *config, int64_t now_ns);

/* "ARMED", "HOLD", "ESTOP"; string constants, as are the reasons ("no_video", ...). */
const char *gate_mode_name(enum gate_mode mode);
const char *gate_reason_name(enum gate_reason reason);

#endif
