"""Which process a claim names: a member's slot and incarnation."""

from __future__ import annotations

from scamem.core.store import layout as L

from .member import Member


def pid_of(member: Member, slot: int, incarnation: int) -> int:
    """Return the pid of the member that had a slot; 0 if the slot was given to another since.

    Parameters
    ----------
    incarnation : its low 32 bits.
    """
    if not L.SLOT_FIRST <= slot < member.seat.geometry.slots_max:
        return 0
    about = L.SLOTS + L.SLOT_WORDS * slot
    if member.read_word(about + L.SLOT_INCARNATION) & L.MASK_32 != incarnation:
        return 0
    return int(member.read_word(about + L.SLOT_PID))
