"""Faults in the protocols of locks and the like (core/sync)."""

from __future__ import annotations

from scamem.core.sync import places as P
from tests.explore import sync_scenarios as S
from tests.explore.faults import Fault, order

FAULTS = (
    Fault(
        "a lock taken over from a living holder", "sync/mutex",
        "    if looks == 0 or alive.lives(arena, mine, holder):\n", "    if looks == 0:\n",
        order(S.locks, deaths=0, short=True), "lock: ",
    ),
    Fault(
        "a take-over of any lock word", "sync/mutex",
        "    return P.OWNER_DIED if compare_exchange(w, at, seen, me | P.WAITERS) else L.AGAIN\n",
        "    seen = load_acquire(w, at)\n"
        "    return P.OWNER_DIED if compare_exchange(w, at, seen, me | P.WAITERS) else L.AGAIN\n",
        order(S.left_locked), "lock: ",
    ),
    Fault(
        "unlocked without waking a waiter", "sync/mutex",
        "            if seen & P.WAITERS != 0:\n                futex_wake(w, at, 1)\n", "",
        order(S.locks, deaths=0), "hang: ",
    ),
    Fault(
        "a member that has napped forgets those that nap", "sync/mutex",
        "P.WAITERS if looks != 0 else seen & P.WAITERS", "seen & P.WAITERS",
        order(S.locks, members=3, deaths=0), "hang: ",
    ),
    Fault(
        "a waiter that stops keeps its wake", "sync/mutex",
        "        elif compare_exchange(w, at, seen, seen & ~hungry):\n            break\n",
        "        elif compare_exchange(w, at, seen, seen & ~hungry):\n            return\n",
        order(S.given_up), "hang: ",
    ),
    Fault(
        "a dead holder keeps the lock", "sync/mutex",
        "    if looks == 0 or alive.lives(arena, mine, holder):\n        return L.BUSY\n",
        "    if holder != 0:\n        return L.BUSY\n",
        order(S.left_locked, takers=1), "hang: ",
    ),
    Fault(
        "nobody is told that a holder died", "sync/mutex",
        "    return P.OWNER_DIED if compare", "    return L.OK if compare",
        order(S.left_locked, takers=1), "recovered: ",
    ),
    Fault(
        "a dead member's permits kept", "sync/permits",
        "            turns.remove(w, entry)\n            found += 1\n", "            found += 1\n",
        order(S.left_with_permits), "hang: ",
    ),
    Fault(
        "permits given back without waking a waiter", "sync/permits",
        "        store(w, P.VALUE, w[P.VALUE] + 1)\n    if status == L.OK:\n",
        "        store(w, P.VALUE, w[P.VALUE] + 1)\n    if status != L.OK:\n",
        order(S.permits, deaths=0), "hang: ",
    ),
    Fault(
        "a writer let in beside readers", "sync/permits",
        "    total: word = held(w) + units\n", "    total: word = held(w)\n",
        order(S.readers_and_writers, deaths=0), "lock: ",
    ),
    Fault(
        "a dead writer's lock given on in silence", "sync/permits",
        "                if w[turns.at(entry) + P.ENTRY_UNITS] >= P.UNITS_ALL:\n"
        "                    store(w, P.POISON, who)\n", "                pass\n",
        order(S.left_with_permits, units=P.UNITS_ALL), "recovered: ",
    ),
    Fault(
        "a writer's death noted after its entry is gone", "sync/permits",
        "                    store(w, P.POISON, who)\n            turns.remove(w, entry)\n",
        "                    turns.remove(w, entry)\n                    store(w, P.POISON, who)\n"
        "            turns.remove(w, entry)\n",
        order(S.purged_by_one_that_dies), "recovered: ",
    ),
    Fault(
        "a waiter that stops leaves its place", "sync/permits",
        "        turns.remove(w, watch[P.WATCH_ENTRY] - 1)\n        watch[P.WATCH_ENTRY] = 0\n"
        "        wake_fitting(w)\n",
        "        watch[P.WATCH_ENTRY] = 0\n        wake_fitting(w)\n",
        order(S.readers_and_writers, deaths=0, gives_up=True), "hang: |entry: ",
    ),
    Fault(
        "a notification lost with the member that had it", "sync/sleepers",
        "            if turns.state(w, entry) == P.NOTIFIED:\n"
        "                notify_one(w, arena, mine)\n", "",
        order(S.left_notified), "hang: ",
    ),
    Fault(
        "notified without a wake", "sync/sleepers",
        "            turns.wake(w, entry)\n            return True\n", "            return True\n",
        order(S.sleeping, deaths=0), "hang: ",
    ),
    Fault(
        "a dead party waited for", "sync/parties",
        "                dead = 1\n", "                dead = 0\n",
        order(S.meeting), "hang: ",
    ),
    Fault(
        "a barrier tripped without a wake", "sync/parties",
        "        store(w, P.PHASE, w[P.PHASE] + 2)\n        turns.wake_all(w)\n",
        "        store(w, P.PHASE, w[P.PHASE] + 2)\n",
        order(S.meeting, deaths=0), "hang: ",
    ),
    Fault(
        "an event set without a wake", "sync/flag",
        "    futex_wake(w, P.FLAG, L.WAKE_ALL)\n", "",
        order(S.event, deaths=0), "hang: ",
    ),
    Fault(
        "an event that is cleared at once missed", "sync/flag",
        "    elif watch[P.WATCH_RESULT] != seen:\n        return L.OK\n", "",
        order(S.event, deaths=0), "hang: ",
    ),
    Fault(
        "an update that is not counted", "sync/sequence",
        "seen if flags != 0 else seen + P.SEQUENCE_ONE", "seen",
        order(S.updates, deaths=0), "torn: ",
    ),
    Fault(
        "a dead writer's update read", "sync/sequence",
        "        if seen & P.SEQUENCE_READS == 0:\n            return P.BROKEN\n", "",
        order(S.updates), "torn: ",
    ),
    Fault(
        "a writer not told of a dead one", "sync/sequence",
        "    return L.OK if seen & P.SEQUENCE_READS != 0 else P.OWNER_DIED\n", "    return L.OK\n",
        order(S.updates, writers=2), "recovered: ",
    ),
)  # fmt: skip
