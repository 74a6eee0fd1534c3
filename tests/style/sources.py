"""The sources as the style tests read them."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "src"
PACKAGE = SOURCES / "scamem"
CORE = PACKAGE / "core"
STORE = CORE / "store"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class CFunction:
    """A C function that a header declares: its name, and the declaration on one line."""

    name: str
    declaration: str


@cache
def python_files() -> list[Path]:
    """Return every Python file of the project."""
    folders = ("src", "tests", "tools", "benchmarks", "docs")
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [ROOT / "setup.py", *found]


@cache
def core_files() -> list[Path]:
    """Return the modules of the core."""
    return sorted(CORE.rglob("*.py"))


@cache
def headers() -> list[Path]:
    """Return the headers that are written by hand, and layout's."""
    found = sorted(PACKAGE.rglob("*.pxd"))
    return [path for path in found if "tools/generate_headers.py" not in path.read_text()]


@cache
def headers_of_modules() -> list[Path]:
    """Return the headers beside a module that is compiled; setup.py goes by the same rule."""
    plain = {"__init__", "layout", "places", "words"}
    return [
        path for path in headers() if path.stem not in plain and path.with_suffix(".py").exists()
    ]


@cache
def tree(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def functions(path: Path) -> list[Function]:
    """Return every function and method of a module, nested ones as well."""
    return [node for node in ast.walk(tree(path)) if isinstance(node, Function)]


def lines_of(function: Function) -> int:
    """Return how many lines a function takes, decorators and docstring included."""
    first = min([function.lineno, *(node.lineno for node in function.decorator_list)])
    return (function.end_lineno or function.lineno) - first + 1


def at(path: Path, node: ast.AST | int) -> str:
    """Return where something is, as an editor opens it."""
    line = node if isinstance(node, int) else getattr(node, "lineno", 1)
    return f"{path.relative_to(ROOT)}:{line}"


def module_name(path: Path) -> str:
    """Return the dotted name of a module or package under src."""
    parts = path.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute(path: Path, level: int, name: str) -> str:
    """Return the absolute name of a relative import written in `path`."""
    if level == 0:
        return name
    package = path.relative_to(SOURCES).parent.parts
    return ".".join([*package[: len(package) - level + 1], *filter(None, [name])])


def is_module(name: str) -> bool:
    """Return whether a dotted name is a module of the project."""
    base = SOURCES.joinpath(*name.split("."))
    return base.with_suffix(".py").exists() or (base / "__init__.py").exists()


def imported(path: Path) -> dict[str, str]:
    """Return what each imported name of a module stands for, as a dotted name."""
    found: dict[str, str] = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            module = absolute(path, node.level, node.module or "")
            if module.startswith("cython.cimports."):
                continue
            for alias in node.names:
                found[alias.asname or alias.name] = f"{module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name] = alias.name
    return found


def project_imports(names: set[str]) -> set[str]:
    """Return the modules of the project that dotted names stand for or come from."""
    found = set()
    for name in names:
        if name.startswith("scamem"):
            found.add(name if is_module(name) else name.rpartition(".")[0])
    return found


CIMPORT = re.compile(
    r"^\s*from\s+(?P<dots>\.*)(?P<module>[\w.]*)\s+cimport\s+(?P<names>\([^)]*\)|[^\n#]*)",
    re.MULTILINE,
)


PLAIN_CIMPORT = re.compile(r"^\s*cimport\s+(scamem[\w.]*)", re.MULTILINE)


def cimported(path: Path) -> set[str]:
    """Return the dotted names that a header cimports."""
    text = path.read_text()
    found = set(PLAIN_CIMPORT.findall(text))
    for match in CIMPORT.finditer(text):
        module = absolute(path, len(match["dots"]), match["module"])
        for name in match["names"].strip("()").replace("\n", " ").split(","):
            words = name.split()
            if words:
                found.add(f"{module}.{words[0]}")
    return found


def cimported_by_module(path: Path) -> set[str]:
    """Return the project's names that a compiled module cimports in its own text."""
    prefix = "cython.cimports."
    return {
        f"{node.module.removeprefix(prefix)}.{alias.name}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(prefix + "scamem")
        for alias in node.names
        if node.module
    }


def two_modes(path: Path) -> bool:
    """Return whether a module also runs interpreted: it imports for either mode."""
    return "if cython.compiled:" in path.read_text()


DECLARED = re.compile(r"^\s*(?:cdef|cpdef)\s+(?!extern|class|enum|struct|union|packed)(.*)$")


def declared(path: Path) -> list[CFunction]:
    """Return the C functions that a header declares outside its extern blocks."""
    found = []
    lines = iter(re.sub(r"#.*", "", path.read_text()).splitlines())
    for line in lines:
        match = DECLARED.match(line)
        if not match or "(" not in match[1]:
            continue
        text = match[1]
        while text.count("(") > text.count(")"):
            text += " " + next(lines).strip()
        name = re.search(r"(\w+)\s*\(", text)
        if name:
            found.append(CFunction(name[1], text.strip()))
    return found
