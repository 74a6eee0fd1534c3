"""Publish, find, await and unpublish names, as a member.

A name and its description pass through the member's private words, where the transactions find
them: both locks are held from `store_name` to the end of the transaction.
"""

import cython
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.scamem.core import objects
from cython.cimports.scamem.core.store import events, tables
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store.words import futex_wait, word
from cython.cimports.scamem.core.transactions import hold, publish
from cython.cimports.scamem.membership.member import Hold, Member, checked_length, new_hold

from scamem.errors import ClosedError


def store_name(
    member: Member,
    name: cython.p_char,
    name_bytes: cython.size_t,
    text: cython.p_char,
    text_bytes: cython.size_t,
) -> cython.void:
    """Store a name and a description where the next transaction reads them. Needs: both locks."""
    k: cython.size_t
    value: word = FNV_OFFSET
    for k in range(name_bytes):
        value = (value ^ cython.cast(word, cython.cast(cython.uchar, name[k]))) * FNV_PRIME
    memset(
        cython.cast(cython.p_void, member.mine + L.MINE_NAME),
        0,
        (L.AREA_NAME_WORDS + L.AREA_DESCRIPTION_WORDS) * L.WORD_BYTES,
    )
    memcpy(cython.cast(cython.p_void, member.mine + L.MINE_NAME), name, name_bytes)
    memcpy(cython.cast(cython.p_void, member.mine + L.MINE_DESCRIPTION), text, text_bytes)
    member.mine[L.MINE_NAME_HASH] = value
    member.mine[L.MINE_NAME_BYTES] = name_bytes
    member.mine[L.MINE_DESCRIPTION_BYTES] = text_bytes


def publish_name(member: Member, held: Hold, name: bytes, description: bytes, replace: bool) -> int:
    """Publish an object under a name; return the area's number, or the status of the failure."""
    also: word = 1 if replace else 0
    length: cython.size_t = checked_length(name, L.AREA_NAME_WORDS)
    text_length: cython.size_t = checked_length(description, L.AREA_DESCRIPTION_WORDS)
    address: cython.p_char = name
    text: cython.p_char = description
    if held.index == 0:
        raise ClosedError("this reference was closed")
    member.begin()
    store_name(member, address, length, text, text_length)
    area: word = publish.publish(member.arena, member.mine, held.index, held.generation, also)
    member.end()
    member.free_dying()
    return area


def unpublish_name(member: Member, name: bytes, only: word) -> bool:
    """Remove a name; return False if it is missing, or not of version `only` (0: any)."""
    length: cython.size_t = checked_length(name, L.AREA_NAME_WORDS)
    address: cython.p_char = name
    member.begin()
    store_name(member, address, length, address, 0)
    status: word = L.OK
    if only != 0:
        status = publish.find(member.arena, member.mine)
        if status < L.STATUS:
            status = L.OK if member.mine[L.MINE_VERSION] == only else L.NOT_FOUND
    if status == L.OK:
        status = publish.unpublish(member.arena, member.mine)
    member.end()
    member.free_dying()
    return status == L.OK


def hold_name(
    member: Member, name: bytes, by: word, newer_than: word
) -> tuple[Hold | int, bytes, int]:
    """Hold the object that a name refers to.

    Parameters
    ----------
    newer_than : a version; the object must have been published after it. 0: at any time.

    Returns
    -------
    (Hold, description, version), or (status, b"", event to wait on); the status is NOT_FOUND,
    NOT_NEWER, or one for make_room().
    """
    length: cython.size_t = checked_length(name, L.AREA_NAME_WORDS)
    address: cython.p_char = name
    text = cython.declare(cython.char[1024])
    text_length: cython.size_t = 0
    generation: word = 0
    version: word = 0
    member.begin()
    store_name(member, address, length, address, 0)
    obj: word = publish.find(member.arena, member.mine)
    event: word = member.arena[L.EVENTS + L.EVENT_AREAS]
    status: word = obj
    if obj < L.STATUS:
        version = member.mine[L.MINE_VERSION]
        status = L.NOT_NEWER if version <= newer_than else L.OK
    if status == L.OK:
        generation = objects.generation(member.arena, member.mine, obj)
        status = hold.first(member.arena, member.mine, obj, generation, by)
        text_length = member.mine[L.MINE_DESCRIPTION_BYTES]
        memcpy(
            cython.cast(cython.p_void, text),
            cython.cast(cython.p_void, member.mine + L.MINE_DESCRIPTION),
            text_length,
        )
    member.end()
    if status != L.OK:
        return status, b"", event
    return new_hold(member, obj, generation, by), text[:text_length], version


def version_of(member: Member, name: bytes) -> int:
    """Return the version of a name's value, 0 if there is no such name."""
    length: cython.size_t = checked_length(name, L.AREA_NAME_WORDS)
    address: cython.p_char = name
    member.begin()
    store_name(member, address, length, address, 0)
    obj: word = publish.find(member.arena, member.mine)
    version: word = member.mine[L.MINE_VERSION] if obj < L.STATUS else 0
    member.end()
    if obj >= L.STATUS and obj != L.NOT_FOUND:
        raise member.refuse(obj)
    return version


def read_area(member: Member, area: word) -> tuple[bytes, bytes, int, int] | None:
    """Return (name, description, object, ns when published) of an area; None if it is free."""
    text = cython.declare(cython.char[1024])
    middle: cython.size_t = L.AREA_NAME_WORDS * L.WORD_BYTES
    name_length: cython.size_t = 0
    text_length: cython.size_t = 0
    published_ns: word = 0
    member.begin()
    obj: word = publish.read_area(member.arena, member.mine, area)
    if obj < L.STATUS:
        published_ns = member.arena[
            tables.place(member.mine, L.TABLE_AREAS, area) + L.AREA_PUBLISHED_NS
        ]
        name_length = member.mine[L.MINE_NAME_BYTES]
        text_length = member.mine[L.MINE_DESCRIPTION_BYTES]
        memcpy(
            cython.cast(cython.p_void, text),
            cython.cast(cython.p_void, member.mine + L.MINE_NAME),
            (L.AREA_NAME_WORDS + L.AREA_DESCRIPTION_WORDS) * L.WORD_BYTES,
        )
    member.end()
    if obj >= L.STATUS:
        return None
    return text[:name_length], text[middle : middle + text_length], obj, published_ns


def await_names(member: Member, seen: word, timeout_s: float) -> bool:
    """Wait until a name changes after `seen`, at most `timeout_s`; return whether one did."""
    nap_ns: word = cython.cast(word, max(0.0, min(1.0, timeout_s)) * 1e9)
    member.check_active()
    events.announce(member.arena, L.EVENT_AREAS)
    with cython.nogil:
        futex_wait(member.arena, L.EVENTS + L.EVENT_AREAS, seen, nap_ns)
    member.check_active()  # closed by another thread meanwhile
    return member.arena[L.EVENTS + L.EVENT_AREAS] != seen
