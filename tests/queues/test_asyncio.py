"""Queues and topics in asyncio: one thread, and no item is lost by a cancellation."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import scamem
from scamem import Arena
from tests.death.nursery import Nursery
from tests.queues import bodies

WAIT_S = 60.0


def threads() -> int:
    return sum(thread.name == "scamem-queues" for thread in threading.enumerate())


def test_aget_waits_for_aput(arena: Arena) -> None:
    jobs = arena.queue(maxsize=2)

    async def produce() -> None:
        for k in range(50):
            await jobs.aput(k)
        jobs.close()

    async def consume() -> list[Any]:
        return [value async for value in jobs]

    async def both() -> list[list[Any]]:
        async with asyncio.timeout(WAIT_S):
            tasks = [asyncio.create_task(consume()) for _ in range(5)]
            await produce()
            assert threads() <= 1
            return list(await asyncio.gather(*tasks))

    found = asyncio.run(both())
    assert sorted(value for part in found for value in part) == list(range(50))


def test_cancellation_loses_no_item(arena: Arena) -> None:
    jobs = arena.queue()

    async def cancel_many() -> list[Any]:
        got: list[Any] = []
        for k in range(100):
            waiting = [asyncio.create_task(jobs.aget()) for _ in range(3)]
            await asyncio.sleep(0)
            jobs.put(k)
            if k % 2:
                await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            got += [one for one in results if not isinstance(one, asyncio.CancelledError)]
        return got

    got = asyncio.run(cancel_many())
    while not jobs.empty():
        got.append(jobs.get())
    assert sorted(got) == list(range(100))


def test_leases(arena: Arena) -> None:
    jobs = arena.queue()

    async def work() -> None:
        jobs.put("work")
        lease = await jobs.aget(lease=True)
        lease.give_back()
        async with asyncio.timeout(WAIT_S):
            with await jobs.aget(lease=True) as lease:
                assert (lease.value, lease.attempts) == ("work", 2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await jobs.aget()

    asyncio.run(work())
    assert jobs.unfinished == 0


def test_a_topic(arena: Arena) -> None:
    topic = arena.topic(history=2, policy="block")
    readers = [topic.subscribe() for _ in range(3)]

    async def publish() -> None:
        for k in range(20):
            await topic.apublish(k)
        topic.close()

    async def read(reader: Any) -> list[Any]:
        return [value async for value in reader]

    async def all_of_it() -> list[list[Any]]:
        async with asyncio.timeout(WAIT_S):
            tasks = [asyncio.create_task(read(reader)) for reader in readers]
            await publish()
            return list(await asyncio.gather(*tasks))

    assert asyncio.run(all_of_it()) == [list(range(20))] * 3


def test_another_process_puts_and_a_consumer_dies(named: Arena, nursery: Nursery) -> None:
    """What the dead one had leased comes to the task that waits; nobody else reaps."""
    jobs = named.queue("jobs")

    async def wait_for_it() -> Any:
        async with asyncio.timeout(WAIT_S):
            return await jobs.aget()

    with nursery.start(bodies.put_arrays, named.path, 1) as producer:
        assert asyncio.run(wait_for_it())[0] == 0
        producer.wait()
    jobs.put("work")
    with nursery.start(bodies.lease_and_wait, named.path, 1) as victim:
        assert victim.hear() == ["work"]
        victim.kill()
    assert asyncio.run(wait_for_it()) == "work"


def test_two_arenas(arena: Arena) -> None:
    async def both(*queues: Any) -> list[Any]:
        async with asyncio.timeout(WAIT_S):
            tasks = [asyncio.create_task(one.aget()) for one in queues]
            await asyncio.sleep(0)
            for k, one in enumerate(queues):
                one.put(k)
            return list(await asyncio.gather(*tasks))

    with scamem.Arena.create(capacity="64M") as other:
        assert asyncio.run(both(arena.queue(), other.queue())) == [0, 1]
