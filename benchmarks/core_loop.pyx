# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Loops over the core's transactions without Python in between; compiled when benchmarks run."""

from scamem.membership cimport process
from scamem.membership.member cimport Member
from scamem.core.procedures cimport entering, letting_go, local_lock
from scamem.core.store cimport layout as L
from scamem.core.store.words cimport Words, monotonic_ns, word
from scamem.core.transactions cimport alloc, hold, online


def alloc_free(Member member, word frames, word count):
    """Allocate and free an object, `count` times; return the nanoseconds of it all."""
    cdef Words arena = member.arena, mine = member.mine
    cdef word k = 0, obj = 0, start = monotonic_ns()
    with nogil:
        for k in range(count):
            if entering.enter(arena, mine) != L.OK:
                break
            obj = alloc.small(arena, mine, L.ZONE_NORMAL, frames, L.BY_HAND)
            entering.leave(arena, mine)
            if obj >= L.STATUS:
                break
            letting_go.let_go(arena, mine, obj, L.BY_HAND)
        start = monotonic_ns() - start
    if obj >= L.STATUS or k + 1 != count:
        raise RuntimeError(f"allocation {k} of {count} was refused: {obj:#x}")
    return start


def pin_unpin(Member member, word obj, word count):
    """Hold and release an object `count` times; return the total nanoseconds."""
    cdef Words arena = member.arena, mine = member.mine
    cdef word k = 0, start = monotonic_ns()
    with nogil:
        for k in range(count):
            local_lock.lock()
            hold.add(arena, mine, obj, L.BY_PIN)
            letting_go.release()
            letting_go.let_go(arena, mine, obj, L.BY_PIN)
        start = monotonic_ns() - start
    return start


def bring_online(Member member):
    """Say that all sections are online without giving them memory; return how many.

    The files are sparse: what the core touches gets memory then. For its own speed that is the
    same, and a TiB of frames fits on any machine.
    """
    cdef Words arena = member.arena, mine = member.mine
    cdef word count = 0, status = 0
    with nogil:
        while True:
            if entering.enter(arena, mine) != L.OK:
                break
            status = online.begin(arena, mine, count)
            if status < L.STATUS:
                status = online.finish(arena, mine)
            entering.leave(arena, mine)
            if status != L.OK:
                break
            count += 1
    if status != L.WRONG_STATE:
        raise RuntimeError(f"section {count} was refused: {status:#x}")
    return count


def take(Member member, word frames):
    """Take an object of many frames without describing them; return its number."""
    cdef Words arena = member.arena, mine = member.mine
    cdef word obj, status = L.MORE
    if entering.enter(arena, mine) != L.OK:
        raise RuntimeError("the arena's lock was not to be had")
    obj = alloc.reserve(arena, mine, L.ZONE_NORMAL, frames, L.BY_HAND)
    if obj < L.STATUS:
        while status == L.MORE:
            status = alloc.take_run(arena, mine, obj)
    entering.leave(arena, mine)
    if obj >= L.STATUS or status != L.OK:
        raise RuntimeError(f"{frames} frames were refused: {obj:#x} {status:#x}")
    return obj


def give(Member member, word obj):
    """Let go of what `take` took."""
    letting_go.let_go(member.arena, member.mine, obj, L.BY_HAND)


def fork_handlers(word count):
    """Run the fork handlers without a fork; return nanoseconds (prepare, in_parent) of each."""
    cdef word before, between, behind
    found = []
    for _ in range(count):
        with nogil:
            before = monotonic_ns()
            process.prepare()
            between = monotonic_ns()
            process.in_parent()
            behind = monotonic_ns()
        found.append((between - before, behind - between))
    return found
