/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pin and claim (shm/consumer.c pin and unpin, shm/producer.c ring_loan and ring_publish,
 * shm/seats.c seats_pinned and seats_revoke): CONSUMERS consumers with one lease each, a producer
 * of FRAMES frames, a door thread that revokes pins whenever it likes.
 *
 * Holds:   a release that returns 0 has read one whole frame, the one that its entry named;
 *          ring_loan always finds a slot; a pin of the newest frame fails only when a newer one
 *          is there; what is revoked is the pin that was seen to be old, not a younger one.
 * Searched: -DREVOCATIONS=0; -DCONSUMERS=1 -DREVOCATIONS=3 -DFRAMES=6
 * Mutants: -DPIN_AFTER_CHECK -DNO_CHECK -DNO_ODD_MARK -DSCAN_BEFORE_MARK -DPUBLISH_EARLY
 *          -DRELEASE_EARLY -DYOUNGEST_FIRST -DONE_SLOT_LESS -DBLIND_RELEASE -DREVOKE_BY_STORE
 *          -DPINS_LOOK_ALIKE
 *
 * A statement is one step, so this is sequential consistency, as the code demands of these
 * accesses; docs/ring.md says where a weaker order is enough.
 */
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef FRAMES
#define FRAMES 5
#endif
#ifdef ONE_SLOT_LESS
#define SLOTS (CONSUMERS + 1)
#else
#define SLOTS (CONSUMERS + 2)
#endif
#ifndef REVOCATIONS
#define REVOCATIONS 1
#endif
#define NONE 255
#define REVOKED 100

typedef memory_slot {
    byte generation; /* 2 * seq, odd while the producer owns it */
    byte payload     /* the frame's seq; read at any time while pinned */
}
typedef lease_word {
    byte slot_plus_1;
    bit same /* since the door's look; stands for the count of pins in the word's upper bits */
}

memory_slot slots[SLOTS];
lease_word leases[CONSUMERS];
byte slot_of[FRAMES + 1]; /* the index: where a seq lies */
byte newest_seq;
byte newest_slot;
bool produced;

proctype producer()
{
    byte slot_seq[SLOTS];
    bit hint[SLOTS];
    byte seq = 0;
    byte chosen = NONE;
    byte i = 0;
    bool hint_is_old;

    do
    :: seq == FRAMES -> break
    :: else ->
        hint_is_old = true;
choose:
        skip;
        d_step { /* oldest_slot: the producer's own memory */
            chosen = NONE;
            i = 0;
            do
            :: i < SLOTS ->
                if
#ifndef YOUNGEST_FIRST
                :: seq > 0 && i == newest_slot
#endif
                :: hint[i]
                :: else ->
                    if
                    :: chosen == NONE -> chosen = i
#ifdef YOUNGEST_FIRST
                    :: chosen != NONE && slot_seq[i] > slot_seq[chosen] -> chosen = i
#else
                    :: chosen != NONE && slot_seq[i] < slot_seq[chosen] -> chosen = i
#endif
                    :: else
                    fi
                fi;
                i++
            :: else -> break
            od;
            i = 0
        }
        if
        :: chosen == NONE ->
            assert(hint_is_old); /* else ring_loan would fail with -EBUSY */
            hint_is_old = false
        :: else
        fi;
#if !defined(NO_ODD_MARK) && !defined(SCAN_BEFORE_MARK)
        if
        :: chosen != NONE -> slots[chosen].generation = 2 * slot_seq[chosen] + 1
        :: else
        fi;
#endif
        d_step { /* clear the hint */
            i = 0;
            do
            :: i < SLOTS -> hint[i] = 0; i++
            :: else -> break
            od;
            i = 0
        }
        do /* seats_pinned: one look per lease, not all at once */
        :: i < CONSUMERS ->
            d_step {
                if
                :: leases[i].slot_plus_1 > 0 && leases[i].slot_plus_1 <= SLOTS ->
                    hint[leases[i].slot_plus_1 - 1] = 1
                :: else
                fi;
                i++
            }
        :: else -> i = 0; break
        od;
        if
        :: chosen == NONE -> goto choose
        :: chosen != NONE && hint[chosen] ->
            slots[chosen].generation = 2 * slot_seq[chosen];
            goto choose
        :: else
        fi;
#ifdef SCAN_BEFORE_MARK
        slots[chosen].generation = 2 * slot_seq[chosen] + 1;
#endif
        seq++;
#ifdef PUBLISH_EARLY
        slots[chosen].generation = 2 * seq;
        d_step { slot_of[seq] = chosen; newest_seq = seq; newest_slot = chosen };
        slots[chosen].payload = seq;
#else
        slots[chosen].payload = seq;
        slots[chosen].generation = 2 * seq;
        slot_of[seq] = chosen;
        d_step { newest_seq = seq; newest_slot = chosen };
#endif
        d_step { slot_seq[chosen] = seq; chosen = NONE }
    od;
    produced = true
}

proctype consumer(byte me)
{
    byte last = 0;
    byte seq = 0;
    byte slot = 0;
    bool latest = false;
    bool whole = false;
    bool held = false;

    do
    :: last == FRAMES -> break
    :: newest_seq > last ->
        if
        :: d_step { latest = true; seq = newest_seq; slot = newest_slot } /* RING_LATEST */
        :: d_step { seq = last + 1; slot = slot_of[seq] }                 /* RING_NEXT */
        fi;
#ifdef PIN_AFTER_CHECK
        held = (slots[slot].generation == 2 * seq);
#endif
        d_step { leases[me].slot_plus_1 = slot + 1; leases[me].same = false };
#if defined(NO_CHECK)
        held = true;
#elif !defined(PIN_AFTER_CHECK)
        held = (slots[slot].generation == 2 * seq);
#endif
        if
        :: !held ->
            d_step { assert(!latest || newest_seq > seq); leases[me].slot_plus_1 = 0 }
        :: else ->
#ifdef RELEASE_EARLY
            d_step { held = (leases[me].slot_plus_1 == slot + 1); leases[me].slot_plus_1 = 0 };
            whole = (slots[slot].payload == seq);
#else
            whole = (slots[slot].payload == seq);
            d_step { held = (leases[me].slot_plus_1 == slot + 1); leases[me].slot_plus_1 = 0 };
#endif
#ifdef BLIND_RELEASE
            held = true;
#endif
            d_step { assert(!held || whole); last = seq; whole = false; held = false }
        fi;
        atomic { seq = 0; slot = 0; latest = false }
    od
}

/* Sees a pin, finds it old some time later, and takes it away: no more than REVOCATIONS times. */
proctype door()
{
    byte who = 0;
    byte slot_plus_1 = 0;
    byte revocations = 0;

    do
    :: produced || revocations == REVOCATIONS -> break
    :: !produced && revocations < REVOCATIONS ->
        if
        :: who = 0
        :: who = CONSUMERS - 1
        fi;
        d_step { slot_plus_1 = leases[who].slot_plus_1; leases[who].same = true };
        if
        :: slot_plus_1 > 0 && slot_plus_1 <= SLOTS ->
            d_step { /* compare and exchange */
                if
#if defined(REVOKE_BY_STORE)
                :: true ->
#elif defined(PINS_LOOK_ALIKE)
                :: leases[who].slot_plus_1 == slot_plus_1 ->
#else
                :: leases[who].slot_plus_1 == slot_plus_1 && leases[who].same ->
#endif
                    assert(leases[who].same);
                    leases[who].slot_plus_1 = REVOKED;
                    revocations++
#ifndef REVOKE_BY_STORE
                :: else
#endif
                fi
            }
        :: else
        fi;
        atomic { who = 0; slot_plus_1 = 0 }
    od
}

init
{
    byte i = 0;

    atomic {
        run producer();
        run door();
        do
        :: i < CONSUMERS -> run consumer(i); i++
        :: else -> break
        od
    }
}
