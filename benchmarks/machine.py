"""The machine that the figures come from."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path

import scamem

PACKAGES = ("numpy", "lmdb", "iceoryx2", "ray")


def facts() -> dict[str, str]:
    """Return the facts that identify the machine, its load and the time."""
    found = {
        "scamem": scamem.__version__,
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "commit": _commit(),
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "an empty loop's turn": empty_loop(),
        "shmem huge pages": _text("/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def empty_loop() -> str:
    """Return the time of one turn of an empty Python loop: it shows how busy the machine is."""
    times = []
    for _ in range(51):
        start = time.perf_counter_ns()
        for _ in range(10_000):
            pass
        times.append((time.perf_counter_ns() - start) / 10_000)
    return f"fastest {min(times):.1f} ns, median {sorted(times)[25]:.1f} ns"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _first(path: str, key: str) -> str:
    for line in _text(path).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"


def status_bytes(key: str) -> int:
    """Return a size from /proc/self/status, in bytes."""
    return int(_first("/proc/self/status", key).split()[0]) * 1024
