"""Reaching an anonymous arena's file from a handle, through a process that has it open.

A memfd has no name to open, but each open descriptor of it has one: `/proc/<pid>/fd/<n>`. A handle
carries (pid, descriptor) of several members. Pids and descriptor numbers are reused, so a file that
is found is compared with (device, inode), and then the caller compares the arena's id.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from scamem.errors import ArenaRefusedError, ArenaUnreachableError

from .files import SharedFile, descriptor_links

WAYS_OUT = (
    "What to do: use a named arena (Arena.create(name), or SCAMEM_ARENA=name for every process); "
    "pass on the descriptor (fork, or pass_fds); load the handle while a member lives, as the same "
    "user and in the same pid namespace; or join first, by a socket at which a member serves "
    "(arena.serve(path), Arena.join(socket=path))"
)


def reach(
    candidates: Sequence[tuple[int, int]],
    *,
    device: int,
    inode: int,
    verify: Callable[[SharedFile], str | None],
    label: str = "",
) -> SharedFile:
    """Open a file that other processes have open, through any of them that can be reached.

    Tried in order: this process's own descriptors (inherited ones), the candidates' descriptors,
    then every descriptor of the candidates' processes.

    Parameters
    ----------
    candidates : (pid, descriptor) pairs, best first.
    device, inode : the identity of the file.
    verify : checks the content of a file (the arena's id); returns what is wrong with it, or None.
    label : the name of the file in messages, if its own cannot be seen.

    Raises
    ------
    ArenaUnreachableError : none reached it; says what was tried, why each failed, what to do.

    Ownership: the caller owns the file; files that `verify` rejected are closed.
    """
    tried: list[str] = []
    for pid, descriptor in _paths(candidates, device, inode, tried):
        whose = "inherited descriptor" if pid is None else f"process {pid}, descriptor"
        try:
            file = SharedFile.from_descriptor(descriptor, pid=pid, label=label)
        except (OSError, ArenaRefusedError) as error:
            tried.append(f"{whose} {descriptor}: {_reason(pid, error)}")
            continue
        if (file.device, file.inode) != (device, inode):
            problem: str | None = "it is another file now"
        else:
            problem = verify(file)
        if not problem:
            return file
        file.close()
        tried.append(f"{whose} {descriptor}: {problem}")
    attempts = "; ".join(tried) if tried else "no descriptor of it is known"
    raise ArenaUnreachableError(
        f"asked to join the arena {label or f'(file {device}:{inode})'}; no member could be "
        f"reached: {attempts}. {WAYS_OUT}",
        tried=tuple(tried),
    )


def _paths(
    candidates: Sequence[tuple[int, int]], device: int, inode: int, tried: list[str]
) -> Iterator[tuple[int | None, int]]:
    own = os.getpid()
    inherited = list(matching(own, device, inode))
    if not inherited:
        tried.append("inherited descriptors: none of this process's is the file")
    for descriptor in inherited:
        yield None, descriptor
    others = [(pid, descriptor) for pid, descriptor in candidates if pid != own]
    yield from others
    named = set(others)
    for pid in dict.fromkeys(pid for pid, _ in others):
        for descriptor in matching(pid, device, inode):
            if (pid, descriptor) not in named:  # renumbered: that process got the file again
                yield pid, descriptor


def matching(pid: int, device: int, inode: int) -> Iterator[int]:
    """Yield a process's descriptor numbers of the file (device, inode); nothing is opened."""
    for link in descriptor_links(pid):
        try:
            found = os.stat(link)
        except OSError:
            continue  # closed meanwhile
        if (found.st_dev, found.st_ino) == (device, inode):
            yield int(os.path.basename(link))


def labelled(pid: int, prefix: str) -> list[tuple[int, str]]:
    """Return a process's memfds with this label prefix, as (descriptor, label); none if it is gone.

    This is how a child of multiprocessing finds its parent's default arena.
    """
    found: list[tuple[int, str]] = []
    for link in descriptor_links(pid):
        try:
            target = os.readlink(link)
        except OSError:
            continue  # closed meanwhile
        label = target.removeprefix("/memfd:").removesuffix(" (deleted)")
        if target.startswith("/memfd:") and label.startswith(prefix):
            found.append((int(os.path.basename(link)), label))
    return sorted(found)


def _reason(pid: int | None, error: Exception) -> str:
    if isinstance(error, ArenaRefusedError) or pid is None:
        return str(error)
    if isinstance(error, PermissionError):
        return "not permitted (another user's process, or one that is not dumpable)"
    state = _state(pid)
    if state is None:
        return "no such process here (it has exited, or is in another pid namespace)"
    if state in "ZX":
        return "the process has exited (a zombie has no descriptors)"
    if isinstance(error, FileNotFoundError):
        return "it no longer has this descriptor"
    return str(error)


def _state(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as text:
            return text.read().rpartition(b") ")[2][:1].decode()
    except OSError:
        return None
