"""Bring memory online before it is needed, so that the first copies into it run at full speed."""

from __future__ import annotations

from collections.abc import Callable

from scamem.address_space import map as mapping
from scamem.backing.text import Size, bytes_of
from scamem.membership.member import Hold, release
from scamem.membership.seat import Seated

from .allocation import BY_HAND, allocate
from .sections import retention, set_retention

Progress = Callable[[int, int], object]
STEP_BYTES = 64 << 20  # between two calls of `progress`


def warm(arena: Seated, nbytes: Size, *, progress: Progress | None = None) -> None:
    """Make `nbytes` of free memory ready: online, and mapped in this process.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.warm("16M")
    >>> arena.stats().frames_free >= (16 << 20) // arena.frame_bytes
    True

    Without it, memory comes online when an object needs it, and this process meets each page with
    a page fault, so the first copy into it takes several times as long as the second. Memory that
    was freed is warm, and is used again first.

    Parameters
    ----------
    nbytes : how much free memory is wanted: bytes, or text such as "1G". If `retention` is less, it
        is raised to this for all members, else the memory would be returned to the system.
    progress : called with (bytes done, bytes in all) after every 64 MiB and at the end. If it
        raises, the warming stops; what is warm by then stays so.

    Raises
    ------
    OutOfMemoryError : there is not so much; names the limit.

    It is no reservation: any member may take the memory. Other processes map its pages when they
    touch them; each can call this for itself.
    Cost: that of clearing the memory and of its page tables, once.
    """
    seat = arena._seat
    seat.check_open()
    wanted = bytes_of(nbytes)
    if wanted < 0:
        raise ValueError(f"asked to warm {wanted} bytes; a size is 0 or more")
    held: list[Hold] = []  # so that nobody trims it meanwhile, and each step gets other frames
    done = 0
    try:
        while done < wanted:
            part = min(STEP_BYTES, wanted - done)
            held.append(allocate(seat, part, BY_HAND))
            for start, count in seat.member.runs(held[-1]):
                address = seat.direct_address + start * seat.frame_bytes
                mapping.populate(address, count * seat.frame_bytes, write=True)
            done += part
            if progress is not None:
                progress(done, wanted)
        if wanted > retention(seat):
            set_retention(seat, wanted)
    finally:
        for one in reversed(held):
            release(one)
