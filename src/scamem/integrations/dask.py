"""Dask: arrays and other large buffers move between workers of one host as handles.

`register(client)` is all that is needed. Between hosts, and to and from the scheduler, everything
travels by Dask's own comms.

State. The workers of a host (and the client, if it runs there) are members of one anonymous arena,
their default arena. The scheduler knows for each host which worker is in which arena: `Hosts`.

Steps. A worker that starts asks the scheduler for the arenas of its host and joins the first that
it can reach; else it offers its own. Each connection begins with Dask's handshake, to which a
member adds the number of its arena. A sender whose receiver named the same arena sends each large
buffer as a handle; the receiver gets a copy-on-write view of it (twins.py).

Why safe: only a process that has joined an arena names it, so what it is sent it can load. The
scheduler names none: it passes on messages without reading them, also to other hosts. Spilling
serializes without a receiver, so by value. A worker that is killed drops what it holds, as any
member does, and the arena ends with its last member. A handle whose message is never read keeps
its object for the arena's grace; then memory that is needed is taken back.
"""

from __future__ import annotations

import os
from typing import Any

from distributed.comm.core import Comm
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from distributed.protocol.serialize import families, register_serialization_family
from distributed.utils import ensure_memoryview

from scamem.arena import Arena
from scamem.defaults import adopt, default
from scamem.errors import OutOfMemoryError, ScamemError, TooManyLoansError, TooScatteredError
from scamem.handles.handle import pack_prefix, unpack_prefix
from scamem.membership import joined

from .twins import Twins

NAME = "scamem"  # of the plugins, of the word in a handshake, and of the one in a message's header
FAMILIES = ("dask", "pickle")
THRESHOLD_BYTES = 256 << 10
BY_VALUE = (OutOfMemoryError, TooScatteredError, TooManyLoansError)

_twins = Twins()
_plain: dict[str, Any] = {}  # the serialization families as they were, while this module's are used
_plain_handshake = Comm.handshake_info
_threshold = THRESHOLD_BYTES
_counts = {"sent": 0, "received": 0}


def register(client: Any, threshold: int = THRESHOLD_BYTES) -> None:
    """Let the workers of each host share large buffers, and those that start later, too.

        client = distributed.Client(...)
        scamem.integrations.dask.register(client)

    Parameters
    ----------
    client : a distributed.Client, not an asynchronous one. scamem must be installed where the
        scheduler and the workers run.
    threshold : bytes; smaller buffers travel as before.

    Values keep their meaning: each worker has its own, and may write to it. What a worker writes is
    copied then, page by page (4 KiB). Call it again to set another threshold.
    """
    client.register_plugin(Hosts(), name=f"{NAME}-hosts")
    client.register_plugin(Sharing(threshold), name=NAME)
    client.sync(_join_as_client, client, threshold)
    client.run(_renew_connections)


def unregister(client: Any) -> None:
    """Undo `register`: workers send by value again. What was received stays valid."""
    client.unregister_worker_plugin(NAME)
    client.unregister_scheduler_plugin(f"{NAME}-hosts")
    _restore()


def counts() -> dict[str, int]:
    """Return how many buffers this process has sent and received as handles; see `Client.run`."""
    return dict(_counts)


def host() -> str:
    """Return what the processes have in common that count as one host.

    They run on the same kernel, in the same network and pid namespaces, for the same user: two
    containers on one machine are two hosts.
    """
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    spaces = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "pid")]
    return " ".join((boot, *spaces, str(os.geteuid())))


class Hosts(SchedulerPlugin):  # type: ignore[misc]  # Dask has no types
    """What the scheduler knows: which member is where, and in which arena."""

    name = f"{NAME}-hosts"

    def __init__(self) -> None:
        self.arenas: dict[str, dict[str, bytes]] = {}  # host: member's address: its arena

    async def start(self, scheduler: Any) -> None:
        """Answer members from now on."""
        scheduler.handlers["scamem_members"] = self.members

    def members(self, host: str, member: str, arena: bytes) -> list[bytes]:
        """Note a member's arena, and return those of its host, oldest first."""
        there = self.arenas.setdefault(host, {})
        there[member] = arena
        return list(there.values())

    def remove_worker(self, scheduler: Any, worker: str, **_about: Any) -> None:  # noqa: ARG002
        """Forget a worker that has left."""
        for there in self.arenas.values():
            there.pop(worker, None)


class Sharing(WorkerPlugin):  # type: ignore[misc]  # Dask has no types
    """What a worker does when it starts: it joins the arena of its host."""

    name = NAME

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold

    async def setup(self, worker: Any) -> None:
        """Join, and send handles from now on."""
        await _join(worker.scheduler, worker.address)
        _install(self.threshold)

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - Dask's
        """Send by value from now on."""
        _restore()


async def _join_as_client(client: Any, threshold: int) -> None:
    await _join(client.scheduler, client.id)
    _install(threshold)
    client.rpc.collect()


async def _join(scheduler: Any, member: str) -> None:
    """Join the arena of this host, or offer this process's own."""
    own = default()
    there = await _tell(scheduler, member, own)
    for address in there:
        try:
            seat = joined.reach(unpack_prefix(bytes(address)))
        except (OSError, ScamemError):
            continue  # its process has ended, or may not be looked at
        if seat is not own._seat:
            await _tell(scheduler, member, adopt(seat))
        return


async def _tell(scheduler: Any, member: str, arena: Arena) -> list[bytes]:
    found: list[bytes] = await scheduler.scamem_members(
        host=host(), member=member, arena=pack_prefix(arena._seat.address())
    )
    return found


async def _renew_connections(dask_worker: Any) -> None:
    """Close connections that are not in use: their handshakes name no arena."""
    dask_worker.rpc.collect()


def _handshake_info(self: Comm) -> dict[str, Any]:
    """Add this process's arena to a handshake, unless it passes messages on without reading."""
    found: dict[str, Any] = _plain_handshake(self)
    if self.deserialize:
        found[NAME] = f"{default().arena_id:032x}"
    return found


def _install(threshold: int) -> None:
    global _threshold
    _threshold = threshold
    if _plain:
        return
    for name in FAMILIES:
        _plain[name] = families[name]
        register_serialization_family(name, _dumps_of(name), _loads_of(name))
    Comm.handshake_info = _handshake_info


def _restore() -> None:
    """Send by value again. Handles that are under way can still be read."""
    if _plain:
        Comm.handshake_info = _plain_handshake
    for name in FAMILIES:
        if name in _plain:
            register_serialization_family(name, _plain[name][0], _loads_of(name))


def _dumps_of(name: str) -> Any:
    dumps, _, _ = _plain[name]

    def dumps_shared(x: Any, context: Any = None) -> Any:
        header, frames = dumps(x, context=context)
        arena = _common_arena(context)
        if arena is None:
            return header, frames
        frames = list(frames)
        shared = []
        for at, frame in enumerate(frames):
            buffer = ensure_memoryview(frame)
            if buffer.nbytes >= _threshold:
                try:
                    frames[at] = _twins.handle_of(arena, buffer, x)
                except BY_VALUE:
                    continue
                shared.append((at, not buffer.readonly))
        if shared:
            header[NAME] = shared
            _counts["sent"] += len(shared)
        return header, frames

    return dumps_shared


def _loads_of(name: str) -> Any:
    _, loads, _ = _plain[name]

    def loads_shared(header: dict[str, Any], frames: list[Any]) -> Any:
        shared = header.get(NAME, ())
        if shared:
            frames = list(frames)
            for at, writable in shared:
                frames[at] = _twins.view_of(bytes(frames[at]), writable)
            _counts["received"] += len(shared)
        return loads(header, frames)

    return loads_shared


def _common_arena(context: Any) -> Arena | None:
    """Return the arena that sender and receiver have both joined; None if there is none."""
    there = (context or {}).get("recipient", {}).get(NAME)
    if there is None:
        return None
    arena = default()
    return arena if there == f"{arena.arena_id:032x}" else None
