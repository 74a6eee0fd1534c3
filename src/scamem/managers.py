"""`SharedMemoryManager`, as in `multiprocessing.managers`, for segments of scamem.shared_memory.

    from scamem.managers import SharedMemoryManager    # was: from multiprocessing.managers import

The manager's server has each segment open that the manager made. The segments go when the manager
is shut down, when its `with` block ends, or when its server is killed and nobody else has them
open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from multiprocessing.managers import BaseManager, Server, dispatch
from typing import Any

from .shared_memory import ShareableList, SharedMemory

__all__ = ["SharedMemoryManager", "SharedMemoryServer"]


class SharedMemoryServer(Server):
    """The server of a SharedMemoryManager: it has the manager's segments open."""

    public = [*Server.public, "track_segment", "release_segment", "list_segments"]  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._segments: dict[str, SharedMemory] = {}

    def track_segment(self, c: object, name: str) -> None:  # noqa: ARG002 - the connection
        """Open a segment, and unlink it when the server shuts down."""
        self._segments[name] = SharedMemory(name)

    def release_segment(self, c: object, name: str) -> None:  # noqa: ARG002
        """Unlink a segment now."""
        segment = self._segments.pop(name)
        segment.close()
        with contextlib.suppress(FileNotFoundError):  # another process has unlinked it
            segment.unlink()

    def list_segments(self, c: object) -> list[str]:  # noqa: ARG002
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

    def SharedMemory(self, size: int) -> SharedMemory:  # noqa: N802 - as the original
        """Create a segment of `size` bytes that goes with the manager."""
        return self._tracked(SharedMemory(create=True, size=size))

    def ShareableList(self, sequence: Iterable[Any] | None) -> ShareableList:  # noqa: N802
        """Create a ShareableList that goes with the manager."""
        made = ShareableList(sequence if sequence is not None else ())
        self._tracked(made.shm)
        return made

    def _tracked(self, segment: SharedMemory) -> SharedMemory:
        manager: Any = self
        try:
            with manager._Client(manager._address, authkey=manager._authkey) as connection:
                dispatch(connection, None, "track_segment", (segment.name,))
        except BaseException:
            segment.close()
            segment.unlink()
            raise
        return segment
