"""Every transaction, crashed after each of its stores."""

import ast
import re
from collections.abc import Iterator

import pytest

from scamem.core.store import layout as L
from tests.explore import figures
from tests.explore.arena import Violation
from tests.explore.crash import Edge, Explorer, Report, Scenario
from tests.explore.interpreted import CORE, Core, not_interpreted
from tests.explore.loan_scenarios import SCENARIOS as LOANS
from tests.explore.move_scenarios import SCENARIOS as MOVES
from tests.explore.queue_scenarios import SCENARIOS as QUEUES
from tests.explore.scenarios import SCENARIOS
from tests.explore.section_scenarios import SCENARIOS as SECTIONS
from tests.explore.weak_scenarios import SCENARIOS as WEAK

# The largest number of stores of each transaction in these scenarios (8 frames, names of a word).
# A change here is a change of the protocol: read the module's argument again first.
STORES = {
    "alloc.describe": 3,
    "alloc.finish": 5,
    "alloc.one_run": 121,
    "alloc.reserve": 61,
    "alloc.small": 129,
    "alloc.take_run": 57,
    "clean.abort": 13,
    "clean.begin": 17,
    "clean.finish": 17,
    "clean.undescribe": 5,
    "configure.close": 8,
    "configure.make": 82,
    "dequeue.done": 30,
    "dequeue.expire": 50,
    "dequeue.give_back": 38,
    "dequeue.lease": 129,
    "dequeue.take": 138,
    "dequeue.task_done": 9,
    "broadcast.publish": 66,
    "broadcast.read": 66,
    "broadcast.subscribe": 57,
    "broadcast.unsubscribe": 30,
    "settle.step": 38,
    "fork.arrive": 9,
    "fork.begin": 26,
    "fork.copy": 50,
    "end.end_some": 97,
    "enqueue.put": 155,
    "hold.add": 1,
    "hold.defer": 3,
    "hold.first": 91,
    "hold.put_holder": 157,
    "hold.subtract": 1,
    "isolate.take": 49,
    "join.join": 26,
    "leave.leave": 5,
    "lend.cancel": 165,
    "lend.expire": 165,
    "lend.lend": 33,
    "lend.load": 97,
    "lend.reclaim": 57,
    "mark.mark": 5,
    "move.begin": 9,
    "move.cut": 49,
    "move.describe": 3,
    "move.exchange": 21,
    "move.graft": 89,
    "move.mark": 5,
    "online.abort": 9,
    "offline.begin": 77,
    "offline.finish": 13,
    "online.begin": 17,
    "online.extend_table": 5,
    "online.finish": 57,
    "populate.begin": 17,
    "populate.finish": 37,
    "publish.find": 1,
    "publish.publish": 193,
    "publish.unpublish": 130,
    "reap.begin": 9,
    "trim.begin": 73,
    "trim.finish": 13,
    "reap.step": 162,
}
ALL = [*SCENARIOS, *LOANS, *MOVES, *QUEUES, *SECTIONS, *WEAK]
NESTED_STRIDE = 20  # in `make test`; in `make explore`, each recovering member dies at every store

# Run within another transaction, or with the lock itself, and measured there.
PARTS = {
    "hold.drain": "hold.leave",
    "hold.drain_one": "hold.leave",
    "hold.recover_drain": "hold.leave",
    "hold.leave": "ends every transaction, and has a scenario of its own",
    "publish.read_area": "publish.find",
    "broadcast.drop_oldest": "broadcast.publish",
    "broadcast.end": "broadcast.unsubscribe",
    "dequeue.finish": "dequeue.done",
    "dequeue.put_back": "dequeue.give_back",
    "end.empty_one": "end.end_some",
    "enqueue.drop_oldest": "enqueue.put",
    "enqueue.finish_one": "dequeue.done",
    "free.free_some": "end.end_some",
    "items.new": "enqueue.put",
    "settle.settle": "settle.step",
}


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    """The totals of all scenarios, printed at the end."""
    report = Report()
    yield report
    figures.say(
        f"crash explorer: {report.operations} operations, {report.crash_points:,} crash points, "
        f"{report.nested:,} deaths of those who recover; each recovered and judged"
    )


def test_the_core_is_interpreted(core: Core) -> None:
    assert not_interpreted(core) == []


@pytest.mark.timeout(0)
@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_crash(scenario: Scenario, core: Core, report: Report, deep: bool) -> None:
    nested, stride = (2, 1) if deep else (1, NESTED_STRIDE)
    explorer = Explorer(core, scenario, report, nested, stride)
    try:
        explorer.explore()
    except Violation as error:
        raise Violation(f"{scenario.name}, {', then '.join(explorer.trace)}: {error}") from error


def called(module: str, function: ast.expr) -> str:
    """Return the name of a called function, as `module.function`."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return f"{module}.{function.id}" if isinstance(function, ast.Name) else ""


def transactions() -> set[str]:
    """Return every function in transactions/ that stores, or calls one there that does."""
    calls: dict[str, set[str]] = {}
    for path in sorted((CORE / "transactions").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            calls[f"{path.stem}.{node.name}"] = {
                called(path.stem, inner.func)
                for inner in ast.walk(node)
                if isinstance(inner, ast.Call)
            }
    ending = {"journal.commit", "store", "words.store"}
    found: set[str] = set()
    while True:
        more = {
            name
            for name, called in calls.items()
            if called & (ending | found) or any(c.endswith(".store") for c in called)
        }
        if more == found:
            return found
        found = more


def test_every_transaction_has_a_scenario(report: Report) -> None:
    """Functions in PARTS are part of others, and measured with them."""
    missing = transactions() - set(report.measured) - set(PARTS)
    assert not missing, f"no scenario in scenarios.py for {sorted(missing)}"


def test_stores_are_as_stated(report: Report) -> None:
    assert report.measured == STORES, "stores per transaction differ from the table above"


NAMES = {
    "objects": "OBJECT_STATE_",
    "members": "SLOT_STATE_",
    "sections": "SECTION_STATE_",
}


def documented(core: Core) -> set[Edge]:
    """Return the transitions in the state tables of the modules' docstrings."""
    edges = set()
    for module, prefix in NAMES.items():
        doc = core.modules["frames.sections" if module == "sections" else module].__doc__ or ""
        for before, after, _ in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", doc, re.MULTILINE)[
            1:
        ]:
            if before.startswith("-"):
                continue
            for old in re.findall(r"[A-Z]{4,}", before):
                for new in re.findall(r"[A-Z]{4,}", after):
                    edges.add((module, getattr(L, prefix + old), getattr(L, prefix + new)))
    return edges


def test_every_edge_is_taken_and_no_other(report: Report, core: Core) -> None:
    """The tables in objects.py, members.py and sections.py list exactly what happens."""
    assert report.edges == documented(core)
