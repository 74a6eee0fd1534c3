"""Faults in the core's procedures: entering, waiting, reaping, letting go, cleaning, fork."""

from __future__ import annotations

from tests.explore import event_scenarios as E
from tests.explore import fork_scenarios as F
from tests.explore import step_scenarios as T
from tests.explore import waiting_stories as W
from tests.explore.faults import Fault, order

FAULTS = (
    Fault(
        "a member that has waited forgets the other waiters", "procedures/waiting",
        "        status = lock.try_again(arena", "        status = lock.try_lock(arena",
        order(T.crowd), "hang: ",
    ),
    Fault(
        "a waiter that gives up keeps its wake", "procedures/waiting",
        "    if mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:\n        lock.pass_on(arena)\n", "",
        order(T.gives_up), "hang: ",
    ),
    Fault(
        "a nap without announcing it", "procedures/waiting",
        "        watch[L.WATCH_NAP] = seen | L.LOCK_WAITERS\n",
        "        watch[L.WATCH_NAP] = 0\n"
        "    if status == L.BUSY and lock.held_by(seen) != 0:\n"
        "        watch[L.WATCH_NAP] = seen\n",
        order(T.lock, members=2, deaths=0), "hang: |bound: ",
        (("lock.held_by(seen) != 0 and lock.announce_wait(arena, seen)",
          "lock.held_by(seen) == 0"),),
    ),
    Fault(
        "a look after the deadline drops the lock that it took", "procedures/waiting",
        "    if status == L.OK:\n        entering.arrive(arena, mine)\n        return status\n"
        "    if status == L.BUSY:\n        status = verdict(watch)\n",
        "    if status == L.OK and verdict(watch) == L.BUSY:\n"
        "        entering.arrive(arena, mine)\n        return status\n"
        "    if status == L.BUSY or status == L.OK:\n        status = verdict(watch)\n",
        W.a_late_look_has_the_lock, "wait: ",
    ),
    Fault(
        "a stopped waiter counts the time it was stopped", "procedures/waiting",
        "    if lapse > L.LAPSE_NS:\n        lapse = L.LAPSE_NS\n", "",
        W.a_stopped_waiter_blames_nobody, "wait: a stopped waiter",
    ),
    Fault(
        "a new holder blamed for the time of others", "procedures/waiting",
        "        watch[L.WATCH_HELD_NS] = 0\n    else:\n", "        pass\n    else:\n",
        W.a_new_holder_is_not_blamed, "wait: a holder is blamed",
        (("    if lock.held_by(seen) == 0 or acquisition(seen) != before:\n",
          ("    if acquisition(seen) != before:\n"
           "        watch[L.WATCH_HELD_NS] = watch[L.WATCH_HELD_NS] + lapse\n"
           "    if lock.held_by(seen) == 0 or acquisition(seen) != before:\n")),),
    ),
    Fault(
        "a wait without an end", "procedures/waiting",
        "        return L.STARVED\n", "        return L.BUSY\n",
        W.a_new_holder_is_not_blamed, "wait: it has no end",
    ),
    Fault(
        "a take-over without a probe", "procedures/waiting",
        "table.probe(mine, slot) != 0:", "table.probe(mine, slot) > 1:",
        order(T.short_naps), "lock: |journal: ",
    ),
    Fault(
        "a descriptor trusted after its number was reused", "procedures/reaping",
        "    if table.probe(mine, slot) != 0:", "    if table.probe(mine, slot) > 1:",
        order(T.living), "I6: slot .* is alive",
    ),
    Fault(
        "a reference left behind without setting the flag", "procedures/local_lock",
        "            exchange(local, L.LOCAL_LEFT, 1)\n", "",
        order(F.fork_and_drop), "left: ",
    ),
    Fault(
        "unlocked without checking for references left behind", "procedures/letting_go",
        "    while load_acquire(local, L.LOCAL_LEFT) != 0 and local_lock.try_lock():\n",
        "    while load_acquire(local, L.LOCAL_LEFT) > 1 and local_lock.try_lock():\n",
        order(F.fork_and_drop), "left: |fork: the child lets go",
    ),
    Fault(
        "a deallocation that does not try the lock again", "procedures/letting_go",
        "            if local_lock.try_lock():  # it was unlocked meanwhile\n"
        "                release_left()\n", "",
        order(F.fork_and_drop), "left: ",
    ),
    Fault(
        "flag for references left behind cleared after the search", "procedures/letting_go",
        "    exchange(local, L.LOCAL_LEFT, 0)  # before the look: what comes later sets it again\n",
        "",
        order(F.two_drops), "left: ",
        (("        at += 1\n\n\ndef release()",
          "        at += 1\n    exchange(local, L.LOCAL_LEFT, 0)\n\n\ndef release()"),),
    ),
    Fault(
        "a child that does not check for references left behind", "procedures/forking",
        "    store(table.local, L.LOCAL_LEFT, 1)  "
        "# a thread may have left something, and not yet said so\n", "",
        order(F.fork_and_drop), "fork: the child lets go",
    ),
    Fault(
        "a child that starts with its parent's lock", "procedures/forking",
        "    store(table.local, L.LOCAL_LOCK, 0)\n", "",
        order(F.fork_and_drop), "fork: |hang: ",
    ),
    Fault(
        "fork without the process-local lock", "procedures/forking",
        "    local_lock.lock()\n    number = 0\n", "    number = 0\n",
        order(F.fork, reaper=False), "fork: the child does not hold",
    ),
    Fault(
        "records before the lock page", "procedures/forking",
        "        status = table.lock_child(mine, slot)\n        if status == L.OK:\n",
        "        status = L.OK\n        if status == L.OK:\n",
        order(F.fork, thread=False), "fork: the child's slot was taken|result: ",
        (("            mine[L.MINE_CHILD_READY] = 1\n",
          ("            table.lock_child(mine, slot)\n"
           "            mine[L.MINE_CHILD_READY] = 1\n")),),
    ),
    Fault(
        "two threads clean one object", "procedures/cleaning",
        "    if mine[L.MINE_CLEANING] != 0:\n", "    if mine[L.MINE_CLEANING] > 1:\n",
        order(T.cleaned), "clean: ",
    ),
    Fault(
        "a thread may clean before the last one has finished", "procedures/cleaning",
        "        status = clean_frames(arena, mine, obj)\n",
        "        status = clean_frames(arena, mine, obj)\n        mine[L.MINE_CLEANING] = 0\n",
        order(T.cleaned), "clean: ",
    ),
    Fault(
        "closed while a thread cleans", "procedures/leaving",
        "    if mine[L.MINE_BUSY] != 0 or mine[L.MINE_CLEANING] != 0:\n        return False\n", "",
        order(T.closed_while_cleaning), "clean: ",
    ),
    Fault(
        "posted without waking the waiters", "store/events",
        "    if is_awaited(arena, event):\n", "    if False:\n",
        order(E.awaited), "hang: ",
    ),
    Fault(
        "a wait without announcing it", "store/events",
        "        if compare_exchange(arena, at, seen, seen | bit):\n            return\n",
        "        return\n",
        order(E.awaited), "hang: ",
    ),
    Fault(
        "a dead poster's waiters not woken", "store/lock",
        "    events.wake_all(arena)\n", "",
        order(E.left_waiting), "hang: ",
    ),
)  # fmt: skip
