"""Turn the library's docstrings into Markdown, for the site: an extension of griffe.

A docstring shows examples (`>>>`), then sections with an underlined title, whose items are
`name : what it is`. Paragraphs such as `Ownership: ...` may follow a section. Text that is indented
behind a blank line is code.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

RULE = re.compile(r"-{3,}")
ITEM = re.compile(r"(\S.*?) : (.*)")
TOPIC = re.compile(r"((?:Ownership|Threads|[Ff]ork|Cost|Errors|Signals|Pickling|Why)[^:]{0,40}): ")


def markdown(text: str) -> str:
    """Return a docstring as Markdown."""
    made: list[str] = []
    lines = text.splitlines()
    in_example = in_section = False
    for at, line in enumerate(lines):
        after = lines[at + 1] if at + 1 < len(lines) else ""
        if RULE.fullmatch(line):
            continue
        if line.startswith(">>> ") and not in_example:
            made += ["", "```pycon"]
            in_example = True
        elif in_example and not line:
            made.append("```")
            in_example = False
        if in_example:
            made.append(line)
        elif RULE.fullmatch(after):
            in_section = True
            made += ["", f"**{line}**", ""]
        elif in_section and (found := ITEM.fullmatch(line)):
            names = re.sub(r"[\w.]+", r"`\g<0>`", found[1])
            made.append(f"- {names}: {found[2]}")
        elif found := TOPIC.match(line):
            made += ["", f"**{found[1]}:** {line[found.end() :]}"]
        else:
            made.append(line)
    return "\n".join([*made, "```"] if in_example else made)


class Docstrings(griffe.Extension):
    """Converts each docstring once, when its object has been read."""

    def on_object(self, *, obj: Any, **_others: Any) -> None:
        """Convert the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
