"""The demo from beginning to end; each step shows what it did, and fails if it does not hold."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from scamem.arena import Arena
from scamem.arrays.array import Array
from scamem.arrays.place import locate
from scamem.backing.text import counted, sized
from scamem.looks.objects import Holder
from scamem.membership.member import Hold
from scamem.objects.scamem import Scamem
from scamem.objects.spans import frames_of_runs

from ..listing import holder_text
from ..picture import caption, draw
from . import answer as answers
from . import segments, timing
from .crew import Crew, Worker
from .summary import Summary
from .table import DemoError, Table
from .worker import Done, Half, Task

HOLE_BYTES = 64 << 10
HOLES_MAX = 2048  # a view takes a mapping for each run; a process has 65,530 mappings
CAPACITY_BYTES_MIN = 256 << 20
CAPACITY_FACTOR = 8  # the worn part, and the columns of the timings once more
SHARES_A_WORKER = 2
LINES_MAX = 8
REAP_PATIENCE_S = 10.0
REAP_NAP_S = 0.001
COLUMN_STYLE = "green"
FILLER_STYLE = "bright_black"


@dataclass
class Story:
    """What the demo has, and what it found out.

    Attributes
    ----------
    facts : for `--json`.
    checks : what held.
    """

    arena: Arena
    table: Table
    console: Console
    facts: dict[str, Any] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    columns: dict[str, Array] = field(default_factory=dict)
    fillers: list[Scamem] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print a line; it may hold markup."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def head(self, text: str) -> None:
        """Begin a step."""
        self.say(f"\n[bold]{escape(text)}[/]")

    def hold(self, condition: object, text: str) -> None:
        """Note that something holds.

        Raises
        ------
        DemoError : it does not.
        """
        if not condition:
            raise DemoError(f"the demo failed; this is not true: {text}")
        self.checks.append(text)
        self.say(f"  [green]ok[/] {escape(text)}")


def tell(load: Callable[[], Table], console: Console, workers: int) -> dict[str, Any]:
    """Run the demo and return its facts.

    Parameters
    ----------
    load : reads the table.
    workers : processes to begin with, at least 2: one is killed.

    Raises
    ------
    DemoError : something does not hold; says what.
    """
    swept = segments.sweep()
    start = time.perf_counter()
    with console.status("reading the table"):
        table = load()
    seconds = time.perf_counter() - start
    capacity = max(CAPACITY_BYTES_MIN, CAPACITY_FACTOR * table.nbytes)
    with Arena.create(capacity=capacity) as arena:
        story = Story(arena, table, console)
        story.head(f"The data: {table.source}")
        story.say(
            f"  {table.rows:,} rows, {len(table.columns)} columns, {sized(table.nbytes)}; "
            f"read in {seconds:.2f} s"
        )
        if swept:
            left = counted(swept, "segment")
            story.say(f"  removed {left} that a killed demo had left in {segments.PLACE}")
        story.facts.update(source=table.source, rows=table.rows, bytes=table.nbytes)
        wear(story)
        share(story)
        with Crew(workers) as crew:
            total = work(story, crew)
            compare(story, total)
            story.fillers.clear()
            measure(story, crew)
        finish(story)
        story.say(f"\n[bold green]All {len(story.checks)} checks passed.[/]")
        story.facts["checks"] = story.checks
        return story.facts


def wear(story: Story) -> None:
    """Make the arena look as after days of work: no long run of free frames is left."""
    wanted = story.table.nbytes
    hole = max(HOLE_BYTES, -(-wanted // HOLES_MAX // HOLE_BYTES) * HOLE_BYTES)
    count = 2 * (wanted // hole + len(story.table.columns) + len(story.table.labels) + 1)
    objects = [story.arena.alloc(hole) for _ in range(count)]
    # What is left of the last section that came online is one long run: taken, and kept.
    left = story.arena.stats().longest_free_run * story.arena.frame_bytes // hole
    story.fillers = [*objects[::2], *(story.arena.alloc(hole) for _ in range(left))]
    del objects
    free = story.arena.stats().frames_free * story.arena.frame_bytes
    story.head("A worn arena")
    story.say(
        f"  {count:,} objects of {sized(hole)}, every second one freed: {sized(free)} free, "
        "in pieces"
    )


def share(story: Story) -> None:
    """Copy the columns, and the texts that they stand for, into what is free."""
    table, arena = story.table, story.arena
    sources: dict[str, NDArray[Any]] = dict(table.columns)
    sources.update({f"{name}.texts": texts for name, texts in table.labels.items()})
    with story.console.status("copying the columns"):
        story.columns = {name: arena.array(data) for name, data in sources.items()}
    runs = {name: len(runs_of(story, name)) for name in story.columns}
    story.head("Its columns on scattered memory")
    story.say(
        f"  {len(runs)} arrays in {sum(runs.values()):,} runs of frames; each is seen as one "
        "contiguous NumPy array"
    )
    grid = Grid(box=None, padding=(0, 2))
    for name in ("  column", "dtype"):
        grid.add_column(name)
    for name in ("size", "frames", "runs"):
        grid.add_column(name, justify="right")
    for name in table.needed:
        if name not in story.columns:
            continue
        column = story.columns[name]
        grid.add_row(
            f"  {escape(name)}",
            column.dtype.str[1:],
            sized(column.nbytes),
            f"{len(pages(story, name)):,}",
            f"{runs[name]:,}",
        )
    story.console.print(grid)
    for name, data in sources.items():
        if not np.array_equal(data.view(np.uint8), story.columns[name].view(np.uint8)):
            raise DemoError(f"the demo failed: column {name} is not what was copied")
    show_frames(story)
    story.hold(True, "every array holds what was copied, byte for byte")
    large = [name for name, data in sources.items() if data.nbytes > 2 * HOLE_BYTES]
    if large:
        story.hold(max(runs.values()) > 1, "arrays of several runs were made, since none was long")
    story.facts.update(arrays=len(runs), runs=sum(runs.values()))


def show_frames(story: Story) -> None:
    """Draw the arena's frames."""
    free = story.arena.free_bitmap()
    width = max(20, min(story.console.width - 4, 96))
    fillers = np.concatenate([np.empty(0, np.uint64), *(f.pages for f in story.fillers)])
    columns = np.concatenate([pages(story, name) for name in story.columns])
    parts = [(FILLER_STYLE, fillers), (COLUMN_STYLE, columns)]
    for line in draw(free, width, parts).split("\n"):
        story.console.print("  ", line, sep="", overflow="crop", no_wrap=True)
    story.say(
        f"  [{COLUMN_STYLE}]columns[/], [{FILLER_STYLE}]others[/], free; "
        + caption(free, width, story.arena.frame_bytes)
    )


def work(story: Story, crew: Crew) -> Summary:
    """Have the summary made by the workers, one of which is killed; return it."""
    table = story.table
    count = len(crew.workers)
    waiting = [
        timing.make_task(
            table, number, rows, lambda name, part: story.columns[name][part], report=True
        )
        for number, rows in enumerate(timing.shares(table.rows, SHARES_A_WORKER * count))
    ]
    total = Summary.empty(timing.groups(table), len(table.values))
    story.head(f"{count} worker processes (spawned), {len(waiting)} shares of the work")
    what = ", ".join(f"mean {name}" for name in table.values)
    story.say(f"  rows, {what} by {' and '.join(key.name for key in table.keys)}")
    sent: list[int] = []
    left = len(waiting)
    killed = False
    while left:
        for worker in crew.workers:
            if worker.task is None and waiting:
                sent += [crew.give(worker, waiting.pop(0))]
        for worker, said in crew.reports():
            if isinstance(said, Done):
                total.add(said.summary)
                left -= 1
            elif not killed:
                killed = True
                waiting.insert(0, kill(story, crew, worker, said))
            else:
                crew.go_on(worker)
    story.hold(killed, "a worker was killed in the middle of its share; another did it")
    mean = sum(sent) // len(sent)
    story.say(f"  {mean:,} bytes travelled for each share: handles of {len(table.needed)} slices")
    story.facts["handle_bytes_a_task"] = mean
    return total


def kill(story: Story, crew: Crew, worker: Worker, said: Half) -> Task:
    """Kill a worker at work, show that its references are reaped; return its task."""
    pid = worker.pid
    needed = [name for name in story.table.needed if name in story.columns]
    show_holders(story, needed, "Who holds what, while they work")
    before = {name: held_by(story, name, pid) for name in needed}
    counts = {name: refcount(story, name) for name in needed}
    story.hold(
        said.rows > 0 and all(before.values()),
        f"worker {pid} is at work ({said.rows:,} rows done) and holds {len(needed)} columns "
        f"by {sum(before.values())} references",
    )
    reaped = story.arena.stats().reaped_members
    task = crew.kill(worker)
    story.say(f"  [red]SIGKILL[/] to {pid}")
    deadline = time.monotonic() + REAP_PATIENCE_S
    story.arena.reap()
    while any(held_by(story, name, pid) for name in needed) and time.monotonic() < deadline:
        time.sleep(REAP_NAP_S)
        story.arena.reap()
    show_holders(story, needed, "Who holds what, after reaping")
    left = sum(held_by(story, name, pid) for name in needed)
    story.hold(
        left == 0 and story.arena.stats().reaped_members > reaped,
        f"the dead worker's {sum(before.values())} references are reaped, the columns are whole",
    )
    story.facts["killed"] = {
        "pid": pid,
        "rows_done": said.rows,
        "references": sum(before.values()),
        "refcounts_before": counts,
        "refcounts_after": {name: refcount(story, name) for name in needed},
    }
    return task


def show_holders(story: Story, names: list[str], title: str) -> None:
    """Print who holds some columns, as `scamem ls` does."""
    grid = Grid(box=None, padding=(0, 2), title=title, title_justify="left")
    grid.add_column("  column")
    grid.add_column("refcount", justify="right")
    grid.add_column("held by", overflow="fold")
    for name in names:
        found = holders(story, name)
        texts = [holder_text(holder) for holder in found if holder.count]
        grid.add_row(
            f"  {escape(name)}", str(sum(holder.count for holder in found)), "; ".join(texts)
        )
    story.console.print(grid)


def reference(story: Story, name: str) -> Hold:
    """Return the reference that keeps a column."""
    place = locate(story.columns[name])
    if place is None:
        raise DemoError(f"the demo failed: column {name} does not lie in the arena")
    return place.hold


def runs_of(story: Story, name: str) -> NDArray[np.uint64]:
    """Return a column's frames as runs of (first pfn, frames)."""
    found = story.arena._seat.member.runs(reference(story, name))
    return np.array(found, dtype=np.uint64).reshape(-1, 2)


def pages(story: Story, name: str) -> NDArray[np.uint64]:
    """Return a column's frames one by one."""
    return frames_of_runs(runs_of(story, name))


def holders(story: Story, name: str) -> list[Holder]:
    """Return who holds a column."""
    return story.arena.holders(reference(story, name).index)


def held_by(story: Story, name: str, pid: int) -> int:
    """Return how many references of a column a process has."""
    return sum(holder.count for holder in holders(story, name) if holder.pid == pid)


def refcount(story: Story, name: str) -> int:
    """Return a column's reference count."""
    return sum(holder.count for holder in holders(story, name))


def compare(story: Story, total: Summary) -> None:
    """Compare the answer with pandas, and show its largest groups."""
    table = story.table
    story.head("The answer, and pandas in one process")
    grid = Grid(box=None, padding=(0, 2))
    for key in table.keys:
        grid.add_column(f"  {escape(key.name)}")
    grid.add_column("rows", justify="right")
    for name in table.values:
        grid.add_column(f"mean {escape(name)}", justify="right")
    for first, *rest in answers.lines(total, table, LINES_MAX):
        grid.add_row(f"  {escape(first)}", *rest)
    story.console.print(grid)
    wrong = answers.differences(total, table)
    groups = int((total.rows > 0).sum())
    story.hold(
        not wrong,
        f"all {groups:,} groups are as pandas says" + "".join(f"; not {text}" for text in wrong),
    )
    story.facts["groups"] = groups


def measure(story: Story, crew: Crew) -> None:
    """Time the same work with the columns sent in other ways."""
    story.head(f"The same work, columns sent in other ways (median of {timing.ROUNDS}, warm)")
    with story.console.status("timing"):
        timings, missing = timing.compare(story.arena, crew, story.table)
    grid = Grid(box=None, padding=(0, 2))
    grid.add_column("  way")
    grid.add_column("time", justify="right")
    grid.add_column("through the pipe, a task", justify="right")
    for found in timings:
        style = "bold" if found.name.startswith("scamem") else ""
        grid.add_row(
            f"  {found.name}",
            f"{found.seconds * 1e3:.2f} ms",
            f"{found.task_bytes:,} bytes",
            style=style,
        )
    story.console.print(grid)
    if missing:
        story.say(f"  {missing}")
    story.facts["timings"] = {
        found.name: {"seconds": found.seconds, "bytes_a_task": found.task_bytes}
        for found in timings
    }


def finish(story: Story) -> None:
    """Let everything go, and see that the arena is empty."""
    story.columns.clear()
    story.fillers.clear()
    gc.collect()
    story.arena.reap(loans=True)
    found = story.arena.stats()
    story.head("The end: everything is let go of")
    story.say(
        f"  {found.objects} objects, {found.loans} loans, {found.frames_free:,} of "
        f"{found.frames_online:,} frames free, {len(found.members)} member"
    )
    story.hold(
        found.objects == 0 and found.loans == 0 and found.frames_free == found.frames_online,
        "the arena is empty",
    )
