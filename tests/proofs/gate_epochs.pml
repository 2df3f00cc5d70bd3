/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate's two sides and the bus between them (safety/gate.c, daemon/guard.c,
 * safety/authority.c): simcastd judges what operators send and counts the epochs, the robot
 * follows. Motion, clears, the hold and the word on the video go by the normal lane; a stop goes
 * by its own and may overtake them all. Each lane may lose its connection with all that waits, and
 * a server that hung may still deliver what it had.
 *
 * Holds:   a clear never undoes a stop that was pressed after it; no motion moves the robot that
 *          was judged before a closing which the robot has heard of, nor one of an older epoch
 *          than it knows; the robot moves only while no stop it heard stands.
 * Searched: as it is
 * Mutants: -DSTOP_ENDS_NO_EPOCH -DCLEARS_WITHOUT_EPOCH -DMOVES_WITHOUT_EPOCH -DHOLD_BY_THE_STOP_LANE
 *          -DSTOP_WITHOUT_STAMP -DHOLD_WITHOUT_STAMP -DEPOCH_GOES_BACK -DSTOP_DOES_NOT_LATCH
 */
#define STOPS 3
#define CLOSINGS 2
#define BREAKS 1

mtype = {MOTION, CLEAR, HOLD};

/* kind, epoch; then for the assertions alone: stops pressed and closings made before it */
chan normal = [3] of {mtype, byte, byte, byte};
chan hung = [3] of {mtype, byte, byte, byte}; /* of a connection that broke: late, in order */
chan stop = [2] of {byte, byte};              /* epoch; which stop */

/* simcastd */
byte epoch = 1;
byte stops = 0;
byte closings = 0;
byte breaks = 0;
bit open = 0;
bit latched = 0;

/* the robot */
byte known = 0;
bit stopped = 0;
bit stands = 0;         /* a stop was heard and no clear was taken since */
byte stop_heard = 0;    /* the newest */
byte closing_heard = 0; /* likewise */

inline end_epoch()
{
    epoch++
}

inline press_stop()
{
    atomic {
        stops++;
        latched = 1;
        open = 0;
#ifndef STOP_ENDS_NO_EPOCH
        end_epoch();
#endif
#ifdef STOP_WITHOUT_STAMP
        stop!0, stops
#else
        stop!epoch, stops
#endif
    }
}

inline close_gate()
{
    atomic {
        open = 0;
        closings++;
#ifdef HOLD_BY_THE_STOP_LANE
        closing_heard = closings
#else
#ifdef HOLD_WITHOUT_STAMP
        normal!HOLD, 0, stops, closings
#else
        normal!HOLD, epoch, stops, closings
#endif
#endif
    }
}

/* What waits may be lost, or come late; both count as the end of an epoch. */
inline break_connection()
{
    atomic {
        breaks++;
        do
        :: nempty(normal) && nfull(hung) ->
            if
            :: normal?kind, era, before_stop, before_closing; /* lost */
            :: normal?kind, era, before_stop, before_closing;
                hung!kind, era, before_stop, before_closing
            fi
        :: empty(normal) -> break
        od;
        kind = 0; era = 0; before_stop = 0; before_closing = 0;
        end_epoch()
    }
}

proctype simcastd()
{
    mtype kind;
    byte era;
    byte before_stop;
    byte before_closing;

end:
    do
    :: stops < STOPS && nfull(stop) -> press_stop()
    :: open && nfull(normal) -> normal!MOTION, epoch, stops, closings
    :: atomic {
        latched && nfull(normal) ->
        latched = 0;
        normal!CLEAR, epoch, stops, closings
    }
    :: atomic { !open && !latched -> open = 1 }
    :: open && closings < CLOSINGS && nfull(normal) -> close_gate()
    :: breaks < BREAKS -> break_connection()
    od
}

inline learn(era)
{
#ifdef EPOCH_GOES_BACK
    if
    :: era > 0 -> known = era
    :: else
    fi
#else
    if
    :: era > known -> known = era
    :: else
    fi
#endif
}

inline judge(kind, era, before_stop, before_closing)
{
    if
    :: kind == HOLD ->
        learn(era);
        if
        :: before_closing > closing_heard -> closing_heard = before_closing
        :: else
        fi
    :: kind == CLEAR ->
        learn(era);
#ifdef CLEARS_WITHOUT_EPOCH
        if
        :: stopped ->
#else
        if
        :: stopped && era == known ->
#endif
            assert(before_stop >= stop_heard); /* the clear knew of every stop */
            stopped = 0;
            stands = 0
        :: else
        fi
    :: kind == MOTION ->
#ifdef MOVES_WITHOUT_EPOCH
        if
        :: !stopped ->
#else
        learn(era);
        if
        :: !stopped && era == known ->
#endif
            assert(!stands);
            assert(era >= known);
            assert(before_stop >= stop_heard);
            assert(before_closing >= closing_heard)
        :: else
        fi
    fi
}

proctype robot()
{
    mtype kind;
    byte era;
    byte which;
    byte before_closing;

end:
    do
    :: atomic {
        stop?era, which ->
        learn(era);
        stands = 1;
#ifndef STOP_DOES_NOT_LATCH
        stopped = 1;
#endif
        if
        :: which > stop_heard -> stop_heard = which
        :: else
        fi;
        era = 0; which = 0
    }
    :: atomic {
        empty(stop) && nempty(normal) ->
        normal?kind, era, which, before_closing;
        judge(kind, era, which, before_closing);
        kind = 0; era = 0; which = 0; before_closing = 0
    }
    :: atomic {
        empty(stop) && nempty(hung) ->
        hung?kind, era, which, before_closing;
        judge(kind, era, which, before_closing);
        kind = 0; era = 0; which = 0; before_closing = 0
    }
    od
}

init
{
    atomic {
        run simcastd();
        run robot()
    }
}
