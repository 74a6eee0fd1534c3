"""Where named arenas live, and how they are made, found, listed and removed.

An arena is a directory, which `naming` finds by its name, with the files `control` and `frames`.
A directory is trusted only if it is ours: no link, mode 0700.

Making. The files are made and filled in a temporary directory beside the final one, which is then
renamed. The name may already be an empty directory (a volume's directory, or the rest of a removed
arena): rename(2) replaces it in the same step if it is still empty, and fails if it is not. So
others see nothing, or an empty directory, and from one moment on a whole arena. Of two makers, the
second finds a directory that is not empty. A maker that is killed leaves the temporary directory.
It holds a `flock` on it while it lives, so the next maker removes it when that lock is free. A
mount point cannot be replaced, and a directory with anything else in it is not ours to fill: both
are refused, never waited for.

Finding. No arena: nothing is there, or an empty directory. Any other directory without both files
is refused. So `open`, which joins or makes, tries again only if another process made or removed an
arena meanwhile. The two files must be of one arena: after the second was opened, the path must
still lead to the first.

Removing. The directory is renamed away, then deleted. Members continue with what they have, and
`is_still_there` tells them that new processes cannot find them.

The first maker makes the place itself. The place goes with the last arena in it, unless
`$SCAMEM_DIR` chose it. Why safe: a directory with anything in it cannot be removed, and nothing can
be made in one that was removed. So a maker opens the place, checks its owner, and makes its
temporary directory *in what it has opened*. This fails if another process removed the place in
between, and the maker starts again; once it has succeeded, the place stays. By path alone, another
user's directory could be under the name between the check and the making.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from typing import Final

from scamem.errors import (
    ArenaBusyError,
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRefusedError,
    ArenaRemovedError,
    BlindError,
    LockTimeoutError,
)

from . import slot_locks
from .files import DOOR_BYTE, SLOT_BYTES_AT, SharedFile, check_trust
from .naming import CONTROL, NAME, default_place, elsewhere, is_chosen, locate, place, why_here
from .system import read_text
from .text import counted

FRAMES: Final = "frames"
HUGE: Final = "huge"
FILES: Final = frozenset((CONTROL, FRAMES, HUGE))
TEMPORARY: Final = ".scamem-tmp-"
FLOCK: Final = struct.Struct("@hhqqi")  # of Linux on 64-bit machines
DOOR_NAP_S: Final = 0.001
DOOR_NAP_S_MAX: Final = 0.05  # a signal is handled within this time

_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_UNWRITABLE: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


def _leave(parent: str) -> None:
    """Remove the place with its last arena, if `parent` is the place and nobody chose it."""
    if not is_chosen() and parent == default_place():
        with contextlib.suppress(OSError):  # it is not empty, or it is gone
            os.rmdir(parent)


class NewArena:
    """The files of an arena that others cannot see yet.

    Attributes
    ----------
    directory : the directory in which they are made.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._files: list[SharedFile] = []

    def create(self, file_name: str, size: int) -> SharedFile:
        """Make one of the arena's files; its `path` becomes final when the arena gets its name.

        Ownership: the caller owns the file.
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
    """Make a named arena: everything made inside the block appears at once at its end.

    An empty directory of ours under the name is replaced. An exception in the block, or death,
    leaves nothing.

    Raises
    ------
    ArenaExistsError : the name is taken, now or when the block ends.
    ArenaRefusedError : the place is not ours, or the name is neither an arena nor an empty
        directory of ours; or the name exists in another default place of this user.
    """
    directory = locate(name)
    _check_free(name, directory)
    parent = os.path.dirname(directory)
    _sweep(parent)
    temporary, lock = _make_temporary(parent, made="/" not in name)
    try:
        arena = NewArena(temporary)
        yield arena
        try:
            os.rename(temporary, directory)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise _mount_point(directory) from None
            if error.errno not in _TAKEN:
                raise
            _check_free(name, directory)
            raise _exists(name, directory) from None
        arena.move(directory)
    except BaseException:
        _delete(temporary)
        _leave(parent)
        raise
    finally:
        os.close(lock)


def _check_free(name: str, directory: str) -> None:
    """Check that an arena can be made there: nothing exists, or an empty directory of ours."""
    other = "" if is_chosen() else elsewhere(name)
    if other:
        raise ArenaRefusedError(
            f"asked to create the arena {name!r} in {os.path.dirname(directory)} "
            f"({why_here()}), but {other} is already an arena of this name, and processes in the "
            f"two would share nothing. Set SCAMEM_DIR={os.path.dirname(other)} for every process, "
            f"or give the path, or remove that arena (scamem rm --whole --arena {other})",
            path=other,
            reason="place",
        )
    try:
        check_trust(directory, os.lstat(directory), directory=True)
        there = set(os.listdir(directory))
    except FileNotFoundError:
        return
    if there >= {CONTROL, FRAMES}:
        raise _exists(name, directory)
    if os.path.ismount(directory):
        raise _mount_point(directory)
    if there:
        raise _incomplete(name, directory, there)


def _exists(name: str, directory: str) -> ArenaExistsError:
    return ArenaExistsError(
        f"asked to create the arena {name!r}; {directory} exists. Join it, choose another name, or "
        f"remove it (scamem rm --whole --arena {name})"
    )


def _mount_point(directory: str) -> ArenaRefusedError:
    return ArenaRefusedError(
        f"asked to create an arena at {directory}; it is a mount point, and the directory of an "
        f"arena is created under another name first. Give a path below it: {directory}/arena",
        path=directory,
        reason="mount",
    )


def _incomplete(name: str, directory: str, there: set[str]) -> ArenaRefusedError:
    lacking = " and ".join(sorted({CONTROL, FRAMES} - there))
    advice = "Choose another path, or empty the directory"
    if there <= FILES:
        advice = f"Remove the rest of it: scamem rm --whole --force --arena {name}"
    return ArenaRefusedError(
        f"asked for the arena {name!r}; {directory} has {', '.join(sorted(there)[:3])} but no "
        f"{lacking}: it is not an arena, or an incomplete one. {advice}",
        path=directory,
        reason="incomplete",
    )


def _open_parent(parent: str, made: bool) -> int:
    """Open an arena's parent directory. The user's place is `made` if needed; others must exist."""
    while True:  # bound: again only if another process has just removed the place
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
                f"the directory {parent} does not exist; create it first"
            ) from None
        if made:
            try:
                check_trust(parent, os.fstat(folder), directory=True)
            except BaseException:
                os.close(folder)
                raise
        return folder


def _make_temporary(parent: str, made: bool) -> tuple[str, int]:
    """Make a temporary directory; return it, and the descriptor that holds its lock."""
    while True:  # bound: again only if another process removed the place, or this directory
        folder = _open_parent(parent, made)
        name = TEMPORARY + os.urandom(8).hex()
        temporary = os.path.join(parent, name)
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            raise ArenaRefusedError(
                f"asked to create an arena in {parent}, which this process cannot write to: "
                f"{error.strerror}. Choose another path, or set SCAMEM_DIR to another directory",
                path=parent,
                reason="mode",
            ) from error
        finally:
            os.close(folder)
        lock = -1
        try:
            lock = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.isdir(temporary):
                return temporary, lock
        except (FileNotFoundError, BlockingIOError):
            pass  # another maker took it for a dead maker's: make another
        except BaseException:
            _delete(temporary)
            if lock >= 0:
                os.close(lock)
            raise
        if lock >= 0:
            os.close(lock)


def _sweep(parent: str) -> None:
    """Remove the directories that killed makers and removers left."""
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
            continue  # its maker is alive
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
    """Return the directory of an existing arena, after checking who made it.

    Raises
    ------
    ArenaNotFoundError : there is no arena of this name.
    ArenaRefusedError : it is a link, belongs to another user, or is open to others.
    """
    directory = locate(name)
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        raise _missing(name, directory) from None
    check_trust(directory, found, directory=True)
    return directory


def _missing(name: str, directory: str, what: str = "does not exist") -> ArenaNotFoundError:
    text = f"asked for the arena {name!r}; {directory} {what}"
    other = elsewhere(name)
    if other:
        return ArenaNotFoundError(
            f"{text}. There is one at {other}: this process looks in {os.path.dirname(directory)} "
            f"({why_here()}). Set SCAMEM_DIR={os.path.dirname(other)} for every process, or give "
            "the path"
        )
    text += ". Create it (Arena.open creates it, or joins it if it exists)"
    if "/" not in name:
        parent = os.path.dirname(directory)
        text += f"; {parent} has {counted(len(_arenas_in(parent)), 'other arena')}"
    return ArenaNotFoundError(text)


def open_file(name: str, file_name: str) -> SharedFile:
    """Open one file of an existing arena.

    Raises
    ------
    ArenaNotFoundError : there is no arena of this name.
    ArenaRefusedError : as `directory_of` and `SharedFile.open`, or the directory lacks a file.
    """
    while True:  # bound: again only if the arena was just made or removed
        directory = directory_of(name)
        try:
            return SharedFile.open(os.path.join(directory, file_name))
        except ArenaNotFoundError:
            pass
        try:
            there = set(os.listdir(directory))
        except FileNotFoundError:
            continue
        if not there:
            raise _missing(name, directory, "is an empty directory")
        if not there >= {CONTROL, FRAMES}:
            raise _incomplete(name, directory, there)


def open_files(name: str) -> tuple[SharedFile, SharedFile]:
    """Open the control file and the frames of one existing arena; errors as `open_file`.

    Ownership: the caller owns both files.
    """
    while True:  # bound: again only if the arena was just replaced
        control = open_file(name, CONTROL)
        try:
            frames = open_file(name, FRAMES)
            if is_still_there(control):
                return control, frames
        except BaseException:
            control.close()
            raise
        control.close()
        frames.close()


def is_still_there(control: SharedFile) -> bool:
    """Tell whether new processes still find the arena of this control file under its path.

    False if its directory was deleted, or replaced by another arena. A process that cannot see the
    path any more (chroot, another mount namespace) checks whether the file still has a name.

    Cost: one lstat.
    """
    if control.path is None:
        return True
    found = slot_locks.leads_to(os.fsencode(control.path), control.device, control.inode)
    if found >= 0:
        return bool(found)
    try:
        return os.fstat(control.descriptor()).st_nlink > 0
    except (OSError, BlindError):
        return False


def check_still_there(control: SharedFile) -> None:
    """Raise ArenaRemovedError if new processes find another arena, or none, under the path."""
    if not is_still_there(control):
        directory = os.path.dirname(control.path or "")
        raise ArenaRemovedError(
            f"the arena {directory} was removed while this process was in it: other processes "
            "cannot find it. Objects that this process holds stay usable. To share with others, "
            "open the name again (Arena.open), and publish there"
        )


def list_arenas() -> list[str]:
    """Return the arenas in this user's place, sorted; arenas given by a path are not known here."""
    return _arenas_in(place())


def _arenas_in(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(
        name
        for name in names
        if NAME.fullmatch(name) and os.path.lexists(os.path.join(directory, name, CONTROL))
    )


def remove(name: str) -> None:
    """Remove an arena's name and files. Members that have joined continue; new ones cannot join.

    Raises
    ------
    ArenaNotFoundError : there is no arena of this name.
    ArenaRefusedError : not ours, or it contains something that is not a file of an arena.
    """
    directory = directory_of(name)
    strangers = set(os.listdir(directory)) - FILES
    if strangers:
        raise ArenaRefusedError(
            f"asked to remove the arena {name!r}; {directory} also contains "
            f"{sorted(strangers)[:3]}, which no arena has. Nothing was removed; look there first",
            path=directory,
            reason="type",
        )
    # Renamed first, so that a creator of the same name never finds a half-removed arena.
    gone = os.path.join(os.path.dirname(directory), TEMPORARY + os.urandom(8).hex())
    os.rename(directory, gone)
    _delete(gone)
    _leave(os.path.dirname(directory))


def boot_id() -> int:
    """Return the 128-bit id of this boot: slots and locks of another boot belong to nobody."""
    return int(read_text("/proc/sys/kernel/random/boot_id").strip().replace("-", ""), 16)


@contextlib.contextmanager
def door(file: SharedFile, timeout_s: float) -> Iterator[None]:
    """Exclude other processes from a file: creation, checks and recovery after a reboot use it.

    Like a slot's lock, the door is kept by a page that no fork copies and no `closerange` closes.
    The kernel opens the door when its holder dies. It is not reentrant.

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
                    f"waited {timeout_s:g} s for exclusive use of {file.path or file.label}; "
                    "a living process has it, perhaps a stopped one. Let it continue, or end it"
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

    For maintenance of the file, behind the door. A process that wants to join meanwhile finds no
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
