/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order between the ledger and its witness, for spin: a ledger that was put back and is still
 * believed charges all that was sent since, and where none ever was put back, none is refused.
 *
 *   v + 1 to one slot, synced -> v + 1 to the other slot, synced -> the witness is asked to advance
 *   -> confirmed
 *
 * A start advances it twice: records of an earlier life, also such as were lost since, may say one more
 * than where it stands. Only then anything is granted.
 *
 * A thief copies both slots at any moment, between any two steps, and puts the copy back before any
 * start, as often as he likes, with a slot of it spoilt if he likes. Power is cut at any moment, and
 * the write under way is kept, lost or torn. The witness does what it is asked for, or fails, or
 * does it while the answer is lost. At a start where nothing was put back, the disk may have
 * garbled one slot. A process stops, by itself or not, whether the witness answers or not.
 *
 * All that is published is sent at once, for nothing hides more. A record's bound covers what may be
 * granted until the witness has confirmed the value after the record's, and a start charges bounds.
 * When to advance is left open: at any time, which
 * covers all thresholds. Only distances to the witness count, so it always stands at WITNESS, and
 * when it advances all other values are lowered instead. The search ends where UNITS are granted.
 */
#define LIMIT   2
#define WITNESS 2
#ifdef OLDER_BELIEVED
#define OLDEST  1
#else
#define OLDEST  WITNESS
#endif
#ifndef UNITS
#define UNITS   8
#endif

#define MIN(x, y) ((x) < (y) -> (x) : (y))
#define OTHER(s)  (1 - (s))

/* A GRANTS record of the root. */
typedef record {
	bool valid;
	byte value; /* of the witness */
	byte grant;
	byte bound;
};

mtype = { START, FIRST, FIRST_SYNC, SECOND, SECOND_SYNC, ASK, RUN, GRANT_SYNC, END };

/* Kept through power cuts. */
record slot[2];
byte newest; /* slot with the higher sequence */

/* The process. */
mtype ledger = START;
record before;  /* of the slot that is being written, until it is synced */
byte grant;     /* as durable */
byte published; /* what was charged at the start is not sent any more */
byte value;     /* that the witness has confirmed */
byte base;      /* grant of the first record with it */
byte next_base; /* grant of the first record with the next one */
byte found;     /* highest value of earlier lives; 0 when the witness is past it */
bool advancing; /* records bear the next value */
bool exact;     /* a clean stop: nothing more is granted, and the bounds are what was sent */
byte asked;     /* request under way, or 0 */

mtype = { NONE, CONFIRMED, FAILED };
mtype answer = NONE;

/* The thief's. */
record copy[2];
byte copy_newest;
bool has_copy;

/* What nobody in the program knows: units on the wire, as the present ledger counts them. */
byte sent;
bool tampered; /* a copy was put back and believed, ever */

inline set(to, from)
{
	to.valid = from.valid;
	to.value = from.value;
	to.grant = from.grant;
	to.bound = from.bound
}

inline clear(place)
{
	place.valid = false;
	place.value = 0;
	place.grant = 0;
	place.bound = 0
}

/* ---- the ledger ---- */

#ifdef NO_TOP
#define TOP UNITS
#else
#define TOP MIN(base + LIMIT, UNITS)
#endif

/* One more is within the bound of the record before, and within what the witness covers. */
#define ROOM (!exact && grant < slot[newest].bound && grant < TOP)

/* What the witness covers, from the first record with the value of this one. */
#ifdef BOUND_SHORT
#define COVERED(to_grant) (to_grant + 1)
#else
#define COVERED(to_grant)                                                                          \
	((advancing -> (ledger == FIRST -> to_grant : next_base) : base) + LIMIT)
#endif

inline write_record(to_grant)
{
	newest = OTHER(newest);
	set(before, slot[newest]);
	slot[newest].valid = true;
	slot[newest].value = (advancing -> value + 1 : value);
	slot[newest].grant = to_grant;
	slot[newest].bound = (exact -> to_grant : MIN(COVERED(to_grant), UNITS))
}

/* With more granted or not; what a start grants is published when it is over. */
inline write_next()
{
	if
	:: write_record(grant)
	:: ROOM -> write_record(grant + 1)
	fi
}

inline publish()
{
	sent = sent + grant - published;
	published = grant
}

inline synced()
{
	clear(before);
	grant = slot[newest].grant;
	if
	:: found == 0 -> publish()
	:: else
	fi
}

inline begin_to_advance()
{
	advancing = true;
#ifdef ASKED_EARLY
	asked = value + 1;
#endif
	ledger = FIRST
}

inline take_answer()
{
#ifdef ANSWER_GUESSED
	answer = CONFIRMED;
#endif
	if
	:: answer == CONFIRMED ->
		value++;
#ifdef BASE_LATE
		base = grant;
#else
		base = next_base;
#endif
		next_base = 0;
		advancing = false;
		asked = 0;
#ifdef START_ONCE
		found = 0;
#else
		if
		:: found != 0 && value <= found -> begin_to_advance()
		:: else -> found = 0
		fi;
#endif
		if
		:: found == 0 -> publish()
		:: else
		fi
	:: else -> asked = 0
	fi;
	answer = NONE
}

/* ---- a start ---- */

/* The slot that counts, where not both are valid; and what is charged. */
#define COUNTS(n) (slot[n].valid -> n : OTHER(n))
#ifdef GRANTS_CHARGED
#define CHARGED   slot[newest].grant
#else
#define CHARGED   slot[newest].bound
#endif

#define BELIEVED(v) ((v) >= OLDEST && (v) <= WITNESS + 1)

inline spoil()
{
	if
	:: true
	:: slot[0].valid && slot[1].valid -> clear(slot[0])
	:: slot[0].valid && slot[1].valid -> clear(slot[1])
	fi;
	newest = COUNTS(newest)
}

inline open()
{
	value = WITNESS;
	grant = CHARGED;
	base = grant;
	published = grant;
	found = WITNESS + 1;
#ifdef START_GRANTS
	found = 0;
#endif
	begin_to_advance()
}

inline start()
{
	if
	:: spoil();
		if
		:: BELIEVED(slot[newest].value) -> assert(sent <= CHARGED)
		:: else -> assert(tampered); ledger = END
		fi
	:: has_copy ->
		set(slot[0], copy[0]);
		set(slot[1], copy[1]);
		newest = copy_newest;
		spoil();
		/* Refused: the thief is found out. That he puts back the newest one is the other case. */
		if
		:: !BELIEVED(slot[newest].value) -> ledger = END
		:: else -> assert(sent <= CHARGED); tampered = true
		fi
	fi;
	if
	:: ledger == START -> open()
	:: else
	fi
}

/* ---- who takes part ---- */

proctype run_ledger()
{
end:	do
	:: atomic { ledger == START -> start() }
	:: atomic { ledger == FIRST -> write_next(); ledger = FIRST_SYNC }
	:: d_step { ledger == FIRST_SYNC -> synced(); next_base = grant;
#ifdef ONE_SLOT
		ledger = ASK
#else
		ledger = SECOND
#endif
		}
	:: atomic { ledger == SECOND -> write_next(); ledger = SECOND_SYNC }
	:: d_step { ledger == SECOND_SYNC -> synced(); ledger = ASK }
	:: d_step { ledger == ASK -> asked = value + 1; ledger = RUN }
	:: d_step { ledger == RUN && answer != NONE -> take_answer() }
	/* What has failed is asked for again. */
	:: d_step { ledger == RUN && advancing && asked == 0 -> asked = value + 1 }
	:: d_step { ledger == RUN && found == 0 && ROOM -> write_record(grant + 1);
		ledger = GRANT_SYNC }
	:: d_step { ledger == GRANT_SYNC -> synced(); ledger = RUN }
	/* (It is past the witness only where answers are guessed.) */
	:: d_step { ledger == RUN && found == 0 && !advancing && !exact && value <= WITNESS ->
		begin_to_advance() }
	/* A clean stop: what is exact goes to both slots, with the next value. */
	:: d_step { ledger == RUN && found == 0 && !exact -> exact = true; begin_to_advance() }
	od
}

#define lower(x) x = (x > 0 -> x - 1 : 0)

inline drop_copy()
{
	clear(copy[0]);
	clear(copy[1]);
	copy_newest = 0;
	has_copy = false
}

inline advance_witness()
{
	if
	:: asked == WITNESS + 1 ->
		lower(slot[0].value);
		lower(slot[1].value);
		lower(before.value);
		lower(copy[0].value);
		lower(copy[1].value);
		lower(value);
		lower(found);
		lower(asked);
		if
		:: copy[0].value < OLDEST && copy[1].value < OLDEST -> drop_copy()
		:: else
		fi
	:: else
	fi
}

proctype run_witness()
{
end:	do
	:: d_step { asked != 0 && answer == NONE -> advance_witness(); answer = CONFIRMED }
	:: d_step { asked != 0 && answer == NONE -> advance_witness(); answer = FAILED }
	:: d_step { asked != 0 && answer == NONE -> answer = FAILED }
	od
}

#define WRITING (ledger == FIRST_SYNC || ledger == SECOND_SYNC || ledger == GRANT_SYNC)

inline lose_power()
{
	if
	:: !WRITING
	:: WRITING
	:: WRITING -> set(slot[newest], before); newest = OTHER(newest)
	:: WRITING -> clear(slot[newest]); newest = OTHER(newest)
	fi;
	if
	:: true
	:: asked != 0 && answer == NONE -> advance_witness()
	fi;
	clear(before);
	grant = 0;
	published = 0;
	value = 0;
	base = 0;
	next_base = 0;
	found = 0;
	advancing = false;
	exact = false;
	asked = 0;
	answer = NONE;
	ledger = START
}

proctype run_world()
{
end:	do
	:: atomic { ledger != START && ledger != END -> lose_power() }
	/* The thief. */
	:: d_step { ledger != END ->
		set(copy[0], slot[0]);
		set(copy[1], slot[1]);
		copy_newest = newest;
		has_copy = true }
	od
}

/* Commissioning leaves a record in each slot, with the value at which the witness stands. */
init
{
	atomic {
		slot[0].valid = true;
		slot[1].valid = true;
		slot[0].value = WITNESS;
		slot[1].value = WITNESS;
		newest = 1;
		run run_ledger();
		run run_witness();
		run run_world()
	}
}
