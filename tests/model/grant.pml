/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The grant protocol, for spin: no byte leaves that was not durable first, through any number of
 * crashes, power cuts, clean stops, failed syncs and changes of the policy, in any order.
 *
 *   ledger: observe -> decide -> write -> sync -> publish        worker: take -> charge -> tx ->
 *                                                                        settle
 *
 * A frame is one unit. Everything is small, but nothing is cut short: all numbers are bounded by
 * the caps, and of sequences only the distance counts, so all are lowered together now and then: the
 * state space is that of unboundedly many lives.
 *
 * What is one step here is one atomic access of shared memory in the program, or several of which
 * nobody else can see the order: a worker's own purse, the ledger's own numbers.
 *
 * The disk has a cache of its own. A killed process leaves it as it is; a power cut and a failed
 * sync keep, lose or tear what was not synced. Reads come from the disk, not from a page cache,
 * which would show after a failed sync what the disk does not hold. Besides, at a start the disk may
 * have garbled a slot, one at a time. None of this ever makes the ledger unreadable.
 *
 * One macro of the list in check.sh breaks the protocol in one way, and then spin must find how
 * that does harm. LIVE leaves out all that goes wrong, and checks that everything is then sent.
 */
#define CHILD   0
#define ROOT    1
#define BUDGETS 2
#define WORKERS 2

#define TARGET 2 /* how far ahead of the reading a grant is */
#ifndef MARGIN
#define MARGIN 1 /* how far ahead of a grant its bound is */
#endif
#define HIGHEST(b) (b == ROOT -> CAP_ROOT : CAP_CHILD)
#define CAP(b)     (b == ROOT && tight -> CAP_TIGHT : HIGHEST(b))
#define MIN(x, y)  ((x) < (y) -> (x) : (y))
#define MAX(x, y)  ((x) > (y) -> (x) : (y))
#define LESS(x, y) ((x) > (y) -> (x) - (y) : 0)

#ifndef CAP_ROOT
#define CAP_ROOT  4
#define CAP_CHILD 2
#define CAP_TIGHT 2
#endif

#define PURSE(w, b) purse[(w) * BUDGETS + (b)]

/* A GRANTS record. */
typedef record {
	bool valid;
	byte sequence;
	byte grant[BUDGETS];
	byte bound[BUDGETS];
#ifdef REFUND_AT_CRASH
	byte spent[BUDGETS];
#endif
};

mtype = { IDLE, FILL, LOADED, SHORT, SEND, SETTLE, ENDED };            /* a worker */
mtype = { DOWN, FIRST, SYNC, PUBLISH, PUBLISH_ROOT, READY, STOPPING, FAILED, REFUSED };

/* Kept through crashes. */
record cache[2], disk[2];
bool dirty[2];      /* cache is to be written to disk by the next sync */
bool tight;         /* the policy has the lower cap of the root */

/* Gone with the process. Shared by workers and ledger. */
byte spendable[BUDGETS];
byte taken[BUDGETS];
byte spent[BUDGETS]; /* here with what was charged at the start */
bool recall[WORKERS];

/* A worker's own. */
mtype worker[WORKERS] = IDLE;
byte at[WORKERS];    /* the budget that is being filled */
byte first[WORKERS]; /* where the path of the frame begins: both budgets, or the root alone */
byte seen[WORKERS];  /* of spendable, when it was loaded */
byte purse[WORKERS * BUDGETS];

/* The ledger's own. */
mtype ledger = DOWN;
byte newest;         /* slot of the last record, durable or being written */
byte grant[BUDGETS]; /* as durable */
byte bound[BUDGETS];
byte exact;          /* at a clean stop: records written, of two */

/* What nobody in the program knows. */
byte sent[BUDGETS];    /* on the wire, ever */
byte allowed[BUDGETS]; /* what was published last, or should have been */
bool stale[WORKERS];   /* the worker's round began before something was recalled */
bool old[WORKERS];     /* its purses hold credit from before that */

/* ---- the disk ---- */

inline copy(to, from)
{
	to.valid = from.valid;
	to.sequence = from.sequence;
	to.grant[CHILD] = from.grant[CHILD];
	to.grant[ROOT] = from.grant[ROOT];
	to.bound[CHILD] = from.bound[CHILD];
	to.bound[ROOT] = from.bound[ROOT];
#ifdef REFUND_AT_CRASH
	to.spent[CHILD] = from.spent[CHILD];
	to.spent[ROOT] = from.spent[ROOT];
#endif
}

/* So that slots without a record are all alike. */
inline garble(place)
{
	place.valid = false;
	place.sequence = 0;
	place.grant[CHILD] = 0;
	place.grant[ROOT] = 0;
	place.bound[CHILD] = 0;
	place.bound[ROOT] = 0;
#ifdef REFUND_AT_CRASH
	place.spent[CHILD] = 0;
	place.spent[ROOT] = 0;
#endif
}

#ifdef TORN_ACCEPTED
/* Without a checksum: the new record's header before the old one's contents. */
#define TEAR(s) disk[s].sequence = cache[s].sequence; disk[s].valid = cache[s].valid
#else
#define TEAR(s) garble(disk[s])
#endif

/* What becomes of a slot that was written and not synced. */
inline settle_slot(s)
{
	if
	:: dirty[s] -> copy(disk[s], cache[s])
	:: dirty[s] -> TEAR(s)
	:: true /* the old contents stay */
	fi;
	dirty[s] = false
}

inline lose_power()
{
	settle_slot(0);
	settle_slot(1);
	copy(cache[0], disk[0]);
	copy(cache[1], disk[1])
}

/* The cache shows what the disk does not hold. */
#define DIFFERS(s) (cache[s].sequence != disk[s].sequence || cache[s].valid != disk[s].valid)

/* ---- workers ---- */

#define HOLDS(w) (PURSE(w, CHILD) > 0 || PURSE(w, ROOT) > 0)

/* What was taken covers what was sent and what the purses hold. */
#define SOUND(b) (taken[b] >= sent[b] + PURSE(0, b) + PURSE(1, b))

/* Enough for a frame. Where there is not, a round would change nothing, so it does not begin. */
#define ROOM(w, b) (PURSE(w, b) > 0 || taken[b] < spendable[b])

inline put_back(w, b)
{
	taken[b] = taken[b] - PURSE(w, b);
	PURSE(w, b) = 0;
	assert(SOUND(b));
	old[w] = old[w] && HOLDS(w)
}

inline take(w, b, units)
{
	taken[b] = taken[b] + units;
	PURSE(w, b) = PURSE(w, b) + units;
	assert(SOUND(b));
	assert(taken[b] <= grant[b]);
	/* A lower cap holds for every round that begins after it was published. */
	assert(stale[w] || taken[b] <= allowed[b])
}

inline next_budget(w)
{
	if
	:: at[w] == CHILD -> at[w] = ROOT; worker[w] = FILL
	:: else -> at[w] = CHILD; worker[w] = SEND
	fi
}

inline end_round(w)
{
	first[w] = CHILD;
	stale[w] = false;
	worker[w] = IDLE
}

/* The cap, where a frame leaves. */
inline transmit(b)
{
	sent[b]++;
	assert(sent[b] <= grant[b]);
	assert(sent[b] <= HIGHEST(b))
}

inline transmit_path(w)
{
	if
	:: first[w] == CHILD -> transmit(CHILD)
	:: else
	fi;
	transmit(ROOT)
}

#define MAY_BEGIN(w) (worker[w] == IDLE && ledger != DOWN && ledger != STOPPING && !recall[w])

inline put_all_back(w)
{
	put_back(w, CHILD);
	put_back(w, ROOT)
}

inline begin_round(w)
{
	if
	:: ROOM(w, CHILD) -> first[w] = CHILD
	:: first[w] = ROOT
	fi;
	at[w] = first[w];
#ifdef CHARGE_AFTER_TX
	transmit_path(w);
#endif
	worker[w] = FILL
}

/* Charging: a purse holds enough, or more is taken, or all purses of the path go back. */
inline fill(w)
{
	if
	:: PURSE(w, at[w]) > 0 -> next_budget(w)
#ifdef FORGET_ANCESTOR
	:: PURSE(w, at[w]) == 0 && at[w] > first[w] -> next_budget(w)
	:: PURSE(w, at[w]) == 0 && at[w] == first[w] ->
#else
	:: else ->
#endif
		seen[w] = spendable[at[w]];
		worker[w] = LOADED
	fi
}

inline compare_and_take(w)
{
	if
	:: seen[w] > taken[at[w]] -> take(w, at[w], 1); next_budget(w)
	:: seen[w] > taken[at[w]] + 1 -> take(w, at[w], 2); next_budget(w)
	:: seen[w] <= taken[at[w]] -> at[w] = first[w]; worker[w] = SHORT
	fi;
	seen[w] = 0
}

inline give_up(w)
{
	put_back(w, at[w]);
	if
	:: at[w] == CHILD -> at[w] = ROOT
	:: else -> at[w] = CHILD; end_round(w)
	fi
}

inline spend(w, b)
{
#ifdef FORGET_ANCESTOR
	PURSE(w, b) = LESS(PURSE(w, b), 1)
#else
	PURSE(w, b) = PURSE(w, b) - 1
#endif
}

/* The port takes the frame, or it does not, and then the charge is back in the purses. */
inline send(w)
{
	if
	:: true ->
		assert(stale[w] || !old[w]);
#ifndef CHARGE_AFTER_TX
		transmit_path(w);
#endif
		if
		:: first[w] == CHILD -> spend(w, CHILD)
		:: else
		fi;
		spend(w, ROOT);
		old[w] = old[w] && HOLDS(w);
		worker[w] = SETTLE
#ifndef LIVE
	:: true ->
#ifdef UNSENT_TWICE
		PURSE(w, ROOT) = PURSE(w, ROOT) + 1;
		assert(SOUND(ROOT));
#endif
		end_round(w)
#endif
	fi
}

inline settle(w)
{
	if
	:: first[w] == CHILD -> spent[CHILD]++
	:: else
	fi;
	spent[ROOT]++;
	end_round(w)
}

proctype run_worker(byte w)
{
end:	do
	/* A round begins: first, what was recalled goes back. */
	:: d_step { worker[w] == IDLE && ledger != STOPPING && recall[w] ->
#ifndef PURSE_KEPT
		put_all_back(w);
#endif
		recall[w] = false }
	:: atomic { MAY_BEGIN(w) && ROOM(w, ROOT) -> begin_round(w) }
	/* Nothing to do. */
	:: d_step { MAY_BEGIN(w) && HOLDS(w) -> put_all_back(w) }
	/* A clean stop: the last round is over. */
	:: d_step { worker[w] == IDLE && ledger == STOPPING ->
		put_all_back(w);
		recall[w] = false;
		worker[w] = ENDED }
	:: atomic { worker[w] == FILL -> fill(w) }
	:: atomic { worker[w] == LOADED -> compare_and_take(w) }
	:: atomic { worker[w] == SHORT -> give_up(w) }
	:: atomic { worker[w] == SEND -> send(w) }
	:: atomic { worker[w] == SETTLE -> settle(w) }
	od
}

/* ---- the ledger ---- */

#define OTHER_SLOT(s) (1 - (s))
#define USABLE(s)     (cache[s].valid && cache[s].sequence % 2 == s)
#define FOLLOWS(x, y) (cache[y].sequence == cache[x].sequence + 1)

#define IN_ORDER      (USABLE(0) && USABLE(1) && (FOLLOWS(0, 1) || FOLLOWS(1, 0)))

#ifdef REFUND_AT_CRASH
#define CHARGE(s, b, alone) cache[s].spent[b]
#elif defined(NO_BOUND)
#define CHARGE(s, b, alone) cache[s].grant[b]
#else
#define CHARGE(s, b, alone) (alone -> cache[s].bound[b] : cache[s].grant[b])
#endif

inline charge_at_start(b, alone)
{
	grant[b] = CHARGE(newest, b, alone);
	bound[b] = MAX(cache[newest].bound[b], grant[b]);
	taken[b] = grant[b];
	spent[b] = grant[b];
	spendable[b] = grant[b];
	allowed[b] = grant[b];
	assert(grant[b] >= sent[b]);
	assert(grant[b] <= HIGHEST(b) && bound[b] <= HIGHEST(b))
}

inline recover()
{
	charge_at_start(CHILD, !USABLE(OTHER_SLOT(newest)));
	charge_at_start(ROOT, !USABLE(OTHER_SLOT(newest)));
#ifdef NO_FIRST_SYNC
	write_grants();
	ledger = SYNC
#else
	ledger = FIRST
#endif
}

#ifndef MAY_REFUSE
#define MAY_REFUSE false
#endif

/* Of two records, the newer one, and only if it follows the other. */
inline start()
{
	if
	:: USABLE(0) && USABLE(1) && FOLLOWS(0, 1) -> newest = 1
	:: USABLE(0) && USABLE(1) && FOLLOWS(1, 0) -> newest = 0
	:: USABLE(0) && !USABLE(1) -> newest = 0
	:: !USABLE(0) && USABLE(1) -> newest = 1
	:: else -> newest = 0; ledger = REFUSED
	fi;
#ifdef ACCEPT_OLDER
	if
	:: USABLE(OTHER_SLOT(newest)) -> newest = OTHER_SLOT(newest)
	:: else
	fi;
#endif
	if
	:: ledger == REFUSED -> assert(MAY_REFUSE)
	:: else -> recover()
	fi
}

#define WANTED(b) MIN(spent[b] + TARGET, CAP(b))
#ifdef PAST_BOUND
#define NEXT(b) MAX(grant[b], WANTED(b))
#else
#define NEXT(b) MAX(grant[b], MIN(WANTED(b), bound[b]))
#endif
#define NEXT_BOUND(b) MAX(NEXT(b), MIN(NEXT(b) + MARGIN, CAP(b)))

/* More is wanted, and a record brings it nearer. */
#define IS_SHORT(b) (WANTED(b) > grant[b] && (NEXT(b) > grant[b] || NEXT_BOUND(b) > bound[b]))

#ifdef OVER_NEWEST
#define TO_SLOT newest
#else
#define TO_SLOT OTHER_SLOT(newest)
#endif

inline begin_record(slot)
{
	cache[slot].sequence = cache[newest].sequence + 1;
	cache[slot].valid = true;
	newest = slot;
	dirty[newest] = true;
	if
	:: cache[newest].sequence == 8 ->
		cache[0].sequence = LESS(cache[0].sequence, 2);
		cache[1].sequence = LESS(cache[1].sequence, 2);
		disk[0].sequence = LESS(disk[0].sequence, 2);
		disk[1].sequence = LESS(disk[1].sequence, 2)
	:: else
	fi
}

#ifdef REFUND_AT_CRASH
#define RECORD_SPENT(b) cache[newest].spent[b] = spent[b]
#else
#define RECORD_SPENT(b) skip
#endif

inline record_next(b)
{
	cache[newest].grant[b] = NEXT(b);
	cache[newest].bound[b] = NEXT_BOUND(b);
	RECORD_SPENT(b)
}

inline write_grants()
{
	begin_record(TO_SLOT);
	record_next(CHILD);
	record_next(ROOT);
#ifdef PUBLISH_BEFORE_SYNC
	spendable[CHILD] = MIN(cache[newest].grant[CHILD], CAP(CHILD));
	spendable[ROOT] = MIN(cache[newest].grant[ROOT], CAP(ROOT));
	allowed[CHILD] = spendable[CHILD];
	allowed[ROOT] = spendable[ROOT];
	grant[CHILD] = cache[newest].grant[CHILD];
	grant[ROOT] = cache[newest].grant[ROOT];
#endif
	ledger = SYNC
}

#ifdef REFUND_TWICE
#define EXACT(b) LESS(spent[b], grant[b] - spent[b])
#else
#define EXACT(b) spent[b]
#endif

inline record_exact(b)
{
	cache[newest].grant[b] = EXACT(b);
	cache[newest].bound[b] = EXACT(b);
	RECORD_SPENT(b)
}

/* Workers have ended: what was granted and not spent is given back, in both slots. */
inline write_exact()
{
#ifndef STOP_EARLY
	assert(taken[CHILD] == spent[CHILD] && taken[ROOT] == spent[ROOT]);
#endif
	begin_record(TO_SLOT);
	record_exact(CHILD);
	record_exact(ROOT);
	exact++;
	ledger = SYNC
}

inline rely_on_record()
{
	grant[CHILD] = cache[newest].grant[CHILD];
	grant[ROOT] = cache[newest].grant[ROOT];
	bound[CHILD] = cache[newest].bound[CHILD];
	bound[ROOT] = cache[newest].bound[ROOT]
}

inline sync_ends()
{
	if
	:: ledger == FIRST -> write_grants()
	:: ledger == SYNC && exact == 0 -> rely_on_record(); ledger = PUBLISH
	:: ledger == SYNC && exact == 1 -> rely_on_record(); write_exact()
	:: else -> end_process()
	fi
}

inline sync()
{
	if
	:: true ->
		if
		:: dirty[0] -> copy(disk[0], cache[0])
		:: else
		fi;
		if
		:: dirty[1] -> copy(disk[1], cache[1])
		:: else
		fi;
		dirty[0] = false;
		dirty[1] = false;
		sync_ends()
#ifndef LIVE
	:: true -> /* it fails */
#ifdef CACHE_LIES
		settle_slot(0);
		settle_slot(1);
#else
		lose_power();
#endif
#if defined(SYNC_IGNORED)
		sync_ends()
#elif defined(SYNC_AGAIN)
		skip
#else
		ledger = FAILED
#endif
#endif
	fi
}

/* Where less than before is published, workers are told to put back what they hold. */
inline publish(b)
{
	allowed[b] = MIN(grant[b], CAP(b));
	if
	:: allowed[b] < spendable[b] ->
#ifndef RECALL_IGNORED
		spendable[b] = allowed[b];
		recall[0] = true;
		recall[1] = true;
#endif
		stale[0] = worker[0] != IDLE && worker[0] != ENDED;
		stale[1] = worker[1] != IDLE && worker[1] != ENDED;
		old[0] = HOLDS(0);
		old[1] = HOLDS(1)
	:: else -> spendable[b] = allowed[b]
	fi
}

inline forget_worker(w)
{
	worker[w] = IDLE;
	at[w] = CHILD;
	first[w] = CHILD;
	seen[w] = 0;
	PURSE(w, CHILD) = 0;
	PURSE(w, ROOT) = 0;
	recall[w] = false;
	stale[w] = false;
	old[w] = false
}

inline forget_budget(b)
{
	spendable[b] = 0;
	allowed[b] = 0;
	taken[b] = 0;
	spent[b] = 0;
	grant[b] = 0;
	bound[b] = 0
}

/* The process is gone, by itself or not. */
inline end_process()
{
	forget_worker(0);
	forget_worker(1);
	forget_budget(CHILD);
	forget_budget(ROOT);
	newest = 0;
	exact = 0;
	ledger = DOWN
}

#ifdef STOP_EARLY
#define MAY_STOP true
#else
#define MAY_STOP (worker[0] == ENDED && worker[1] == ENDED)
#endif

proctype run_ledger()
{
end:	do
	:: d_step { ledger == DOWN -> start() }
	:: atomic { ledger == FIRST || ledger == SYNC -> sync() }
	:: d_step { ledger == PUBLISH -> publish(CHILD); ledger = PUBLISH_ROOT }
	:: d_step { ledger == PUBLISH_ROOT -> publish(ROOT); ledger = READY }
	:: d_step { ledger == READY && (IS_SHORT(CHILD) || IS_SHORT(ROOT)) -> write_grants() }
#ifndef LIVE
	:: d_step { ledger == READY -> tight = !tight; ledger = PUBLISH }
	:: d_step { ledger == READY -> ledger = STOPPING }
	:: d_step { ledger == STOPPING && exact == 0 && MAY_STOP -> write_exact() }
#endif
	od
}

/* ---- the world ---- */

#ifdef LIVE
/* Where nothing goes wrong, the end is that nothing is left. */
proctype run_world()
{
	timeout -> assert(sent[ROOT] == HIGHEST(ROOT))
}
#else
proctype run_world()
{
end:	do
	/* The process is killed. */
	:: d_step { ledger != DOWN && ledger != REFUSED -> end_process() }
	/* Power is cut: between two lives, which is as good as at any moment. */
	:: atomic { ledger == DOWN && (DIFFERS(0) || DIFFERS(1)) -> lose_power() }
	/* While nobody looks, the disk garbles a slot. */
	:: atomic { ledger == DOWN && IN_ORDER && !DIFFERS(0) && !DIFFERS(1) ->
		if
		:: garble(cache[0]); garble(disk[0])
		:: garble(cache[1]); garble(disk[1])
		fi }
	od
}
#endif

/* Commissioning leaves a record in each slot, with nothing in them. */
init
{
	atomic {
		cache[0].valid = true;
		disk[0].valid = true;
		cache[1].valid = true;
		disk[1].valid = true;
		cache[0].sequence = 6;
		disk[0].sequence = 6;
		cache[1].sequence = 7;
		disk[1].sequence = 7;
		run run_ledger();
		run run_worker(0);
		run run_worker(1);
		run run_world()
	}
}
