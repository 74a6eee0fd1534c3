"""Booting under QEMU: an initramfs of one program, its lines read from the serial port."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .building import Image
from .sources import BUILD, MissingError, key

QEMU = "qemu-system-x86_64"
MEMORY = "3G"  # 2 GiB below 4 GiB: DMA and DMA32 of node 0; 1 GiB above: Normal of node 1
LIMIT_S = 900.0
TROUBLE = re.compile(
    r"BUG:|kernel BUG at|KASAN|WARNING:|Oops|general protection|Kernel panic|rcu_.*stall"
)


class BootError(Exception):
    """The kernel did not come to its end; the text is the end of the console."""


@dataclass
class Boot:
    """What one boot said."""

    console: list[str] = field(default_factory=list)
    seconds: float = 0.0
    accelerator: str = ""
    deadly: str = ""
    """The scenario, if any, that may end in a panic."""

    def lines(self, mark: str) -> list[str]:
        """Lines of the lab's program with this mark, without it."""
        return [line[len(mark) :].strip() for line in self.console if line.startswith(mark)]

    def trouble(self) -> list[str]:
        """What the kernel complained of."""
        return [line for line in self.console if TROUBLE.search(line)]


def initramfs(program: Path) -> Path:
    """A cpio archive (newc) with /init and two devices, so that no root is needed to make it."""
    entries = [
        ("dev", 0o040755, b"", (0, 0)),
        ("dev/console", 0o020600, b"", (5, 1)),
        ("dev/null", 0o020666, b"", (1, 3)),
        ("init", 0o100755, program.read_bytes(), (0, 0)),
        ("TRAILER!!!", 0, b"", (0, 0)),
    ]
    path = BUILD / "lab" / "initramfs.cpio"
    path.write_bytes(b"".join(_entry(i, *entry) for i, entry in enumerate(entries)))
    return path


def _entry(inode: int, name: str, mode: int, data: bytes, device: tuple[int, int]) -> bytes:
    text = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(text), 0)
    head = b"070701" + b"".join(b"%08x" % value for value in fields) + text
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def command(image: Image, initrd: Path, append: str, accelerator: str) -> list[str]:
    """The machine: two CPUs, two nodes, a serial line, no disk, no network."""
    return [
        QEMU, "-machine", f"q35,accel={accelerator}", "-cpu", "max", "-smp", "2", "-m", MEMORY,
        "-object", "memory-backend-ram,id=low,size=2G",
        "-object", "memory-backend-ram,id=high,size=1G",
        "-numa", "node,nodeid=0,cpus=0,memdev=low", "-numa", "node,nodeid=1,cpus=1,memdev=high",
        "-kernel", str(image.bzimage), "-initrd", str(initrd),
        "-append", f"console=ttyS0 quiet panic=-1 {append}",
        "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
    ]  # fmt: skip


def boot(
    image: Image,
    initrd: Path,
    append: str,
    accelerator: str,
    limit_s: float = LIMIT_S,
    deadly: str = "",
) -> Boot:
    """Boot, and read the console up to the lab's last line, or to a panic of a deadly scenario.

    Raises
    ------
    BootError : it ended without that line, or took longer than `limit_s`.
    """
    begun = time.monotonic()
    result = Boot(accelerator=accelerator, deadly=deadly)
    with subprocess.Popen(
        command(image, initrd, append, accelerator),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            for line in _lines(process, begun + limit_s):
                result.console.append(line)
                if line.startswith("@@ ") and sys.stderr.isatty():
                    print(f"\r  {line[3:70]:<70}", end="", file=sys.stderr, flush=True)
                if line.startswith("@done"):
                    break
        finally:
            process.kill()
    result.seconds = time.monotonic() - begun
    if not result.lines("@done") and not (deadly and result.trouble()):
        tail = "\n".join(result.console[-30:])
        raise BootError(f"no end after {result.seconds:.0f} s with {append!r}:\n{tail}")
    return result


def _lines(process: subprocess.Popen[bytes], until: float) -> Iterator[str]:
    assert process.stdout is not None
    waiting = selectors.DefaultSelector()
    waiting.register(process.stdout, selectors.EVENT_READ)
    held = b""
    while time.monotonic() < until:
        if not waiting.select(timeout=1.0):
            continue
        piece = os.read(process.stdout.fileno(), 65536)
        if not piece:
            return
        *whole, held = (held + piece).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")


def accelerator(image: Image, initrd: Path) -> str:
    """kvm if this kernel boots with it, else tcg; the answer is kept.

    Raises
    ------
    kernel.sources.MissingError : QEMU is not installed.
    """
    if shutil.which(QEMU) is None:
        raise MissingError(f"no {QEMU}; install it: apt-get install qemu-system-x86")
    kept = BUILD / "accelerator"
    wanted = key(image.key, str(os.access("/dev/kvm", os.W_OK)))
    if kept.exists() and kept.read_text().split() == [wanted, kept.read_text().split()[-1]]:
        return kept.read_text().split()[-1]
    found = "tcg"
    if os.access("/dev/kvm", os.W_OK):
        try:
            boot(image, initrd, "lab_only=none", "kvm", limit_s=30.0)
            found = "kvm"
        except BootError:
            found = "tcg"
    kept.write_text(f"{wanted} {found}")
    return found
