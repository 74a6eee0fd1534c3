"""Parents and children: what multiprocessing and its forks know of the processes around this one.

Children of `multiprocess` (which pathos uses) count too; that package has its own registers. Much
of what is read here is private to these packages. What is missing, or not as expected, counts as
unknown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from .importing import when_imported

FAMILIES = ("multiprocessing", "multiprocess")
KEY = "scamem"  # in the configuration that children inherit


class Inheritance:
    """What the children of this process inherit: where its default arena is.

    An entry of `current_process()._config`, which each Process copies. It is pickled when a child
    starts (spawn, forkserver, loky) and arrives as bytes, so a child that never uses scamem need
    not import it. That child's own children get the bytes too.

    Parameters
    ----------
    tell : returns the bytes for a child; called while the child is started.
    hear : called with the bytes that this process got from its parent.

    fork: a forked child has the object itself.
    """

    def __init__(self, tell: Callable[[], bytes], hear: Callable[[bytes], object]) -> None:
        self._tell = tell
        self._hear = hear

    def __reduce__(self) -> tuple[Any, ...]:
        return bytes, (self._tell(),)

    def hand_down(self) -> None:
        """Let the children of this process inherit.

        Each child runs it anew once it knows which process it is.
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
            if isinstance(found, bytes) and found:
                self._hear(found)

    def watch(self) -> None:
        """Hand down from now on, also to children of packages that are imported later."""
        for family in FAMILIES:
            when_imported(f"{family}.process", self.hand_down)
            when_imported(f"{family}.util", partial(self._watch_children, family))

    def _watch_children(self, family: str) -> None:
        util = sys.modules[f"{family}.util"]
        util.register_after_fork(self, Inheritance.hand_down)


def parents() -> list[int]:
    """Return the pids of the processes that started this one; [] in a main program."""
    found = []
    for family in FAMILIES:
        process = sys.modules.get(f"{family}.process")
        if process is None:
            continue
        parent = process.parent_process()
        if parent is not None and parent.pid is not None:
            found.append(parent.pid)
        elif getattr(process.current_process(), "_inheriting", False):
            found.append(os.getppid())  # main is being imported; the parent is not known yet
    return found


def is_sending_to_children() -> bool:
    """Return whether what is being pickled goes, as far as is known, to a child of this process.

    True if a child is alive or being started. Also True in a main program for a queue or pipe: only
    children can have its other end. In a child, a queue may lead to its parent.
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
    """Check a child's sentinel: `Process.is_alive` would reap a child that a thread waits for."""
    import select

    poll = select.poll()
    try:
        poll.register(child.sentinel, select.POLLIN)
        return not poll.poll(0)
    except (OSError, ValueError):
        return False  # it was closed in the meantime


def _is_family_channel() -> bool:
    """Return whether a queue or an unnamed pipe of multiprocessing is pickling, by the stack."""
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
    """Return whether a Connection is an end of `Pipe()`, not one that a Listener accepted."""
    import socket  # the connection's own module has it already

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
