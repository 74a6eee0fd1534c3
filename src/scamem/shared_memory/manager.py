"""`SharedMemoryManager`, as in `multiprocessing.managers`, for segments of scamem.shared_memory.

    from scamem.managers import SharedMemoryManager    # was: from multiprocessing.managers import

The manager's server has each segment open that the manager made. The segments go when the manager
is shut down, when its `with` block ends, or when its server is killed and nobody else has them
open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from multiprocessing import ProcessError, managers
from multiprocessing.managers import BaseManager, Server
from typing import Any

from . import ShareableList as List
from . import SharedMemory as Segment

__all__ = ["SharedMemoryManager", "SharedMemoryServer"]


class SharedMemoryServer(Server):
    """The server of a SharedMemoryManager: it has the manager's segments open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.public = [*Server.public, "track_segment", "release_segment", "list_segments"]
        self._segments: dict[str, Segment] = {}

    def track_segment(self, _connection: object, name: str) -> None:
        """Open a segment, and unlink it when the server shuts down."""
        self._segments[name] = Segment(name)

    def release_segment(self, _connection: object, name: str) -> None:
        """Unlink a segment now."""
        segment = self._segments.pop(name)
        segment.close()
        with contextlib.suppress(FileNotFoundError):  # another process has unlinked it
            segment.unlink()

    def list_segments(self, _connection: object) -> list[str]:
        """Return the names of the segments that the server has open."""
        return list(self._segments)

    def shutdown(self, c: Any) -> None:
        """Unlink all segments, and end the server."""
        for name in list(self._segments):
            self.release_segment(c, name)
        super().shutdown(c)


class SharedMemoryManager(BaseManager):
    """Makes segments and lists that go when it is shut down.

    >>> from scamem.managers import SharedMemoryManager
    >>> with SharedMemoryManager() as manager:
    ...     segment = manager.SharedMemory(size=100)
    ...     numbers = manager.ShareableList(range(3))
    ...     list(numbers)
    [0, 1, 2]

    It is started, connected to and shut down like every manager of multiprocessing: `start`,
    `connect`, `shutdown`, or a `with` block.

    Ownership: the server, a process, has each segment open, so it stays while the processes that
    use it come and go.
    """

    _Server = SharedMemoryServer

    def get_server(self) -> SharedMemoryServer:
        """Return the server, for this process to run: `manager.get_server().serve_forever()`."""
        manager: Any = self
        original: Any = managers
        if manager._state.value != original.State.INITIAL:
            raise ProcessError("asked for the server of a manager that was started or shut down")
        return SharedMemoryServer(
            manager._registry, manager._address, manager._authkey, manager._serializer
        )

    def SharedMemory(self, size: int) -> Segment:  # noqa: N802 - the original's name
        """Create a segment of `size` bytes that goes with the manager."""
        return self._tracked(Segment(create=True, size=size))

    def ShareableList(self, sequence: Iterable[Any] | None) -> List:  # noqa: N802 - likewise
        """Create a ShareableList that goes with the manager."""
        made = List(sequence if sequence is not None else ())
        self._tracked(made.shm)
        return made

    def _tracked(self, segment: Segment) -> Segment:
        manager: Any = self
        original: Any = managers
        try:
            with manager._Client(manager._address, authkey=manager._authkey) as connection:
                original.dispatch(connection, None, "track_segment", (segment.name,))
        except BaseException:
            segment.close()
            segment.unlink()
            raise
        return segment
