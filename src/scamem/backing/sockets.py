"""Descriptors over a Unix socket: how a process in another pid namespace gets an arena's files.

State. A socket file, whose mode bits say who may connect (write permission, as for every Unix
socket). Whoever connects gets one message: {MAGIC, the arena's id}, with the descriptors of its
files. The server reads nothing, so a client that hangs or dies cannot hold it up: the message fits
into the socket's buffer.

Why safe: a receiver compares the id, and what the control file says of the frame files, with what
it got. The socket of a process that was killed stays as a file that nobody listens to; the next
server at the path replaces it. A file that is no socket, or one with a listener, is left alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
from array import array
from collections.abc import Iterator
from typing import Final

from scamem.errors import (
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRefusedError,
    ArenaUnreachableError,
)

MAGIC: Final = b"scamem\x01\n"
TIMEVAL: Final = struct.Struct("@ll")
MESSAGE: Final = struct.Struct("<8s16s")
DESCRIPTORS_MAX: Final = 3  # control file, frames, huge frames
BACKLOG: Final = 64
PATH_BYTES_MAX: Final = 107  # of sun_path
TIMEOUT_S: Final = 10.0


def checked_path(path: str | os.PathLike[str]) -> str:
    """Return a socket's path; ValueError if the kernel takes no path of this length."""
    text = os.fspath(path)
    if not 0 < len(os.fsencode(text)) <= PATH_BYTES_MAX:
        raise ValueError(
            f"asked for a socket at {text!r}; its path has {len(os.fsencode(text))} bytes, and the "
            f"kernel takes 1 to {PATH_BYTES_MAX}. Use a shorter one"
        )
    return text


def listen(path: str, mode: int) -> socket.socket:
    """Return a listening socket at a path, with these mode bits from the start.

    Raises
    ------
    ArenaExistsError : another process serves there, or something else is at the path.
    OSError : the directory does not exist, or cannot be written.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        os.fchmod(made.fileno(), mode)  # bind() makes the file with these bits, less the umask
        with _one_at_a_time(path):
            try:
                made.bind(path)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                _remove_abandoned(path)
                made.bind(path)
            os.chmod(path, mode)
            made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


@contextlib.contextmanager
def _one_at_a_time(path: str) -> Iterator[None]:
    """Keep other servers out of a directory, by a flock that ends with the process.

    A socket that is bound but does not listen yet looks like one whose server has ended.
    """
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _remove_abandoned(path: str) -> None:
    """Remove a socket that nobody listens to.

    Raises
    ------
    ArenaExistsError : it is something else.
    """
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise ArenaExistsError(f"{path} exists, and is no socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINPROGRESS, errno.EPROTOTYPE):
                raise
    raise ArenaExistsError(
        f"another process serves at {path}; choose another path, or let it close its arena"
    )


def answer(listener: socket.socket, arena_id: bytes, descriptors: list[int]) -> None:
    """Accept one client, and send it the descriptors. A client that is gone is no error."""
    with contextlib.suppress(BlockingIOError, ConnectionError, BrokenPipeError):
        client, _ = listener.accept()
        with client:
            client.setblocking(False)
            if descriptors:
                socket.send_fds(client, [MESSAGE.pack(MAGIC, arena_id)], descriptors)


def _received(client: socket.socket) -> tuple[bytes, list[int]]:
    """Return a message and its descriptors, which no program started meanwhile inherits.

    Not socket.recv_fds(), which ignores its flags.
    """
    room = socket.CMSG_LEN(DESCRIPTORS_MAX * array("i").itemsize)
    data, extra, _, _ = client.recvmsg(MESSAGE.size + 1, room, socket.MSG_CMSG_CLOEXEC)
    found = array("i")
    for level, kind, numbers in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(numbers[: len(numbers) // found.itemsize * found.itemsize])
    return data, list(found)


def receive(path: str) -> tuple[bytes, list[int]]:
    """Return the id of the arena that is served at a path, and descriptors of its files.

    Raises
    ------
    ArenaNotFoundError : nobody serves there.
    ArenaRefusedError : the socket's mode bits keep this user out, or another program listens.
    ArenaUnreachableError : the server did not answer.

    Ownership: the descriptors are the caller's.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        # Not settimeout(): a connect that does not block fails at once while the backlog is full.
        limit = TIMEVAL.pack(int(TIMEOUT_S), int(TIMEOUT_S % 1 * 1e6))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        try:
            client.connect(path)
            data, descriptors = _received(client)
        except (FileNotFoundError, NotADirectoryError):
            raise ArenaNotFoundError(
                f"there is no socket at {path}; let a member of the arena serve there: "
                "arena.serve(path)"
            ) from None
        except ConnectionRefusedError:
            raise ArenaNotFoundError(
                f"nobody serves at {path}: the process that did has ended. Let another member call "
                "arena.serve(path)"
            ) from None
        except PermissionError:
            raise ArenaRefusedError(
                f"asked to join the arena served at {path}; the mode bits of the socket, or of a "
                "directory above it, keep this user out. See arena.serve(path, mode=)",
                path=path,
                reason="mode",
            ) from None
        except BlockingIOError:
            raise ArenaUnreachableError(
                f"asked to join the arena served at {path}; the process that serves did not answer "
                f"within {TIMEOUT_S:g} s. It may be stopped; continue it, or let another serve"
            ) from None
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            data, descriptors = b"", []
    if len(data) == MESSAGE.size and MESSAGE.unpack(data)[0] == MAGIC and len(descriptors) > 1:
        return MESSAGE.unpack(data)[1], descriptors
    for descriptor in descriptors:
        os.close(descriptor)
    raise ArenaRefusedError(
        f"what listens at {path} sent no arena: it is another program, another version of scamem, "
        "or a member that was closing. Serve at a path of its own",
        path=path,
        reason="socket",
    )
