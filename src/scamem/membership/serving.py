"""Serve an arena at a Unix socket, so that processes in other pid namespaces can join it.

State. One thread for each process that serves, with all of its listening sockets. It starts with
the first and ends with the last. A process's death ends it; the socket's file stays, and is
replaced by the next server (backing/sockets.py).

Why one thread is enough: it waits for nobody. It accepts a client, sends one message that fits into
the socket's buffer, and closes.

fork: the child serves nothing: it has no such thread, and closes its copies of the sockets.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import socket
import threading
import time
from typing import Self

from scamem.backing import sockets
from scamem.backing.files import SharedFile
from scamem.core.store import header as headers
from scamem.core.store import layout as L
from scamem.errors import ArenaRefusedError, ScamemError

from .files import Files, read_header
from .seat import Seat, Seated

ID_BYTES = 16
OTHERS = 0o077  # the permission bits of group and others
PAUSE_S = 0.1  # after an accept that failed for lack of descriptors


class Serving:
    """An arena that is served at a socket; see `Arena.serve`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> with arena.serve("my-arena") as serving:
    ...     serving.path.endswith("/my-arena")
    True

    Attributes
    ----------
    path : of the socket.

    It ends with `close`, a `with` block, the arena's `close`, or the process.
    """

    def __init__(self, seat: Seat, path: str, listener: socket.socket) -> None:
        self.path = os.path.abspath(path)
        self._seat = seat
        self._listener = listener
        found = os.lstat(path)
        self._file = found.st_dev, found.st_ino

    def close(self) -> None:
        """Stop serving, and remove the socket. A second call does nothing."""
        with _server.lock:
            if not _server.forget(self._listener):
                return
        self._listener.close()
        self.remove()

    def remove(self) -> None:
        """Remove the socket, if it is still this one."""
        with contextlib.suppress(OSError):
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == self._file:
                os.unlink(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Serving {self._seat!r} at {self.path}>"

    def answer(self) -> None:
        """Send the arena's descriptors to the next client."""
        seat = self._seat
        files = [seat.control, seat.frames, *([] if seat.huge is None else [seat.huge])]
        try:
            descriptors = [file.descriptor() for file in files] if seat.is_usable() else []
        except ScamemError:
            descriptors = []  # the client is told that it got nothing
        sockets.answer(self._listener, seat.id_bytes, descriptors)


class _Server:
    """The thread that serves, and what it serves."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.served: dict[int, Serving] = {}  # by the listener's descriptor
        self._thread: threading.Thread | None = None
        self._selector: selectors.BaseSelector | None = None
        self._wake = -1

    def add(self, one: Serving) -> None:
        """Serve one more; start the thread if it does not run."""
        with self.lock:
            if self._selector is None:
                self._selector = selectors.DefaultSelector()
                self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                self._selector.register(self._wake, selectors.EVENT_READ)
            self._selector.register(one._listener, selectors.EVENT_READ)
            self.served[one._listener.fileno()] = one
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="scamem-serve", daemon=True)
                try:
                    thread.start()  # it waits for the lock before it looks at what is served
                except BaseException:
                    self.served.pop(one._listener.fileno())
                    self._end()
                    raise
                self._thread = thread

    def forget(self, listener: socket.socket) -> bool:
        """Serve one less; return False if it was not served. Needs: the lock."""
        if listener.fileno() < 0 or self.served.pop(listener.fileno(), None) is None:
            return False
        if self._selector is not None:
            self._selector.unregister(listener)
            os.eventfd_write(self._wake, 1)
        return True

    def _run(self) -> None:
        while True:
            selector = self._selector
            if selector is None:
                return
            ready = [key.fd for key, _ in selector.select()]
            with self.lock:
                if not self.served:
                    self._end()
                    return
                if self._wake in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.eventfd_read(self._wake)
                chosen = [self.served[fd] for fd in ready if fd in self.served]
            for one in chosen:
                try:
                    one.answer()
                except OSError:
                    time.sleep(PAUSE_S)  # too many open files, or it was just closed

    def _end(self) -> None:
        """Close what the thread used. Needs: the lock."""
        if self._selector is not None:
            self._selector.close()
            os.close(self._wake)
        self._selector = None
        self._thread = None

    def after_fork_in_child(self) -> None:
        """Close the child's copies; the parent goes on serving."""
        for one in self.served.values():
            one._listener.close()
        self.served = {}
        self.lock = threading.RLock()
        self._end()


_server = _Server()
atexit.register(lambda: stop(None))
os.register_at_fork(after_in_child=_server.after_fork_in_child)


def stop(seat: Seat | None) -> None:
    """Stop serving an arena, or all of them."""
    for one in list(_server.served.values()):
        if seat is None or one._seat is seat:
            one.close()


def serve(arena: Seated, path: str | os.PathLike[str], *, mode: int = 0o600) -> Serving:
    """Serve the arena at a Unix socket: processes join it by `Arena.join(socket=path)`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> serving = arena.serve("my-arena")
    >>> scamem.Arena.join(socket="my-arena") is arena    # in another process: a member of its own
    True
    >>> arena.close()

    This reaches processes in other pid namespaces and containers, for anonymous arenas too. A
    daemon thread of this process serves until the arena is closed, or the process ends; members
    that joined stay.

    Parameters
    ----------
    path : of the socket, at most 107 bytes. The socket of a process that has ended is replaced.
    mode : its permission bits: who has write permission can join, and then write to all of the
        arena. 0o600: this user.

    Returns
    -------
    Serving : with `close()`, or for a `with` statement.

    Raises
    ------
    ArenaExistsError : another process serves there, or the path is something else.
    ValueError : the path is too long. OSError : it cannot be made there.

    Threads: any. fork: the child does not serve.
    """
    seat = arena._seat
    seat.check_open()
    text = sockets.checked_path(path)
    listener = sockets.listen(text, mode)
    made = None
    try:
        made = Serving(seat, text, listener)
        _server.add(made)
    except BaseException:
        listener.close()
        if made is not None:
            made.remove()
        raise
    return made


def _opened(path: str, descriptor: int) -> SharedFile:
    """Open a received file. One that only its owner may open need not be sealed."""
    try:
        found = os.fstat(descriptor)
        sealed = found.st_mode & OTHERS != 0 or found.st_uid != os.geteuid()
        return SharedFile.from_descriptor(descriptor, sealed=sealed)
    except PermissionError:
        raise ArenaRefusedError(
            f"asked to join the arena served at {path}; it is a named arena of another user, and "
            "only its user can open its files. Let that user serve an anonymous arena",
            path=path,
            reason="owner",
        ) from None


def receive(path: str | os.PathLike[str]) -> Files:
    """Return the files of the arena that is served at a path. Ownership: the caller's.

    Raises
    ------
    ArenaNotFoundError, ArenaRefusedError, ArenaUnreachableError : as `sockets.receive`; or the
        files are not those of the arena.
    """
    text = sockets.checked_path(path)
    arena_id, descriptors = sockets.receive(text)
    found: list[SharedFile] = []
    try:
        for descriptor in descriptors:  # one by one: a failure closes those before
            found.append(_opened(text, descriptor))  # noqa: PERF401 - likewise
        words = read_header(found[0])
        identities = [(file.device, file.inode) for file in found[1:]]
        expected = [(words[L.HEADER_FRAMES_DEVICE], words[L.HEADER_FRAMES_INODE])]
        if words[L.HEADER_HUGE_INODE]:
            expected.append((words[L.HEADER_HUGE_DEVICE], words[L.HEADER_HUGE_INODE]))
        same = headers.arena_id(words).to_bytes(ID_BYTES, "little") == arena_id
        if not same or identities != expected:
            raise ArenaRefusedError(
                f"what is served at {text} is not one arena: its files do not belong together. "
                "Let the process that serves close its arena, and serve again",
                path=text,
                reason="files",
            )
    except BaseException:
        for file in found:
            file.close()
        raise
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return Files(*found)
