"""Sections that change, and lookups of many frames: the core's transactions and loops for them."""

import cython
from cython.cimports.scamem.arena import process
from cython.cimports.scamem.arena.member import Member
from cython.cimports.scamem.core import objects
from cython.cimports.scamem.core.frames import memdesc, sections, zones
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import high, low, word
from cython.cimports.scamem.core.transactions import offline, online, populate, trim

ONLINE_BEGIN, ONLINE_FINISH, ABORT, OFFLINE_BEGIN, OFFLINE_FINISH = range(5)
TRIM_BEGIN, TRIM_FINISH, POPULATE_BEGIN, POPULATE_FINISH = range(5, 9)
OFFLINE, ABSENT, TRIMMABLE = range(3)


def change(member: Member, step: cython.int, section: int = 0, most: int = 0) -> int:
    """Run one of the transactions above on a section: what it returns, or a status.

    Parameters
    ----------
    section : for the steps that begin; those that finish know the section that this member has.
    most : blocks to be trimmed at most; of OFFLINE_BEGIN, whether it is to stay offline.
    """
    which: word = section
    blocks: word = most
    found: word = L.NOT_FOUND
    member.begin()
    if step == 0:
        found = online.begin(member.arena, member.mine, which)
    elif step == 1:
        found = online.finish(member.arena, member.mine)
    elif step == 2:
        found = online.abort(member.arena, member.mine)
    elif step == 3:
        found = offline.begin(member.arena, member.mine, which, blocks)
    elif step == 4:
        found = offline.finish(member.arena, member.mine)
    elif step == 5:
        found = trim.begin(member.arena, member.mine, which, blocks)
    elif step == 6:
        found = trim.finish(member.arena, member.mine)
    elif step == 7:
        found = populate.begin(member.arena, member.mine, which)
    else:
        found = populate.finish(member.arena, member.mine)
    member.end()
    if found == L.DAMAGED or found == L.NOT_OWNER:
        raise member.refuse(found)
    return found


def is_changing(member: Member) -> bool:
    """Tell whether this process is between the begin and the finish of a change. No lock.

    One that has closed the arena is not (membership.close), and its words may be gone.
    """
    if member.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        return False
    return sections.owned(member.arena, member.mine) < L.STATUS


def give_up(member: Member) -> None:
    """End the change of a section that this process has under way; nothing if there is none.

    Needs: the turn of this process's threads (room.in_turn), so that it is none of another's.
    """
    if not is_changing(member):
        return
    member.begin()
    online.abort(member.arena, member.mine)
    member.end()


def find_section(member: Member, wanted: cython.int, first: int, end: int) -> int:
    """Return the lowest section of [first, end) that is as wanted, -1 if none is. No lock: a hint.

    OFFLINE : offline, and not by hand. ABSENT : online, with absent blocks. TRIMMABLE : online
    with blocks that are not absent, or with memory that nobody can use.
    """
    section: word = first
    last: word = end
    word_of: word
    state: word
    missing: word
    full: word = sections.all_blocks(member.mine)
    member.check_active()
    if last > member.mine[L.MINE_SECTIONS]:
        last = member.mine[L.MINE_SECTIONS]
    while section < last:
        word_of = member.arena[sections.at(member.mine, section)]
        state = word_of & L.MASK_8
        missing = sections.absent(member.arena, member.mine, section)
        if wanted == 0:
            if state == L.SECTION_STATE_OFFLINE and word_of & L.SECTION_KEPT == 0:
                return section
        elif wanted == 1:
            if state == L.SECTION_STATE_ONLINE and missing != 0:
                return section
        elif state == L.SECTION_STATE_ONLINE and missing != full:
            return section
        elif sections.unpunched(member.arena, member.mine, section) != 0:
            return section
        section += 1
    return -1


def objects_of(member: Member, pfns: object, numbers: object, generations: object) -> None:
    """Write which object each frame belongs to, and its generation; 0 where to none.

    Without the GIL and the arena's lock. The local lock is held for LOOKED_AT_ONCE frames at a
    time: another thread that closes the arena takes it before it unmaps.

    Parameters
    ----------
    pfns : int64, each below the arena's frames.
    numbers, generations : uint64, as many.
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
    """Return the LIVE object that a memdesc leads to, and its generation; 0 if to none."""
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
    """Return the words of some sections, each as of about now."""
    start: word = first
    member.check_active()
    return [member.arena[sections.at(member.mine, start + k)] for k in range(count)]


def count_absent(member: Member) -> int:
    """Return how many blocks of sections that are online have no memory, at about this moment."""
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


def changed_by_nobody(member: Member) -> bool:
    """Tell whether a section is said to be changed by who is no member: a damaged arena."""
    member.begin()
    owner: word = high(member.arena[L.CHANGING])
    about: word = tables.slot_at(member.mine, owner)
    section: word = low(member.arena[L.CHANGING])
    wrong: cython.bint = (
        section == 0
        or section > member.mine[L.MINE_SECTIONS]
        or owner < L.SLOT_FIRST
        or owner >= member.mine[L.MINE_SLOTS_MAX]
        or member.arena[about + L.SLOT_STATE] & L.MASK_8 == L.SLOT_STATE_FREE
        or member.arena[about + L.SLOT_INCARNATION] != member.arena[L.CHANGING_INCARNATION]
    )
    wrong = wrong and member.arena[L.CHANGING] != 0
    member.end()
    return wrong


def forget_surplus(member: Member) -> None:
    """Say that the surplus that a release noted is being seen to."""
    member.mine[L.MINE_SURPLUS] = 0


def zone_free(member: Member, zone: int) -> int:
    """Return how many frames of a zone are free and promised to nobody, at about this moment."""
    which: word = zone
    member.check_active()
    return zones.unpromised(member.arena, which)
