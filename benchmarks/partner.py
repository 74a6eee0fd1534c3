"""The second process of a benchmark."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from . import peers
from .peers import PEERS, Peer


def receive_all(pipe: Connection, name: str, address: Any, whole: bool) -> None:
    """Receive lists of tokens until None arrives; answer each with the seconds for a token."""
    peers.reads_all = whole
    peer = next(peer for peer in PEERS if peer.name == name)
    receiver = peer.receiver(address)
    pipe.send("ready")
    while (tokens := pipe.recv()) is not None:
        start = time.perf_counter_ns()
        for token in tokens:
            receiver.get(token)
        pipe.send((time.perf_counter_ns() - start) / len(tokens) / 1e9)
    receiver.close()
    pipe.send("closed")


@contextlib.contextmanager
def process_of(target: Any, *args: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """Start a process with one end of a pipe; kill it at the end if it still runs."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.join(5 if process.exitcode is None else None)
        process.kill()
        process.join()
        ours.close()


@contextlib.contextmanager
def receiver_of(peer: Peer, address: Any, *, whole: bool = False) -> Iterator[Connection]:
    """Start a receiver in a process of its own; `whole`: it reads all bytes."""
    with process_of(receive_all, peer.name, address, whole) as (_, pipe):
        pipe.recv()
        yield pipe
        pipe.send(None)
        pipe.recv()
