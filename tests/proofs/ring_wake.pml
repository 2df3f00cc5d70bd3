/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping and waking (shm/consumer.c arm, spin_until and ring_consumer_wait, shm/seats.c
 * seats_wake and seats_wake_all): a producer of FRAMES frames, the door thread that wakes a crowd,
 * and two consumers: one calls ring_consumer_wait, spins or not, and takes one frame after it; the
 * other polls the descriptor in a loop of its own and drains.
 *
 * Holds:   nobody sleeps for ever: in every end state every consumer has seen the last frame.
 * Searched: -DOWN_LOOPS=0 -DFRAMES=2; -DOWN_LOOPS=1; -DOWN_LOOPS=2
 * Mutants: -DNO_SECOND_LOOK -DLOOK_BEFORE_PUBLISH -DCLEAR_AFTER_WAKE -DDRAIN_AFTER_ARM
 *          -DUNARMED_WAIT -DNO_LOOK_AFTER_SPIN -DTOLD_CLEARED_LATE -DNEVER_TOLD
 */
#ifndef FRAMES
#define FRAMES 3
#endif
#define CONSUMERS 2
#ifndef OWN_LOOPS
#define OWN_LOOPS 1
#endif

byte newest;
bit waiting[CONSUMERS];
bit readable[CONSUMERS]; /* the eventfd */
bit crowd_told;
bit crowd_readable;

inline wake(who)
{
#ifdef CLEAR_AFTER_WAKE
    readable[who] = 1;
    waiting[who] = 0
#else
    waiting[who] = 0;
    readable[who] = 1
#endif
}

proctype producer()
{
    byte i = 0;
    byte sleepers = 0;
    byte sleeper = 0;
    bit told = 0;

    do
    :: newest == FRAMES -> break
    :: newest < FRAMES ->
#ifndef LOOK_BEFORE_PUBLISH
        newest++;
#endif
        do
        :: i < CONSUMERS && sleepers < 2 ->
            d_step {
                if
                :: waiting[i] -> sleepers++; sleeper = i
                :: else
                fi;
                i++
            }
        :: else -> break
        od;
#ifdef LOOK_BEFORE_PUBLISH
        newest++;
#endif
        if
        :: sleepers == 1 -> wake(sleeper)
        :: sleepers > 1 ->
            d_step { told = crowd_told; crowd_told = 1 };
            if
            :: !told -> crowd_readable = 1
            :: else
            fi
        :: else
        fi;
        atomic { i = 0; sleepers = 0; sleeper = 0; told = 0 }
    od
}

proctype door()
{
    byte i = 0;

end_idle:
    do
    :: crowd_readable ->
        crowd_readable = 0;
#if !defined(TOLD_CLEARED_LATE) && !defined(NEVER_TOLD)
        crowd_told = 0;
#endif
        do
        :: i < CONSUMERS ->
            if
            :: waiting[i] -> wake(i)
            :: else
            fi;
            i++
        :: else -> break
        od;
#ifdef TOLD_CLEARED_LATE
        crowd_told = 0;
#endif
        i = 0
    od
}

/* Says that we sleep from now on. Leaves `armed`: whether to look once more. */
inline arm()
{
    armed = 0;
    if
    :: waiting[me]
    :: else ->
#ifdef DRAIN_AFTER_ARM
        waiting[me] = 1;
        readable[me] = 0;
#else
        readable[me] = 0;
        waiting[me] = 1;
#endif
        armed = 1
    fi
}

/* ring_acquire, then ring_release: `got` says whether there was a frame. */
inline acquire()
{
    got = 0;
    seen = newest;
    if
    :: seen > last -> got = 1
    :: else ->
        if
        :: readable[me] = 0 /* link_service clears the eventfd now and then */
        :: skip
        fi;
        arm();
#ifndef NO_SECOND_LOOK
        if
        :: armed ->
            seen = newest;
            if
            :: seen > last -> got = 1
            :: else
            fi
        :: else
        fi
#endif
    fi;
    if
    :: got -> last = seen
    :: else
    fi
}

/* spin_until: nobody needs to wake us meanwhile. */
inline spin()
{
    waiting[me] = 0;
    if
    :: newest > last -> there = 1
    :: true ->
        waiting[me] = 1;
#ifndef NO_LOOK_AFTER_SPIN
        there = (newest > last)
#endif
    fi
}

inline wait_for_frame()
{
    there = (newest > last);
#ifndef UNARMED_WAIT
    if
    :: !there ->
        arm();
        if
        :: armed -> there = (newest > last)
        :: else
        fi
    :: else
    fi;
#endif
    if
    :: there
    :: !there ->
        if
        :: spin()
        :: skip
        fi
    fi;
    if
    :: there
    :: !there -> readable[me] /* poll: sleeps here */
    fi;
    there = 0
}

proctype consumer(byte me; bit own_loop)
{
    byte last = 0;
    byte seen = 0;
    bit got = 0;
    bit armed = 0;
    bit there = 0;

    do
    :: last == FRAMES -> break
    :: last < FRAMES && own_loop ->
        acquire();
        if
        :: got || last == FRAMES
        :: !got && last < FRAMES -> readable[me]
        fi
    :: last < FRAMES && !own_loop -> /* one frame per wait, or all, as it likes */
        wait_for_frame();
        acquire()
    od
}

init
{
    atomic {
        run producer();
        run door();
        run consumer(0, OWN_LOOPS > 0);
        run consumer(1, OWN_LOOPS > 1)
    }
}
