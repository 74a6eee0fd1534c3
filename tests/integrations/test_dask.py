"""Dask on two hosts: handles between workers of one, Dask's comms between hosts, nothing left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="dask is not installed (make lane-integrations)")

from tests.integrations.cluster import LENGTH, STEPS

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).resolve().parent.parent.parent
SUM = LENGTH * (LENGTH - 1) / 2
# Dask drops replicas that nobody needs, every two seconds.
KEEP_REPLICAS = "DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__START"
FIRST = "10.213.0.1"
SECOND = "10.213.0.2"


def ip(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ip", *words], check=False, capture_output=True, **options)


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the command ip (iproute2)")
    names = (f"scamem-{os.getpid()}-1", f"scamem-{os.getpid()}-2")
    if ip("netns", "add", names[0]).returncode:
        pytest.skip("this kernel or container allows no network namespaces")
    ip("netns", "add", names[1])
    try:
        cable = ("link", "add", "eth0", "netns", names[0], "type", "veth", "peer", "name", "eth0")
        assert ip(*cable, "netns", names[1]).returncode == 0
        for name, address in zip(names, (FIRST, SECOND), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                assert ip("-n", name, "link", "set", link, "up").returncode == 0
        yield names
    finally:
        for name in names:
            ip("netns", "del", name)


@pytest.fixture(scope="module")
def seen(hosts: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program of cluster.py saw, step by step."""
    place = tmp_path_factory.mktemp("dask")
    program = str(Path(__file__).with_name("cluster.py"))
    ended = subprocess.run(
        ["ip", "netns", "exec", hosts[0], sys.executable, program, hosts[1], FIRST, str(place)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), KEEP_REPLICAS: "False"},
        timeout=280,
    )
    log = (place / "log").read_text() if (place / "log").exists() else ""
    assert ended.returncode == 0, f"{ended.stderr}\n{log[-8000:]}"
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert set(found) == {*STEPS, "alone"}
    return found


def test_each_host_has_one_arena(seen: dict[str, Any]) -> None:
    a, b, c, d, client = seen["arenas"]
    assert a == b == client
    assert c == d
    assert a != c


def test_peers_of_a_host_share_and_hosts_do_not(seen: dict[str, Any]) -> None:
    sums, moved = seen["peers"]
    assert sums == [SUM] * 4
    assert moved["b"][1] == 1  # from a, who made it
    assert moved["a"][0] + moved["b"][0] == 1  # c was sent it by value
    assert moved["c"][1] + moved["d"][1] == moved["c"][0] + moved["d"][0] <= 1


def test_broadcast_reaches_all(seen: dict[str, Any]) -> None:
    held, sums, _ = seen["broadcast"]
    assert held == 4
    assert sums == [float(LENGTH)] * 4


def test_a_client_on_the_host_is_a_peer(seen: dict[str, Any]) -> None:
    assert seen["direct"] == [1, float(LENGTH), True]


def test_each_worker_has_its_own_copy(seen: dict[str, Any]) -> None:
    assert seen["own_copies"] == [-10.0, 45.0]


def test_pickled_buffers_are_shared(seen: dict[str, Any]) -> None:
    assert seen["frames"] == [[SUM + LENGTH] * 4, True]


def test_spilled_values_come_back(seen: dict[str, Any]) -> None:
    assert seen["spilled"] == [SUM, True, [SUM] * 4]


def test_rechunked(seen: dict[str, Any]) -> None:
    import numpy as np

    square = np.arange(1 << 20).reshape(1 << 10, 1 << 10)
    assert seen["rechunked"] == float((square * square).sum())


def test_a_worker_retires(seen: dict[str, Any]) -> None:
    assert seen["retired"] == [float(LENGTH)] * 3


def test_a_worker_is_killed_and_its_successor_joins(seen: dict[str, Any]) -> None:
    assert seen["killed"] == [SUM, True, 1]


def test_nothing_is_left(seen: dict[str, Any]) -> None:
    assert (seen["left"], seen["alone"]) == (0, 0)
