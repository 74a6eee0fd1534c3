"""From the name of an arena to its directory.

Each name is a directory in the user's place. The place is `$SCAMEM_DIR`, else
`$XDG_RUNTIME_DIR/scamem`, else `/dev/shm/scamem-<uid>`. A name with a slash, or a path object, is
the path of the directory itself.

A login shell has XDG_RUNTIME_DIR and a cron job does not, so two processes of one user may have
different places. `elsewhere` finds an arena of the same name in the other one.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import warnings
from typing import Final

from scamem.errors import ArenaRefusedError

from . import system
from .files import check_trust

CONTROL: Final = "control"
NAME_LENGTH_MAX: Final = 100
NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
CHOSEN: Final = "SCAMEM_DIR"
RUNTIME: Final = "XDG_RUNTIME_DIR"

Name = str | os.PathLike[str]


def as_text(name: object) -> str:
    """Return an arena's name as text. A path object is always a path, even without a slash.

    Raises
    ------
    TypeError : it is neither text nor a path.
    """
    if isinstance(name, str):
        return name
    path: object = os.fspath(name) if isinstance(name, os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(
            f"asked for an arena called {name!r}; a name is a str, or a path such as pathlib.Path"
        )
    return path if "/" in path else f"./{path}"


def place() -> str:
    """Return the directory of this user's named arenas; it exists while there are any.

    Raises
    ------
    ArenaRefusedError : it is a link, belongs to another user, or is open to others; or it would be
        made in another user's runtime directory, and that user could not use their own arenas.
    """
    chosen = os.environ.get(CHOSEN)
    if not chosen:
        _check_runtime()
    directory = os.path.abspath(chosen) if chosen else default_place()
    with contextlib.suppress(FileNotFoundError):
        check_trust(directory, os.lstat(directory), directory=True)
    if chosen:
        _warn_unless_tmpfs(directory)
    return directory


def is_chosen() -> bool:
    """Tell whether the environment sets the place of arenas."""
    return bool(os.environ.get(CHOSEN))


def default_place() -> str:
    """Return the place if the environment does not set one. Nothing is checked."""
    runtime = _runtime()
    return f"{runtime}/scamem" if runtime else f"/dev/shm/scamem-{os.geteuid()}"


def _runtime() -> str:
    """Return the runtime directory of this session, or "" if it has none."""
    runtime = os.environ.get(RUNTIME)
    return os.path.abspath(runtime) if runtime and os.path.isdir(runtime) else ""


def _check_runtime() -> None:
    """Refuse another user's runtime directory, which `sudo -E` and `su` pass on."""
    runtime = _runtime()
    if not runtime:
        return
    found = os.stat(runtime)
    shared = found.st_uid == 0 and found.st_mode & stat.S_ISVTX  # as /tmp is
    if found.st_uid != os.geteuid() and not shared:
        raise ArenaRefusedError(
            f"{RUNTIME} is {runtime}, which belongs to user {found.st_uid}, and this process is "
            f"user {os.geteuid()} (sudo -E and su keep the variable). Unset {RUNTIME}, or set "
            f"{CHOSEN} to a directory of your own",
            path=runtime,
            reason="owner",
        )


def elsewhere(name: str) -> str:
    """Return where this user has an arena of this name in another default place, or "".

    The default places are the runtime directory of this session, the one that a login of this user
    would have, and the one below /dev/shm. Paths are the same for everybody.
    """
    if "/" in name:
        return ""
    uid = os.geteuid()
    own = os.path.realpath(os.environ.get(CHOSEN) or default_place())
    for other in (default_place(), f"/run/user/{uid}/scamem", f"/dev/shm/scamem-{uid}"):
        directory = os.path.join(other, name)
        if os.path.realpath(other) != own and _is_own(other):
            if os.path.lexists(os.path.join(directory, CONTROL)):
                return directory
    return ""


def _is_own(directory: str) -> bool:
    try:
        found = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def why_here() -> str:
    """Return which setting determines this process's place."""
    if is_chosen():
        return f"{CHOSEN} is set"
    return f"{RUNTIME} is set" if _runtime() else f"{RUNTIME} is not set"


def locate(name: str) -> str:
    """Return the directory of the arena called `name`, whether or not it exists.

    A name with a slash is a path; it warns if the path is not on tmpfs.

    Raises
    ------
    ValueError : the name is empty, too long, or has characters that names may not have.
    ArenaRefusedError : as `place`.
    """
    if "/" in name:
        directory = os.path.abspath(name)
        _warn_unless_tmpfs(os.path.dirname(directory))
        return directory
    if len(name) > NAME_LENGTH_MAX or not NAME.fullmatch(name):
        raise ValueError(
            f"asked for an arena called {name!r}; a name has 1 to {NAME_LENGTH_MAX} letters, "
            "digits, '.', '_' or '-' and does not begin with a dot; or it is a path with a slash"
        )
    return os.path.join(place(), name)


def _warn_unless_tmpfs(directory: str) -> None:
    try:
        volatile = system.is_on_tmpfs(directory)
    except OSError:
        return  # it does not exist: opening or making it reports that
    if not volatile:
        warnings.warn(
            f"{directory} is not on tmpfs: the kernel will write every used frame to disk, and "
            "the arena will survive a reboot. Choose a directory below /dev/shm, or mount a "
            "tmpfs",
            RuntimeWarning,
            stacklevel=4,
        )
