/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coming and going (shm/seats.c): the door thread seats a consumer, later takes it out and
 * destroys the seat; the writing thread looks at the seats of slots that it wants to write. The
 * consumer pins as soon as it was seated.
 *
 * Holds:   a destroyed seat is never followed; a slot is not written while a consumer that is
 *          seated reads it, also when it came during the writer's look.
 * Searched: as it is
 * Mutants: -DUNSEAT_WITHOUT_WAITING -DWAIT_BEFORE_UNSEAT -DENTER_AFTER_LOOK -DLEAVE_EARLY
 *          -DLIMIT_READ_EARLY -DWELCOME_BEFORE_SEAT
 *
 * LIMIT_READ_EARLY is what a machine may do whose acquire loads pass earlier stores to other
 * places: the limit read before the odd mark. So the limit must be seq_cst.
 */
#define LOOKS 3
#define VISITS 2

bit writer_inside;
bit limit;  /* a seat may be there */
bit taken;  /* the pointer: not NULL */
bit exists; /* what it points to */
bit lease;  /* the word: pins our one slot */
bit odd;    /* the slot's generation: being written */
bit seated; /* the welcome */
bit gone;   /* the hang-up */
bit writing;
bit reading;

proctype writer()
{
    byte looks = 0;
    bit seen_limit = 0;
    bit seat = 0;
    bit pinned = 0;

    do
    :: looks == LOOKS -> break
    :: looks < LOOKS ->
#ifdef LIMIT_READ_EARLY
        seen_limit = limit;
#endif
        odd = 1;
#ifndef ENTER_AFTER_LOOK
        writer_inside = 1;
#endif
#ifndef LIMIT_READ_EARLY
        seen_limit = limit;
#endif
        if
        :: seen_limit -> seat = taken
        :: else
        fi;
#ifdef ENTER_AFTER_LOOK
        writer_inside = 1;
#endif
#ifdef LEAVE_EARLY
        writer_inside = 0;
#endif
        if
        :: seat -> d_step { assert(exists); pinned = lease }
        :: else
        fi;
        writer_inside = 0;
        if
        :: pinned -> odd = 0 /* another slot then */
        :: else ->
            writing = 1;
            assert(!reading);
            writing = 0;
            odd = 0
        fi;
        d_step { looks++; seen_limit = 0; seat = 0; pinned = 0 }
    od
}

proctype door()
{
    byte visits = 0;

    do
    :: visits == VISITS -> break
    :: visits < VISITS ->
        d_step { exists = 1; lease = 0; gone = 0 };
#ifdef WELCOME_BEFORE_SEAT
        seated = 1;
#endif
        taken = 1;
        limit = 1; /* and so it stays */
#ifndef WELCOME_BEFORE_SEAT
        seated = 1;
#endif
        gone;
#ifdef WAIT_BEFORE_UNSEAT
        !writer_inside;
#endif
        taken = 0;
#if !defined(UNSEAT_WITHOUT_WAITING) && !defined(WAIT_BEFORE_UNSEAT)
        !writer_inside;
#endif
        exists = 0;
        visits++
    od
}

/* Pins and reads for a while, or dies anywhere. */
proctype consumer()
{
    byte visits = 0;
    bit good = 0;

    do
    :: visits == VISITS -> break
    :: visits < VISITS ->
        seated;
        seated = 0;
        if
        :: skip /* dies before it pins */
        :: lease = 1;
            good = !odd;
            if
            :: good ->
                reading = 1;
                assert(!writing);
                reading = 0;
                if
                :: lease = 0
                :: skip /* dies with the pin */
                fi
            :: else -> lease = 0
            fi
        fi;
        d_step { good = 0; visits++ };
        gone = 1
    od
}

init
{
    atomic {
        run writer();
        run door();
        run consumer()
    }
}
