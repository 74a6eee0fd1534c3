"""Which kinds a soak must have met: a soak without them proves nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

NEVER_ZERO = (  # the victims of doomed.py see to these in any half minute
    "takeovers",
    "words rolled back",
    "members reaped",
    "holder records reaped",
    "records of loans moved to the arena",
    "forks killed between prepare and the child's arrival",
    "stores at which the hook struck",
    "SIGKILL while running",
    "SIGKILL while stopped",
    "SIGSTOP",
    "SIGCONT",
    "checks",
    "operations",
    "bytes verified",
)
NEVER_ZERO_IN_THE_LONG_FORM = (  # chance decides in the short one
    "processes spawned",
    "processes forked",
    "forks",
    "raw forks",
    "arenas closed and joined again",
    "workers that ended by themselves",
    "sections taken offline",
    "processes that ended with everything held",
    "processes that let go first",
    "loans left in bytes that nobody reads",
)
LONG_S = 60.0


@dataclass(frozen=True)
class Report:
    """What a soak wrote into its folder."""

    seed: int
    counts: Mapping[str, int]
    failures: list[str]

    @classmethod
    def read(cls, folder: str, name: str) -> Report:
        with open(os.path.join(folder, name)) as file:
            return cls(**json.load(file))

    def missing(self, seconds: float) -> list[str]:
        """Kinds that never happened, of those that must."""
        wanted = NEVER_ZERO + (NEVER_ZERO_IN_THE_LONG_FORM if seconds >= LONG_S else ())
        return [kind for kind in wanted if not self.counts.get(kind)]

    def table(self) -> str:
        """The counts, for people."""
        return "\n".join(f"{self.counts[kind]:>16,}  {kind}" for kind in sorted(self.counts))
