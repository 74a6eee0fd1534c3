"""The transactions that change a section: coming online, going offline, trimming, populating.

Each `begin_` returns what was begun, or a status that says why nothing was; each `finish_` ends the
change that this member has under way.
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
    """Give both locks up, and return what a transaction returned; raise if it found damage."""
    member.end()
    if found == L.DAMAGED or found == L.NOT_OWNER:
        raise member.refuse(found)
    return found


def begin_online(member: Member, section: word) -> int:
    """Begin to bring a section online: its number, or a status."""
    member.begin()
    return ended(member, online.begin(member.arena, member.mine, section))


def finish_online(member: Member) -> int:
    """Make the frames of the section free that this member gave memory."""
    member.begin()
    return ended(member, online.finish(member.arena, member.mine))


def begin_offline(member: Member, section: word, keep: cython.bint) -> int:
    """Begin to take a section offline; `keep`: it comes online by its number only.

    The section's number, or a status: IN_USE, ONLINE_BUSY, WRONG_STATE.
    """
    member.begin()
    return ended(member, offline.begin(member.arena, member.mine, section, 1 if keep else 0))


def finish_offline(member: Member) -> int:
    """Say that the section has no memory any more."""
    member.begin()
    return ended(member, offline.finish(member.arena, member.mine))


def begin_trim(member: Member, section: word, most: word) -> int:
    """Begin to trim at most so many blocks of a section: a bit for each block, or a status."""
    member.begin()
    return ended(member, trim.begin(member.arena, member.mine, section, most))


def finish_trim(member: Member) -> int:
    """Say that the blocks have no memory any more."""
    member.begin()
    return ended(member, trim.finish(member.arena, member.mine))


def begin_populate(member: Member, section: word) -> int:
    """Begin to give absent blocks of a section memory: a bit for each of them, or a status."""
    member.begin()
    return ended(member, populate.begin(member.arena, member.mine, section))


def finish_populate(member: Member) -> int:
    """Make the frames of the blocks free that this member gave memory."""
    member.begin()
    return ended(member, populate.finish(member.arena, member.mine))


def is_changing(member: Member) -> bool:
    """Tell whether this process is between the begin and the finish of a change. No lock.

    One that has closed the arena is not (membership.close), and its words may be gone.
    """
    if member.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        return False
    return sections.owned(member.arena, member.mine) < L.STATUS


def give_up(member: Member) -> None:
    """End the change of a section that this process has under way; nothing if there is none.

    Needs: the turn of this process's threads (turns.in_turn), so that it is none of another's.
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
