"""Transactions that change a section: bring it online or offline, trim it, populate it.

Each `begin_` returns what was begun, or a status that says why nothing was. Each `finish_`
completes the change that this member has begun.
"""

import cython
from cython.cimports.scamem.core.frames import sections
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import high, low, word
from cython.cimports.scamem.core.transactions import offline, online, populate, trim
from cython.cimports.scamem.membership.member import Member

OFFLINE, ABSENT, TRIMMABLE = range(3)


def ended(member: Member, found: word) -> int:
    """Release both locks, and return a transaction's result; raise if it found damage."""
    member.end()
    if found == L.DAMAGED or found == L.NOT_OWNER:
        raise member.refuse(found)
    return found


def begin_online(member: Member, section: word, blocks: word) -> int:
    """Begin to bring some blocks of a section online; return its number, or a status."""
    member.begin()
    return ended(member, online.begin(member.arena, member.mine, section, blocks))


def finish_online(member: Member, blocks: word) -> int:
    """Free the frames of the blocks that this member gave memory; the others are absent."""
    member.begin()
    return ended(member, online.finish(member.arena, member.mine, blocks))


def begin_offline(member: Member, section: word, keep: cython.bint) -> int:
    """Begin to take a section offline. With `keep` it comes online again only by its number.

    Returns the section's number, or a status: IN_USE, ONLINE_BUSY, WRONG_STATE.
    """
    member.begin()
    return ended(member, offline.begin(member.arena, member.mine, section, 1 if keep else 0))


def finish_offline(member: Member) -> int:
    """Record that the section has no memory any more."""
    member.begin()
    return ended(member, offline.finish(member.arena, member.mine))


def begin_trim(member: Member, section: word, most: word) -> int:
    """Begin to trim at most `most` blocks of a section; return one bit per block, or a status."""
    member.begin()
    return ended(member, trim.begin(member.arena, member.mine, section, most))


def finish_trim(member: Member) -> int:
    """Record that the blocks have no memory any more."""
    member.begin()
    return ended(member, trim.finish(member.arena, member.mine))


def begin_populate(member: Member, section: word, most: word) -> int:
    """Begin to give `most` absent blocks of a section memory; return them as bits, or a status."""
    member.begin()
    return ended(member, populate.begin(member.arena, member.mine, section, most))


def finish_populate(member: Member, blocks: word) -> int:
    """Free the frames of the blocks that this member gave memory."""
    member.begin()
    return ended(member, populate.finish(member.arena, member.mine, blocks))


def is_changing(member: Member) -> bool:
    """Return whether this process is between the begin and the finish of a change. No lock.

    A process that has closed the arena is not (membership.close), and its words may be unmapped.
    """
    if member.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        return False
    return sections.owned(member.arena, member.mine) < L.STATUS


def give_up(member: Member) -> None:
    """End this process's unfinished change of a section; do nothing if there is none.

    Needs: the turn among this process's threads (turns.in_turn), so that it is no other thread's.
    """
    if not is_changing(member):
        return
    member.begin()
    online.abort(member.arena, member.mine)
    member.end()


def find_section(member: Member, wanted: cython.int, first: int, end: int) -> int:
    """Return the lowest section of [first, end) in the wanted state, -1 if none. No lock: a hint.

    OFFLINE : offline, and not taken offline by its number. ABSENT : online, with absent blocks.
    TRIMMABLE : online, with blocks that are not absent, or with memory that cannot be used.
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


def changed_by_nobody(member: Member) -> bool:
    """Return whether a section is marked as changed by a process that is no member: damage."""
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
    """Record that the surplus that a release noted is being handled."""
    member.mine[L.MINE_SURPLUS] = 0
