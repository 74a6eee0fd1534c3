"""Loans that are no longer needed: taken back when memory, or one more loan, is needed."""

import cython
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import monotonic_ns, word
from cython.cimports.scamem.core.transactions import lend
from cython.cimports.scamem.membership.member import Member


def expire(member: Member, grace_s: word) -> int:
    """Drop loans in transit older than grace_s that nothing else keeps alive; return how many."""
    given_up: cython.Py_ssize_t = 0
    before: word
    member.begin()
    holder: word = lend.oldest(member.arena, member.mine)
    about: word = tables.slot_at(member.mine, L.SLOT_TRANSIT)
    left: word = member.arena[L.LOANS_COUNT] + member.arena[about + L.SLOT_HOLDERS_COUNT]
    member.end()
    while holder != 0 and left > 0:  # bound: each step drops a loan or skips a record
        left -= 1
        member.begin()
        before = member.arena[L.LOANS_COUNT]
        holder = lend.expire(member.arena, member.mine, holder, grace_s)
        if member.arena[L.LOANS_COUNT] < before:
            given_up += 1
        member.end()
    member.free_dying()
    return given_up


def make_loans(member: Member) -> int:
    """Take loans back so that new ones can be made; return how many, 0 if that is impossible.

    Reaps dead members first. Then it takes back loans whose grace is over: those of objects that
    are also held without them, and if there are none, those in transit that keep an object.
    """
    grace_s: word = member.read_word(L.TRANSIT_GRACE_S)
    member.reap()
    return reclaim(member, grace_s) or expire(member, grace_s)


def reclaim(member: Member, grace_s: word) -> int:
    """Take back some loans of objects that are also held without them; return how many.

    The search continues where the last one ended, and goes through the table at most once and a
    part of it. There is none while even the oldest loan is too young.
    """
    taken: cython.Py_ssize_t = 0
    ends: cython.int = 0
    status: word
    if monotonic_ns() - member.mine[L.MINE_LOANS_OLDEST] < grace_s * L.NS_PER_S:
        return 0
    while ends < 2 and taken < RECLAIMED_AT_ONCE:
        member.begin()
        status = lend.reclaim(member.arena, member.mine, grace_s)
        member.end()
        if status == L.DAMAGED:
            raise member.refuse(status)
        if status == L.OK:
            taken += 1
        elif status == L.DONE:
            ends += 1
    return taken
