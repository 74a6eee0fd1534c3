"""What the lab's program said on the serial line, as a run that `scamem designs` can read."""

from __future__ import annotations

import json
import re
from pathlib import Path

from .booting import TROUBLE, Boot

FORMAT = 1
# A count of 2^31 makes try_get_folio() warn: that scenario is about nothing else.
EXPECTED = {"overflow": re.compile(r"WARNING:.*try_get_folio|WARNING:.*gup")}
_FACT = re.compile(r"(\w+)=(-?\d+)")


def parse(boot: Boot) -> dict[str, object]:
    """Facts, askers, complaints and the final state of one boot."""
    facts: dict[str, dict[str, int]] = {}
    asked: dict[str, list[tuple[str, int, str]]] = {}
    trouble: dict[str, list[str]] = {}
    pending: list[str] = []
    for line in boot.console:
        if line.startswith(("@@ ", "@! ")):
            name, _, rest = line[3:].partition(" ")
            if line.startswith("@@ "):
                facts[name] = {key: int(value) for key, value in _FACT.findall(rest)}
            else:
                pending.append(line)
            expected = EXPECTED.get(name)
            pending = [text for text in pending if not (expected and expected.search(text))]
            if pending:
                trouble.setdefault(name, []).extend(pending)
            pending = []
        elif line.startswith("@? "):
            name, why, count, caller = line[3:].split(maxsplit=3)
            asked.setdefault(name, []).append((why, int(count), caller))
        elif TROUBLE.search(line) and not line.startswith("@"):
            pending.append(line)
    if pending and boot.deadly:
        trouble.setdefault(boot.deadly, []).extend(pending)
    return {
        "facts": facts,
        "asked": asked,
        "trouble": trouble,
        "state": boot.lines("@= "),
        "seconds": round(boot.seconds, 1),
    }


def write(path: Path, boots: dict[str, Boot], kernel: str, made_of: str) -> None:
    """Record a run."""
    first = next(iter(boots.values()))
    data = {
        "format": FORMAT,
        "kernel": kernel,
        "made_of": made_of,
        "accelerator": first.accelerator,
        "boots": {mode: parse(boot) for mode, boot in boots.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n")
