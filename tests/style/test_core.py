"""What the core may not do: a critical section is bounded, typed, and needs no interpreter."""

import ast
from pathlib import Path

import pytest

from tests.style import sources

LARGEST_BARE_NUMBER = 64  # the bits of a word; everything beyond has a name in layout.py
LAYOUT = sources.STORE / "layout.py"
CONSTANTS = (LAYOUT, sources.CORE / "sync" / "places.py")


def names(path: Path) -> str:
    return str(path.relative_to(sources.PACKAGE))


def test_there_is_a_core() -> None:
    assert LAYOUT in sources.core_files()
    assert sources.headers()


@pytest.mark.parametrize("path", sources.core_files(), ids=names)
def test_functions_are_annotated(path: Path) -> None:
    bare = []
    for function in sources.functions(path):
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        rest = [item for item in (arguments.vararg, arguments.kwarg) if item]
        untyped = [
            item.arg
            for item in [*every, *rest]
            if item.annotation is None and item.arg not in {"self", "cls"}
        ]
        if function.returns is None:
            untyped.append("return")
        if untyped:
            bare.append(f"{sources.at(path, function)} {function.name}: {', '.join(untyped)}")
    assert not bare, f"without annotation: {bare}"


@pytest.mark.parametrize("path", sources.core_files(), ids=names)
def test_no_assert(path: Path) -> None:
    found = [
        sources.at(path, node)
        for node in ast.walk(sources.tree(path))
        if isinstance(node, ast.Assert)
    ]
    assert not found, (
        f"compiled, a failing assert takes the GIL and is swallowed; ensure(): {found}"
    )


@pytest.mark.parametrize("path", sources.core_files(), ids=names)
def test_no_bare_numbers(path: Path) -> None:
    if path in CONSTANTS:
        return
    found = [
        f"{sources.at(path, node)} {node.value}"
        for node in ast.walk(sources.tree(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and node.value > LARGEST_BARE_NUMBER
    ]
    assert not found, f"numbers without a name; layout.py is their place: {found}"


def calls(path: Path) -> dict[str, set[str]]:
    """Return, for each function of a module by dotted name, the dotted names that it calls."""
    module, known = sources.module_name(path), sources.imported(path)
    found: dict[str, set[str]] = {}
    for function in sources.functions(path):
        called = set()
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name):
                called.add(known.get(node.func.id, f"{module}.{node.func.id}"))
            elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                base = node.func.value.id
                owner = module if base == "self" else known.get(base, base)
                called.add(f"{owner}.{node.func.attr}")
        found.setdefault(f"{module}.{function.name}", set()).update(called)
    return found


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return a path through the calls that comes back to where it began; empty: there is none."""
    settled: set[str] = set()
    for start in graph:
        trail: list[str] = []
        todo = [(start, False)]
        while todo:
            name, leave = todo.pop()
            if leave:
                settled.add(trail.pop())
            elif name in trail:
                return [*trail[trail.index(name) :], name]
            elif name in graph and name not in settled:
                trail.append(name)
                todo.append((name, True))
                todo.extend((callee, False) for callee in sorted(graph[name]))
    return []


def test_cycles_are_seen() -> None:
    assert cycle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"a"}}) == ["a", "b", "d", "a"]
    assert cycle({"a": {"a"}}) == ["a", "a"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": {"outside"}}) == []


def test_no_recursion() -> None:
    graph: dict[str, set[str]] = {}
    for path in sources.core_files():
        for name, called in calls(path).items():
            graph.setdefault(name, set()).update(called)
    assert any(graph.values())
    assert cycle(graph) == [], "a recursion has no bound that one can see"


def functions_only() -> list[Path]:
    """Return the headers that may not touch Python objects: below the arrays, and without a class.

    A class's methods are called from Python, and so is all that makes arrays.
    """
    found = [
        path
        for path in sources.headers()
        if "cdef class" not in path.read_text()
        and path.relative_to(sources.PACKAGE).parts[0] not in ("arrays", "handles")
    ]
    assert any(path.is_relative_to(sources.CORE) for path in found)
    return found


def test_the_core_has_no_classes_of_c() -> None:
    core = {path for path in sources.headers() if path.is_relative_to(sources.CORE)}
    assert core <= set(functions_only())


@pytest.mark.parametrize("path", functions_only(), ids=names)
def test_headers_promise_no_interpreter(path: Path) -> None:
    wrong = [
        function.declaration
        for function in sources.declared(path)
        if not function.declaration.rstrip(": ").endswith("noexcept nogil")
    ]
    assert not wrong, f"{names(path)}: not `noexcept nogil`: {wrong}"


@pytest.mark.parametrize("path", sources.headers_of_modules(), ids=names)
def test_headers_and_modules_import_the_same(path: Path) -> None:
    """The import contracts see modules only; through this they hold for the headers too."""
    module = path.with_suffix(".py")
    hidden = sources.project_imports(sources.cimported(path))
    if sources.two_modes(module):
        hidden -= sources.project_imports(set(sources.imported(module).values()))
    else:
        hidden = set()  # cimports only: the next test
    assert not hidden, f"{names(path)} cimports what {module.name} does not import: {hidden}"


# From the ground up, as the layers of pyproject.toml; each may cimport itself and what is below.
ROOMS = (
    "core",
    "backing",
    "address_space",
    "membership",
    "looks",
    "views",
    "memory",
    "objects",
    "arrays",
    "handles",
    "together",
)
STRANGERS = {"core": {"backing"}, "backing": {"core"}, "address_space": {"core"}}


def may_cimport(package: str) -> set[str]:
    """Return the packages that one may cimport."""
    below = set(ROOMS[: ROOMS.index(package) + 1])
    return below - STRANGERS.get(package, set())


@pytest.mark.parametrize("path", sources.headers_of_modules(), ids=names)
def test_cimports_go_down(path: Path) -> None:
    """What is compiled only has cimports that no import contract sees."""
    package = path.relative_to(sources.PACKAGE).parts[0]
    every = sources.cimported(path) | sources.cimported_by_module(path.with_suffix(".py"))
    wrong = {
        name
        for name in sources.project_imports(every)
        if name.split(".")[1] not in may_cimport(package)
    }
    assert not wrong, f"{names(path)}: not below {package}: {wrong}"


GC_DIRECTIVES = {"cython.no_gc", "cython.no_gc_clear"}


@pytest.mark.parametrize("path", sources.headers_of_modules(), ids=names)
def test_deallocation_finds_what_it_needs(path: Path) -> None:
    """Without a directive, the garbage collector sets attributes to None before __dealloc__.

    A class's directives belong into its module: in the header alone the compiler ignores them.
    """
    assert "\n@cython." not in path.read_text(), f"{names(path)}: a directive that nobody heeds"
    wrong = [
        node.name
        for node in ast.walk(sources.tree(path.with_suffix(".py")))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(f, sources.Function) and f.name == "__dealloc__" for f in node.body)
        and not GC_DIRECTIVES & {ast.unparse(decorator) for decorator in node.decorator_list}
    ]
    assert not wrong, f"{names(path)}: __dealloc__ without one of {GC_DIRECTIVES}: {wrong}"
