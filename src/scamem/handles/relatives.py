"""Who is whose child: what multiprocessing, and forks of it, know of the processes around this one.

Children of `multiprocess` (which pathos uses) are children as well; that package has registers of
its own. Much of what is read here is private to these modules: what is not there, or is not as
expected, counts as not known.
"""

from __future__ import annotations

import importlib
import os
import select
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

FAMILIES = ("multiprocessing", "multiprocess")
KEY = "scamem"  # of what is handed down, in the configuration that children inherit


class Inheritance:
    """What the children of this process learn: where its default arena is.

    An entry of `current_process()._config`, which each Process copies. It is pickled where a child
    is started (spawn, forkserver, loky) and arrives as bytes, so that a child which never uses
    scamem need not import it; its own children get them too.

    Parameters
    ----------
    tell : returns the bytes that a child gets; called while it is started.
    hear : called with the bytes that this process got from its parent.

    fork: a forked child has the object itself.
    """

    def __init__(self, tell: Callable[[], bytes], hear: Callable[[bytes], object]) -> None:
        self._tell = tell
        self._hear = hear
        self._families: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return bytes, (self._tell(),)

    def hand_down(self) -> None:
        """Let the children of this process inherit; again: what was imported since, too.

        Run anew in each child once it knows which process it is.
        """
        for family in FAMILIES:
            process = sys.modules.get(f"{family}.process")
            if process is None:
                continue
            config = getattr(process.current_process(), "_config", None)
            if not isinstance(config, dict):
                continue
            found = config.get(KEY)
            config[KEY] = self
            if family not in self._families:
                self._families.add(family)
                util = importlib.import_module(f"{family}.util")
                util.register_after_fork(self, Inheritance.hand_down)
            if isinstance(found, bytes) and found:
                self._hear(found)


def parents() -> list[int]:
    """Return the pids of the processes that started this one; none in a main program."""
    found = []
    for family in FAMILIES:
        process = sys.modules.get(f"{family}.process")
        if process is None:
            continue
        parent = process.parent_process()
        if parent is not None and parent.pid is not None:
            found.append(parent.pid)
        elif getattr(process.current_process(), "_inheriting", False):
            found.append(os.getppid())  # main is being imported; the parent is not yet named
    return found


def is_sending_to_children() -> bool:
    """Tell whether what is being pickled goes, as far as can be known, to a child of this process.

    True where a child is being started or lives, and, in a main program, for a queue or pipe: only
    children can have its other end. In a child a queue may lead to its parent.
    """
    return _has_children() or (not parents() and _is_family_channel())


def _has_children() -> bool:
    own = os.getpid()
    for family in FAMILIES:
        context = sys.modules.get(f"{family}.context")
        if context is not None and context.get_spawning_popen() is not None:
            return True
        process = sys.modules.get(f"{family}.process")
        for child in list(getattr(process, "_children", ())):
            if getattr(child, "_parent_pid", None) == own and _is_alive(child):
                return True
    return False


def _is_alive(child: Any) -> bool:
    """Look at a child's sentinel: `Process.is_alive` would reap what another thread waits for."""
    poll = select.poll()
    try:
        poll.register(child.sentinel, select.POLLIN)
        return not poll.poll(0)
    except (OSError, ValueError):
        return False  # it was closed meanwhile


def _is_family_channel() -> bool:
    """Tell whether a queue or an unnamed pipe of multiprocessing is what pickles; by the stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        family, _, module = str(frame.f_globals.get("__name__")).partition(".")
        if family in FAMILIES:
            if module == "queues":
                return True
            if module == "connection" and frame.f_code.co_name == "send":
                return _is_unnamed(frame.f_locals.get("self"))
        frame = frame.f_back
    return False


def _is_unnamed(connection: Any) -> bool:
    """Tell whether a Connection is an end of `Pipe()`, not one that a Listener accepted."""
    try:
        found = socket.socket(fileno=connection.fileno())
    except OSError:
        return True  # one way: no socket
    try:
        return found.family == socket.AF_UNIX and not (found.getsockname() or found.getpeername())
    except OSError:
        return False
    finally:
        found.detach()
