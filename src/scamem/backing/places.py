"""Where named arenas live, and how they are made, found, listed and removed.

An arena's name is a directory of its own, with the files `control` and `frames`, in the user's
place: `$SCAMEM_DIR`, else `$XDG_RUNTIME_DIR/scamem`, else `/dev/shm/scamem-<uid>`. A name with a
slash is the path of a given directory. Nothing is believed of a directory before it is ours: no
link, mode 0700.

Making is atomic for others: the files are made and filled in a temporary directory beside, which
then is renamed. A maker that is killed leaves the temporary directory; it holds a `flock` on it
while it lives, so the next maker removes it when that lock is free.

The place itself is made by the first maker, and goes with the last arena in it, unless it was
chosen by `$SCAMEM_DIR`. Why safe: a directory with anything in it cannot be removed, and in one
that was removed nothing can be made. So a maker opens the place, sees whose it is, and makes its
temporary directory *in what it has opened*: that fails if another removed the place in between,
and then it begins again; once it has succeeded the place stays. By path alone, somebody else's
directory could be under the name between the look and the making.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import struct
import time
import warnings
from collections.abc import Iterator
from typing import Final

from scamem.errors import (
    ArenaBusyError,
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRefusedError,
    LockTimeoutError,
)

from . import slot_locks, system
from .files import DOOR_BYTE, SLOT_BYTES_AT, SharedFile, check_trust

CONTROL: Final = "control"
FRAMES: Final = "frames"
HUGE: Final = "huge"
FILES: Final = frozenset((CONTROL, FRAMES, HUGE))
TEMPORARY: Final = ".scamem-tmp-"
NAME_LENGTH_MAX: Final = 100
FLOCK: Final = struct.Struct("@hhqqi")  # of Linux on 64-bit machines
DOOR_NAP_S: Final = 0.001
DOOR_NAP_S_MAX: Final = 0.05  # a signal is answered within this

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def place() -> str:
    """Directory of this user's named arenas; it is there while there are any.

    Raises
    ------
    ArenaRefusedError : it is a link, another user's, or open to others.
    """
    given = os.environ.get("SCAMEM_DIR")
    directory = os.path.abspath(given) if given else _own_place()
    with contextlib.suppress(FileNotFoundError):
        check_trust(directory, os.lstat(directory), directory=True)
    if given:
        _warn_unless_tmpfs(directory)
    return directory


def _own_place() -> str:
    """The place where nobody chose one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):
        return os.path.join(runtime, "scamem")
    return f"/dev/shm/scamem-{os.geteuid()}"


def _leave(parent: str) -> None:
    """Remove the place with its last arena, if that is where this one was and nobody chose it."""
    if not os.environ.get("SCAMEM_DIR") and parent == _own_place():
        with contextlib.suppress(OSError):  # there are others in it, or it is gone
            os.rmdir(parent)


def locate(name: str) -> str:
    """Directory of the arena called `name`, whether or not it exists.

    A name with a slash is a path; it warns where that is not on tmpfs.

    Raises
    ------
    ValueError : the name is empty, too long, or has characters that names may not have.
    """
    if "/" in name:
        directory = os.path.abspath(name)
        _warn_unless_tmpfs(os.path.dirname(directory))
        return directory
    if len(name) > NAME_LENGTH_MAX or not _NAME.fullmatch(name):
        raise ValueError(
            f"asked for an arena called {name!r}; a name has 1 to {NAME_LENGTH_MAX} letters, "
            "digits, '.', '_' or '-' and does not begin with a dot; or it is a path with a slash"
        )
    return os.path.join(place(), name)


def _warn_unless_tmpfs(directory: str) -> None:
    try:
        volatile = system.is_on_tmpfs(directory)
    except OSError:
        return  # not there: who makes or opens it will say so
    if not volatile:
        warnings.warn(
            f"{directory} is not on tmpfs: the kernel will write every touched frame to the disk, "
            "and the arena will survive a reboot. Choose a directory below /dev/shm, or mount a "
            "tmpfs",
            RuntimeWarning,
            stacklevel=4,
        )


class NewArena:
    """The files of an arena that others cannot see yet.

    Attributes
    ----------
    directory : where they are being made.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._files: list[SharedFile] = []

    def create(self, file_name: str, size: int) -> SharedFile:
        """Make one of the arena's files; its `path` becomes the final one with the arena's name.

        Ownership: the file is the caller's.
        """
        if file_name not in FILES:
            raise ValueError(f"an arena has no file {file_name!r}, only {sorted(FILES)}")
        made = SharedFile.create(os.path.join(self.directory, file_name), size)
        self._files.append(made)
        return made

    def move(self, directory: str) -> None:
        """Note the final directory in every file."""
        for file in self._files:
            file.path = os.path.join(directory, file.label)


@contextlib.contextmanager
def creating(name: str) -> Iterator[NewArena]:
    """Make a named arena: what is made and written inside the block appears at once at its end.

    An exception in the block, or death, leaves nothing under the name.

    Raises
    ------
    ArenaExistsError : the name is taken, now or when the block ends.
    ArenaRefusedError : the place is not ours.
    """
    directory = locate(name)
    if os.path.lexists(directory):
        raise _exists(name, directory)
    parent = os.path.dirname(directory)
    _sweep(parent)
    temporary, lock = _make_temporary(parent, made="/" not in name)
    try:
        arena = NewArena(temporary)
        yield arena
        try:
            os.rename(temporary, directory)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise _exists(name, directory) from None
        arena.move(directory)
    except BaseException:
        _delete(temporary)
        _leave(parent)
        raise
    finally:
        os.close(lock)


def _exists(name: str, directory: str) -> ArenaExistsError:
    return ArenaExistsError(
        f"asked to create the arena {name!r}; {directory} exists. Join it, choose another name, or "
        f"remove it (scamem rm --whole --arena {name})"
    )


def _open_parent(parent: str, made: bool) -> int:
    """Open the directory that an arena is to be in; the user's place is `made`, others must be."""
    while True:  # bound: once more only where another removed the place just now
        if made:
            with contextlib.suppress(FileExistsError):
                os.makedirs(parent, mode=0o700)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (os.O_NOFOLLOW if made else 0)
        try:
            folder = os.open(parent, flags)
        except FileNotFoundError:
            if made:
                continue
            raise ArenaNotFoundError(
                f"the directory {parent} does not exist; make it first"
            ) from None
        if made:
            try:
                check_trust(parent, os.fstat(folder), directory=True)
            except BaseException:
                os.close(folder)
                raise
        return folder


def _make_temporary(parent: str, made: bool) -> tuple[str, int]:
    """A directory beside, and the descriptor that holds its lock."""
    while True:  # bound: once more only where another removed the place, or this directory
        folder = _open_parent(parent, made)
        name = TEMPORARY + secrets.token_hex(8)
        temporary = os.path.join(parent, name)
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileNotFoundError:
            continue
        finally:
            os.close(folder)
        lock = -1
        try:
            lock = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.isdir(temporary):
                return temporary, lock
        except (FileNotFoundError, BlockingIOError):
            pass  # another maker took it for a dead one's: make another
        except BaseException:
            _delete(temporary)
            if lock >= 0:
                os.close(lock)
            raise
        if lock >= 0:
            os.close(lock)


def _sweep(parent: str) -> None:
    """Remove what killed makers and removers left."""
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return
    for name in names:
        if not name.startswith(TEMPORARY):
            continue
        path = os.path.join(parent, name)
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile, or not ours
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _delete(path)
        except OSError:
            continue  # its maker lives
        finally:
            os.close(lock)


def _delete(directory: str) -> None:
    """Delete a temporary directory with an arena's files; nothing else is touched."""
    with contextlib.suppress(FileNotFoundError):
        for name in FILES:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))
        os.rmdir(directory)


def directory_of(name: str) -> str:
    """Directory of an existing arena, after a look at who made it.

    Raises
    ------
    ArenaNotFoundError : there is none of this name.
    ArenaRefusedError : it is a link, another user's, or open to others.
    """
    directory = locate(name)
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        raise ArenaNotFoundError(
            f"asked for the arena {name!r}; {directory} does not exist. Create it "
            f"(Arena.open joins or creates); {len(list_arenas())} other arenas are in {place()}"
        ) from None
    check_trust(directory, found, directory=True)
    return directory


def open_file(name: str, file_name: str) -> SharedFile:
    """Open one file of an existing arena; see `directory_of` and `SharedFile.open` for errors."""
    return SharedFile.open(os.path.join(directory_of(name), file_name))


def list_arenas() -> list[str]:
    """Names of the arenas in this user's place, sorted; given directories are not known here."""
    directory = place()
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(
        name
        for name in names
        if _NAME.fullmatch(name) and os.path.lexists(os.path.join(directory, name, CONTROL))
    )


def remove(name: str) -> None:
    """Remove an arena's name and files. Members that have joined go on, unseen by newcomers.

    Raises
    ------
    ArenaNotFoundError : there is none of this name.
    ArenaRefusedError : not ours, or it holds something that is no file of an arena.
    """
    directory = directory_of(name)
    strangers = set(os.listdir(directory)) - FILES
    if strangers:
        raise ArenaRefusedError(
            f"asked to remove the arena {name!r}; {directory} also holds {sorted(strangers)[:3]}, "
            "which no arena has; nothing was removed. Look at it yourself",
            path=directory,
            reason="type",
        )
    # Renamed first: a creator of the same name never meets a half removed arena.
    gone = os.path.join(os.path.dirname(directory), TEMPORARY + secrets.token_hex(8))
    os.rename(directory, gone)
    _delete(gone)
    _leave(os.path.dirname(directory))


def boot_id() -> int:
    """The 128-bit number of this boot: slots and locks of another boot are nobody's."""
    with open("/proc/sys/kernel/random/boot_id") as text:
        return int(text.read().strip().replace("-", ""), 16)


@contextlib.contextmanager
def door(file: SharedFile, timeout_s: float) -> Iterator[None]:
    """Be alone with a file: creation, checks and recovery after a reboot run behind its door.

    Like a slot's lock it is kept by a page that no fork copies and no `closerange` takes away; the
    kernel opens the door when its holder dies. It is not reentrant.

    Raises
    ------
    LockTimeoutError : another living process was inside for `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    nap_s = DOOR_NAP_S
    while True:
        try:
            page = slot_locks.hold_byte(file.descriptor(), file.device, file.inode, DOOR_BYTE)
            break
        except BlockingIOError:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise LockTimeoutError(
                    f"waited {timeout_s:g} s at the door of {file.path or file.label}; another "
                    "process is inside and alive, perhaps stopped. Let it go on, or end it"
                ) from None
            time.sleep(min(nap_s, left_s))
            nap_s = min(2 * nap_s, DOOR_NAP_S_MAX)
    try:
        yield
    finally:
        slot_locks.let_go(page)


@contextlib.contextmanager
def without_members(file: SharedFile, slots: int) -> Iterator[None]:
    """Lock every slot's byte at once: nobody is a member, and nobody becomes one in the block.

    For care that is done in the file, behind the door. Whoever wants to join meanwhile finds no
    free slot. The kernel unlocks when the process dies.

    Raises
    ------
    ArenaBusyError : some slot has a living member.
    """
    fd = slot_locks.open_again(file.descriptor(), file.device, file.inode)
    try:
        wanted = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, SLOT_BYTES_AT, slots, 0)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, wanted)
        except BlockingIOError:
            raise ArenaBusyError(
                f"asked for {file.path or file.label} without members; processes have joined it. "
                "End them first (scamem stat lists them)"
            ) from None
        yield
    finally:
        os.close(fd)
