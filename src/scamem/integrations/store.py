"""What the integrations share: arenas, names and handles as their callers give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scamem.arena import Arena
from scamem.core.store import layout as L
from scamem.defaults import default
from scamem.handles import names
from scamem.handles.convert import load_handle
from scamem.handles.elsewhere import register_elsewhere
from scamem.handles.handle import Handle
from scamem.handles.values import value_of
from scamem.membership.member import Hold
from scamem.membership.seat import Seat

Key = str | Handle | bytes
Reader = Callable[[Seat, Hold, bytes, bool], Any]


def arena_or_default(arena: Arena | None) -> Arena:
    """Return the arena that was given, else the default arena."""
    return default() if arena is None else arena


def named(arena: Arena, name: str | None, handle: Handle) -> Handle:
    """Publish a stored value if it has a name; a name that exists gets the new value."""
    if name is not None:
        arena.publish(name, handle, replace=True)
    return handle


def stored(
    key: Key, arena: Arena | None, timeout: float | None, read: Reader = value_of
) -> tuple[Any, str]:
    """Return the value of a name, a Handle or its bytes, and words for it in a message."""
    register_elsewhere()  # joblib may have been imported in the meantime
    if isinstance(key, str):
        found, _ = names.find(arena_or_default(arena)._seat, key, timeout, read=read)
        return found, repr(key)
    handle = key if isinstance(key, Handle) else load_handle(key)
    held = handle.hold.another(L.BY_PIN)
    return read(handle.seat, held, handle.description, True), repr(handle)
