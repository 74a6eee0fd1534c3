"""Where an object lies: its frames one by one, and its bytes as `struct iovec`s for I/O."""

import cython
import numpy as np
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.scamem.address_space.io import iovec
from cython.cimports.scamem.core import objects
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import high, low, word
from cython.cimports.scamem.membership.member import Hold, Member


def find_spans(
    member: Member,
    obj: word,
    start: word,
    nbytes: word,
    into: cython.pointer(iovec),
    room: word,
) -> word:
    """Write the spans of a range of an object to `into`, or count them if `into` is NULL.

    Returns how many there are, or DAMAGED; also if there are more than `room`. Needs: the object is
    held. Adjacent runs are merged into one span.
    """
    found: word = 0
    address: word = 0  # of the end of the last span
    at: word = 0  # bytes of the object seen so far
    end: word = start + nbytes
    first: word
    last: word
    value: word
    place: word = tables.place(member.mine, L.TABLE_OBJECTS, obj)
    run: word = low(member.arena[place + L.OBJECT_RUNS])
    while at < end:  # bound: each run adds to it
        value = objects.run_frames(member.arena, member.mine, run)
        if value == 0:
            return L.DAMAGED
        first = max(start, at)
        at += high(value) * L.FRAME_BYTES
        last = min(end, at)
        if first < last:
            where: word = member.direct_address + (low(value) + high(value)) * L.FRAME_BYTES
            where -= at - first
            if found != 0 and where == address:
                if into != cython.NULL:
                    into[found - 1].iov_len += last - first
            else:
                if into != cython.NULL:
                    if found == room:
                        return L.DAMAGED
                    into[found].iov_base = cython.cast(cython.p_void, where)
                    into[found].iov_len = last - first
                found += 1
            address = where + last - first
        run = objects.next_run(member.arena, member.mine, run)
    return found


def spans_of(held: Hold, start: word, nbytes: word) -> bytes:
    """Return the `struct iovec`s of a range of a held object, through the direct map.

    Parameters
    ----------
    start, nbytes : bytes, inside the object, which a pin or an array holds.

    Ownership: the addresses are valid as long as this process holds the object.
    """
    member: Member = held.member
    count: word
    nr: word
    nr = member.nr(held)
    if start > nr * L.FRAME_BYTES or nbytes > nr * L.FRAME_BYTES - start:
        raise member.refuse(L.DAMAGED)  # a pinned object never loses frames
    with cython.nogil:
        count = find_spans(member, held.index, start, nbytes, cython.NULL, 0)
    if count >= L.STATUS:
        raise member.refuse(count)
    made: bytes = PyBytes_FromStringAndSize(
        cython.cast(cython.p_char, cython.NULL), count * cython.sizeof(iovec)
    )
    into: cython.pointer(iovec) = cython.cast(
        cython.pointer(iovec), cython.cast(cython.p_char, made)
    )
    with cython.nogil:
        count = find_spans(member, held.index, start, nbytes, into, count)
    if count >= L.STATUS:
        raise member.refuse(count)
    return made


def frames_of_runs(runs: object) -> object:
    """Return the pfns of runs, in order: uint64, one a frame."""
    if len(runs) == 0:
        return np.empty(0, dtype=np.uint64)
    counts = runs[:, 1].astype(np.intp)
    starts = np.repeat(runs[:, 0], counts)
    ends = np.cumsum(counts)
    within = np.arange(counts.sum(), dtype=np.uint64) - np.repeat(ends - counts, counts).astype(
        np.uint64
    )
    return starts + within
