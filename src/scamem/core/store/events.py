"""Event words: what members wait for, and how they are woken, also when whoever wakes them dies.

State. An event is a counter, EVENTS + n, whose low half is a futex. A bit of EVENTS_AWAITED says
that somebody may be waiting for it. EVENT_POSTED names the event that is being posted, plus one.
None of these words is logged. There are EVENTS_MAX events: what is waited for takes one by its
number, as the kernel's wait queues of pages do, so a waiter may be woken for something else.

Steps. A waiter reads the counter under the arena's lock, together with the state that it finds
wanting; it unlocks, sets the event's bit (announce), and naps while the counter is the same.
post, under the lock: note the event in EVENT_POSTED, change the counter, clear the bit, wake all
if it was set, clear the note.

Why safe. Either the poster sees the bit, or the bit was set after the counter changed, and then
the kernel sees another counter and does not let the waiter nap: both sides use exchanges, which no
processor reorders. A poster that dies before it changed the counter left the bit; one that dies
after it cleared the bit left the note. Whoever takes the lock over wakes the waiters of both
(wake_all), so a dead poster delays nobody longer than a dead holder delays the lock.

Who finishes: the take-over; and naps have an end, so a waiter looks again by itself.

Tried and failed. Clearing the bit after waking loses the bit of a waiter that comes in between.
Waking every event at each take-over costs a system call an event, waited for or not.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from . import layout as L
    from .words import Words, compare_exchange, exchange, futex_wake, store, trailing_zeros, word


def announce(arena: Words, event: word) -> None:
    """Say that this member is about to wait for an event, whose counter it has read. No lock."""
    at: word = L.EVENTS_AWAITED + (event >> L.EVENTS_SHIFT)
    one: word = 1
    bit: word = one << (event & L.EVENTS_MASK)
    seen: word = arena[at]
    while seen & bit == 0:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, at, seen, seen | bit):
            return
        seen = arena[at]


def clear(arena: Words, event: word) -> bool:
    """Clear an event's bit; return whether it was set."""
    at: word = L.EVENTS_AWAITED + (event >> L.EVENTS_SHIFT)
    one: word = 1
    bit: word = one << (event & L.EVENTS_MASK)
    seen: word = arena[at]
    while seen & bit != 0:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, at, seen, seen & ~bit):
            return True
        seen = arena[at]
    return False


def post(arena: Words, event: word) -> None:
    """Change an event's counter and wake whoever waits for it. Needs: lock held."""
    at: word = L.EVENTS + event
    store(arena, L.EVENT_POSTED, event + 1)
    exchange(arena, at, arena[at] + 1 & L.MASK_32)
    if clear(arena, event):
        futex_wake(arena, at, L.WAKE_ALL)
    store(arena, L.EVENT_POSTED, 0)


def wake_all(arena: Words) -> None:
    """Wake all that a dead member may have left waiting. Needs: lock held.

    The bits stay: a taker that dies here leaves them to the next one.
    """
    part: word = 0
    bits: word
    event: word = arena[L.EVENT_POSTED]
    if event != 0 and event <= L.EVENTS_MAX:
        futex_wake(arena, L.EVENTS + event - 1, L.WAKE_ALL)
    while part < L.EVENTS_MAX >> L.EVENTS_SHIFT:
        bits = arena[L.EVENTS_AWAITED + part]
        while bits != 0:  # bound: the bits of a word
            event = (part << L.EVENTS_SHIFT) + trailing_zeros(bits)
            futex_wake(arena, L.EVENTS + event, L.WAKE_ALL)
            bits = bits & (bits - 1)
        part += 1
    store(arena, L.EVENT_POSTED, 0)
