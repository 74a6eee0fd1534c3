"""Read a file into scattered frames, send them through a socket, and write them to a file.

Python copies nothing, and the frames are never mapped contiguously.
"""

import multiprocessing
import os
import socket
import tempfile
from pathlib import Path

import numpy as np

import scamem

CAPACITY = 32 << 20
SIZE = 8 << 20


def receive(sock: socket.socket, path: Path) -> None:
    """Receive into frames of this process's own arena, and write those to a file."""
    with scamem.Arena.create(capacity=CAPACITY) as arena:
        with arena.alloc(SIZE) as obj, obj.pin() as pin, open(path, "wb", buffering=0) as file:
            pin.recv_into(sock)
            pin.write_to(file)


def main() -> None:
    """Read, send, receive and write; then read the file as an array."""
    folder = Path(tempfile.mkdtemp())
    np.save(folder / "in.npy", np.arange(SIZE // 8))
    with scamem.Arena.create(capacity=CAPACITY) as arena:
        pieces = [arena.alloc(4096) for _ in range(CAPACITY // 4096)]
        del pieces[::2]  # no two free frames side by side
        obj = arena.alloc(SIZE)
        here, there = socket.socketpair()
        peer = multiprocessing.get_context("spawn").Process(
            target=receive, args=(there, folder / "out")
        )
        peer.start()
        with obj.pin() as pin, open(folder / "in.npy", "rb", buffering=0) as file:
            print(f"{pin.nbytes:,} bytes in {len(pin.iovec()):,} runs")
            print(f"read {pin.read_from(file, offset=128):,}, sent {pin.send(here):,}")
        peer.join()
        obj.close()
        pieces.clear()
        x = arena.from_file(folder / "out", dtype=np.int64)
        print("the same:", bool((x == np.arange(SIZE // 8)).all()))
        del x
        print(len(arena.objects()), "objects left")
    here.close()
    there.close()
    for name in ("in.npy", "out"):
        os.unlink(folder / name)
    folder.rmdir()


if __name__ == "__main__":
    main()
