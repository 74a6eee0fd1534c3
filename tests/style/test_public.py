"""What people import is listed, there, and documented."""

import ast
import importlib.util
import inspect
import types

import pytest

import scamem
from tests.style import sources

LISTED: list[str] = list(getattr(scamem, "__all__", []))


def test_everything_public_is_listed() -> None:
    public = {
        name
        for name, value in vars(scamem).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public <= set(LISTED), f"public, but not in __all__: {sorted(public - set(LISTED))}"
    assert len(LISTED) == len(set(LISTED))


@pytest.mark.parametrize("name", LISTED)
def test_listed_is_documented(name: str) -> None:
    value = getattr(scamem, name)
    if inspect.isclass(value) or callable(value):
        assert (value.__doc__ or "").strip(), f"scamem.{name} has no docstring"
    if not inspect.isclass(value) or not value.__module__.startswith("scamem"):
        return
    bare = [
        member
        for member, thing in vars(value).items()
        if not member.startswith("_")
        and (callable(thing) or isinstance(thing, property | classmethod | staticmethod))
        and not (inspect.getdoc(getattr(value, member)) or "").strip()
    ]
    assert not bare, f"scamem.{name}: without docstring: {bare}"


def needs_an_example(thing: object) -> bool:
    """Return whether a docstring of ours should show how a thing is used."""
    if inspect.isclass(thing):
        return not issubclass(thing, (Exception, Warning))  # the page of errors has those
    return callable(thing)


@pytest.mark.parametrize("name", LISTED)
def test_listed_has_an_example(name: str) -> None:
    value = getattr(scamem, name)
    shown = {f"scamem.{name}": value}
    if name == "Arena":
        public = (one for one in vars(value) if not one.startswith("_"))
        shown |= {f"Arena.{one}": getattr(value, one) for one in public}
    bare = [
        full
        for full, thing in shown.items()
        if needs_an_example(thing) and ">>> " not in (inspect.getdoc(thing) or "")
    ]
    assert not bare, f"no example (>>>) in the docstring of {bare}"


def test_modules_are_documented() -> None:
    bare = [
        sources.at(path, 1)
        for path in sources.python_files()
        if path.is_relative_to(sources.PACKAGE) and not ast.get_docstring(sources.tree(path))
    ]
    assert not bare, f"modules without a docstring: {bare}"


def test_compiled_modules_are_compiled() -> None:
    """The interpreted core is for tests; what is installed must be the compiled one."""
    slow = []
    for header in sources.headers_of_modules():
        name = sources.module_name(header.with_suffix(".py"))
        spec = importlib.util.find_spec(name)
        if spec is None or not str(spec.origin).endswith(".so"):
            slow.append(name)
    assert not slow, f"not compiled (run `make build`): {slow}"
