"""Event words: what members wait for, and how they are woken, even if the member that wakes dies.

State. An event is a counter, EVENTS + n, whose low half is a futex. A bit of EVENTS_AWAITED says
that some member may be waiting for it. None of these words is logged. There are EVENTS_MAX events.
Each thing to wait for takes one by its number, as pages share the kernel's wait queues, so a waiter
may be woken for something else.

Steps. A waiter reads the counter under the arena's lock, together with the state that it is not
satisfied with. It unlocks, sets the event's bit (announce), and naps while the counter is the same.
post, under the lock: changes the counter; if the bit is set, wakes all, then clears it.

Why safe. Either the poster sees the bit, or the bit was set after the counter changed; then the
kernel sees another counter and does not let the waiter nap. Both sides use exchanges, which no
processor reorders. A bit that is cleared right after it was set belongs to such a waiter. A poster
that dies before it has woken the waiters leaves the bit, and the member that takes the lock over
wakes those of all bits (wake_all). So a dead poster delays nobody longer than a dead holder delays
the lock.

Who finishes: the take-over. Naps have an end too, so a waiter looks again by itself.

Tried and failed. Waking every event at each take-over costs one system call per event, even if
nobody waits for it.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from . import layout as L
    from .words import (
        Words,
        compare_exchange,
        exchange,
        futex_wake,
        load_acquire,
        trailing_zeros,
        word,
    )


def announce(arena: Words, event: word) -> None:
    """Announce that this member will wait for an event whose counter it has read. No lock."""
    at: word = L.EVENTS_AWAITED + (event >> L.EVENTS_SHIFT)
    one: word = 1
    bit: word = one << (event & L.EVENTS_MASK)
    seen: word = arena[at]
    while seen & bit == 0:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, at, seen, seen | bit):
            return
        seen = arena[at]


def clear(arena: Words, event: word) -> None:
    """Clear an event's bit."""
    at: word = L.EVENTS_AWAITED + (event >> L.EVENTS_SHIFT)
    one: word = 1
    bit: word = one << (event & L.EVENTS_MASK)
    seen: word = arena[at]
    while seen & bit != 0:  # bound: a retry only when another member changed the word
        if compare_exchange(arena, at, seen, seen & ~bit):
            return
        seen = arena[at]


def is_awaited(arena: Words, event: word) -> bool:
    """Tell whether a member may be waiting for an event."""
    bits: word = load_acquire(arena, L.EVENTS_AWAITED + (event >> L.EVENTS_SHIFT))
    return bits >> (event & L.EVENTS_MASK) & 1 != 0


def post(arena: Words, event: word) -> None:
    """Change an event's counter and wake its waiters. Needs: lock held."""
    at: word = L.EVENTS + event
    exchange(arena, at, arena[at] + 1 & L.MASK_32)
    if is_awaited(arena, event):
        futex_wake(arena, at, L.WAKE_ALL)
        clear(arena, event)


def wake_all(arena: Words) -> None:
    """Wake all waiters that a dead member may have left. Needs: lock held.

    The bits stay: a taker that dies here leaves them to the next one.
    """
    part: word = 0
    bits: word
    event: word
    while part < L.EVENTS_MAX >> L.EVENTS_SHIFT:
        bits = arena[L.EVENTS_AWAITED + part]
        while bits != 0:  # bound: the bits of a word
            event = (part << L.EVENTS_SHIFT) + trailing_zeros(bits)
            futex_wake(arena, L.EVENTS + event, L.WAKE_ALL)
            bits = bits & (bits - 1)
        part += 1
