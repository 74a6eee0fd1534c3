"""Writes the headers of the core's structures, in which every function has its body.

python tools/generate_headers.py           write them all

A Cython module calls another one's functions through pointers, which for functions as small as the
core's is most of their cost. So the structures that every transaction works on are compiled into
whoever cimports them: `x.pxd` is `x.py` over again, each function `cdef inline`, and there is no
compiled module of that name. The tests interpret `x.py` itself.
"""

import ast
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "scamem"
MARK = '"""C functions; written from {} by tools/generate_headers.py. Change that one."""'
INLINED = (
    "core/store/events",
    "core/store/journal",
    "core/store/lock",
    "core/store/private",
    "core/store/tables",
    "core/frames/bits",
    "core/frames/free_runs",
    "core/frames/memdesc",
    "core/frames/nodes",
    "core/frames/sections",
    "core/frames/zones",
    "core/holders",
    "core/objects",
    "core/procedures/local_lock",
    "core/sync/alive",
    "core/sync/flag",
    "core/sync/mutex",
    "core/sync/parties",
    "core/sync/permits",
    "core/sync/sequence",
    "core/sync/sleepers",
    "core/sync/turns",
)
TYPES = {"Words": "Words", "word": "word", "bool": "bint", "int": "int", "None": "void"}


def sources(package: Path = PACKAGE) -> list[Path]:
    """Return the modules whose headers are written here."""
    return [package / f"{name}.py" for name in INLINED]


def c_type(annotation: ast.expr | None, where: str) -> str:
    """Return the C type that an annotation stands for. ValueError: none of TYPES."""
    name = ast.unparse(annotation) if annotation is not None else "nothing"
    if name not in TYPES:
        raise ValueError(f"{where}: {name} is none of {', '.join(TYPES)}")
    return TYPES[name]


def declaration(function: ast.FunctionDef) -> str:
    """Return a function's first line in C terms."""
    where = f"line {function.lineno}, {function.name}"
    arguments = [f"{c_type(one.annotation, where)} {one.arg}" for one in function.args.args]
    returns = c_type(function.returns, where)
    return f"cdef inline {returns} {function.name}({', '.join(arguments)}) noexcept nogil:"


def body(function: ast.FunctionDef, lines: list[str]) -> str:
    """Return a function's statements as they stand, without its docstring."""
    first = function.body[1 if ast.get_docstring(function) is not None else 0]
    text = "".join(lines[first.lineno - 1 : function.end_lineno])
    return textwrap.indent(textwrap.dedent(text), "    ").rstrip()


def imports(module: ast.Module) -> list[str]:
    """Return what the interpreted module imports, as C imports."""
    found = ["cimport cython"]
    for node in module.body:
        if isinstance(node, ast.If):  # if cython.compiled: ... else: ...
            lines = map(ast.unparse, node.orelse)
            found += [line.replace(" import ", " cimport ", 1) for line in lines]
    return found


def header(source: Path) -> str:
    """Return the header of one module."""
    text = source.read_text()
    lines = text.splitlines(keepends=True)
    module = ast.parse(text, str(source))
    found = [MARK.format(source.name), *imports(module)]
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            found += ["", declaration(node), body(node, lines)]
    return "\n".join(found) + "\n"


def write_headers(package: Path = PACKAGE) -> None:
    """Write the headers that changed: their times decide what is compiled again."""
    for source in sources(package):
        made, text = source.with_suffix(".pxd"), header(source)
        if not made.exists() or made.read_text() != text:
            made.write_text(text)


if __name__ == "__main__":
    write_headers()
