"""Writes what follows from core/store/layout.py: its C header and the reference page.

It writes the C header of core/sync/places.py too.

python tools/generate_layout.py           write both
python tools/generate_layout.py --check   only say whether they are fresh (exit status 1: no)
"""

import io
import re
import runpy
import sys
import tokenize
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYOUT = ROOT / "src" / "scamem" / "core" / "store" / "layout.py"
PLACES = ROOT / "src" / "scamem" / "core" / "sync" / "places.py"
PAGE = ROOT / "docs" / "reference" / "layout.md"
CONSTANT = re.compile(r"([A-Z][A-Z0-9_]*)\s*=")
SECTION = re.compile(r"#\s*-{3,}\s*(.*?)\s*-{3,}\s*$")
TITLE = "C constants; written from {} by tools/generate_layout.py. Change that one."
WORD_MAX = (1 << 64) - 1
SHOWN_DECIMAL_MAX = 65536


@dataclass
class Constant:
    """One name of the layout: its value, and what the comment beside it says."""

    name: str
    value: int
    meaning: str


@dataclass
class Section:
    """A group of constants under one `# --- title ---` line, with the comments below it."""

    title: str
    text: list[str] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)


def values(layout: Path) -> dict[str, int]:
    """Return every public constant. ValueError: one is no integer that fits a word."""
    found: dict[str, int] = {}
    for name, value in runpy.run_path(str(layout), run_name="layout").items():
        if not name.isupper() or name.startswith("_"):
            continue
        if not isinstance(value, int) or not 0 <= value <= WORD_MAX:
            raise ValueError(f"{layout}: {name} = {value!r}; C needs an integer of 0 to 2**64 - 1")
        found[name] = int(value)
    return found


def header(layout: Path) -> str:
    """Return the header of a module of constants: each a C macro of 64 unsigned bits.

    Macros and not an enum, since C's enumerators are ints: `~FLAG` or `1 << SHIFT` of one would
    be computed in 32 bits.
    """
    names = values(layout)
    prefix = f"SCAMEM_{layout.stem.upper()}"
    lines = [
        f'"""{TITLE.format(layout.name)}"""',
        "cdef extern from *:",
        '    """',
        *(f"    #define {prefix}_{name} {value:#x}ULL" for name, value in names.items()),
        '    """',
        *(
            f'    const unsigned long long {name} "{prefix}_{name}"  # {shown(value)}'
            for name, value in names.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def shown(value: int) -> str:
    """Return a number as people read it: large ones by their bits."""
    return str(value) if value <= SHOWN_DECIMAL_MAX else f"{value:#x}"


def comments(source: str) -> dict[int, str]:
    """Return each line's comment, by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def sections(layout: Path) -> list[Section]:
    """Return the constants in the order of the source, under its section lines."""
    source = layout.read_text()
    names, notes = values(layout), comments(source)
    found = [Section("General")]
    for number, line in enumerate(source.splitlines(), 1):
        note = notes.get(number, "")
        title = SECTION.match(note)
        constant = CONSTANT.match(line)
        if title and line.startswith("#"):
            found.append(Section(title[1]))
        elif line.startswith("#"):
            found[-1].text.append(note.lstrip("# "))
        elif constant and constant[1] in names:
            name = constant[1]
            found[-1].constants.append(Constant(name, names[name], note.lstrip("# ")))
    return [section for section in found if section.constants]


def page(layout: Path) -> str:
    """Return the reference page: one table a section."""
    described = runpy.run_path(str(layout), run_name="layout")["__doc__"] or ""
    lines = [
        "<!-- Written from src/scamem/core/store/layout.py by tools/generate_layout.py. -->",
        "# Layout of the control file",
        "",
        described.strip(),
    ]
    for section in sections(layout):
        lines += ["", f"## {section.title[:1].upper()}{section.title[1:]}", ""]
        if section.text:
            lines += [" ".join(section.text), ""]
        lines += ["| name | value | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{constant.name}` | {shown(constant.value)} | {cell(constant.meaning)} |"
            for constant in section.constants
        ]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Return text that may stand in a cell of a table."""
    return text.replace("|", "\\|")


def write(path: Path, text: str) -> bool:
    """Write a file unless it says so already (its time decides what is compiled again)."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return True


def write_header(layout: Path = LAYOUT) -> bool:
    """Write the header beside a module of constants; return whether it changed."""
    return write(layout.with_suffix(".pxd"), header(layout))


def stale(layout: Path = LAYOUT, page_path: Path = PAGE) -> list[Path]:
    """Return the generated files that do not say what the layout says."""
    wanted = {
        layout.with_suffix(".pxd"): header(layout),
        PLACES.with_suffix(".pxd"): header(PLACES),
        page_path: page(layout),
    }
    return [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]


def main(arguments: list[str]) -> int:
    """Run as a command; return its exit status."""
    if arguments == ["--check"]:
        found = stale()
        for path in found:
            print(f"{path.relative_to(ROOT)} is not what layout.py says: run {Path(__file__).name}")
        return 1 if found else 0
    if arguments:
        print(__doc__)
        return 2
    write_header()
    write_header(PLACES)
    write(PAGE, page(LAYOUT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
