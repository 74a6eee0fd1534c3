"""Trim memory that a release noted as surplus; what that takes is imported when it happens."""

from __future__ import annotations

from scamem.core.store import layout as L
from scamem.later import Later
from scamem.membership import joined
from scamem.membership.member import surplus_handlers

sections = Later("scamem.memory.sections")


def install() -> None:
    """Let releases trim what they leave too much of; once, when the package is imported."""
    surplus_handlers.append(_trim_all)


def _trim_all() -> None:
    for seat in joined.seats():
        if seat.member.my_word(L.MINE_SURPLUS):
            sections.trim_surplus(seat)
