"""Look at frames and sections without the arena's lock: who has a frame, how much is free."""

import cython
from cython.cimports.scamem.core import objects
from cython.cimports.scamem.core.frames import memdesc, sections, zones
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import low, word
from cython.cimports.scamem.membership import process
from cython.cimports.scamem.membership.member import Member


def objects_of(member: Member, pfns: object, numbers: object, generations: object) -> None:
    """Write each frame's object number and generation; 0 if it belongs to no object.

    Runs without the GIL and without the arena's lock. The local lock is held for LOOKED_AT_ONCE
    frames at a time: another thread that closes the arena takes it before it unmaps.

    Parameters
    ----------
    pfns : int64, each below the arena's number of frames.
    numbers, generations : uint64, of the same length.
    """
    frames: cython.longlong[::1] = pfns
    found: cython.ulonglong[::1] = numbers
    uses: cython.ulonglong[::1] = generations
    k: cython.Py_ssize_t
    done: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    count: cython.Py_ssize_t = len(pfns)
    last: word = 0
    last_use: word = 0
    last_value: word = 0
    with cython.nogil:
        while done < count:
            end = min(count, done + LOOKED_AT_ONCE)
            process.lock_local()
            if member.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
                process.unlock_local()
                break
            for k in range(done, end):
                pfn: word = frames[k]
                section: word = pfn >> member.mine[L.MINE_SECTION_SHIFT]
                value: word = 0
                if sections.flags(member.arena, member.mine, section) & L.SECTION_BACKED != 0:
                    value = memdesc.read(member.arena, member.mine, pfn)
                if value != last_value or last == 0:
                    last_value = value
                    last = live_object(member, value, cython.address(last_use))
                elif not objects.is_live(member.arena, member.mine, last, last_use):
                    last = 0
                found[k] = last
                uses[k] = last_use if last != 0 else 0
            process.unlock_local()
            done = end
    if done < count:
        raise member.refuse(L.NOT_HELD)


def live_object(member: Member, value: word, use: cython.pointer(word)) -> word:
    """Return the LIVE object that a memdesc refers to, and its generation; 0 if there is none."""
    obj: word = memdesc.object_of(value)
    if obj == 0 or not tables.valid(member.arena, member.mine, L.TABLE_OBJECTS, obj):
        return 0
    generation: word = objects.generation(member.arena, member.mine, obj)
    if low(generation) != memdesc.generation_of(value):
        return 0
    if not objects.is_live(member.arena, member.mine, obj, generation):
        return 0
    use[0] = generation
    return obj


def section_words(member: Member, first: int, count: int) -> list[int]:
    """Return the words of some sections; each was read at about this moment."""
    start: word = first
    member.check_active()
    return [member.arena[sections.at(member.mine, start + k)] for k in range(count)]


def count_absent(member: Member) -> int:
    """Return how many blocks of online sections have no memory, at about this moment."""
    section: word = 0
    bits: word
    found: word = 0
    member.check_active()
    while section < member.mine[L.MINE_SECTIONS]:
        bits = sections.absent(member.arena, member.mine, section)
        while bits != 0:
            found += bits & 1
            bits >>= 1
        section += 1
    return found


def zone_free(member: Member, zone: int) -> int:
    """Return how many frames of a zone are free and not reserved, at about this moment."""
    which: word = zone
    member.check_active()
    return zones.unpromised(member.arena, which)
