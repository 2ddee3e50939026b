"""Plants one mutant in this process, and finds out which tests reach which function.

A function keeps its identity and gets other code, so that whoever imported it by name runs the mutant too. It is done
in a forked child that ends with it.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from tests.mutation.mutants import Mutant

PRODUCT = ("broker", "ownership", "schemas")
FUTURE = "from __future__ import annotations\n"


def module_of(file: str) -> ModuleType:
    return importlib.import_module(file.removesuffix(".py").replace("/", "."))


def function_of(mutant: Mutant) -> FunctionType:
    """The function object behind caches and properties."""
    found: Any = module_of(mutant.file)
    for name in mutant.where.split("."):
        found = vars(found)[name]
    while not isinstance(found, FunctionType):
        found = found.fget if isinstance(found, property) else found.__wrapped__
    return found


def plant(mutant: Mutant) -> None:
    """Let the mutant run in place of the original, in this process, from now on."""
    module = module_of(mutant.file)
    if mutant.constant:
        _plant_constant(mutant, module)
    else:
        scope = dict(vars(module))
        exec(compile(FUTURE + mutant.source, mutant.file, "exec"), scope)  # noqa: S102 - that is what planting is
        changed, function = scope[mutant.where.rpartition(".")[2]], function_of(mutant)
        function.__code__ = changed.__code__
        function.__defaults__, function.__kwdefaults__ = changed.__defaults__, changed.__kwdefaults__
    forget()


def forget() -> None:
    """Empty every cache of the product, so that what is behind it is called again."""
    for one in _product():
        for value in vars(one).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def _plant_constant(mutant: Mutant, module: ModuleType) -> None:
    original = vars(module)[mutant.where]
    value = eval(mutant.source, dict(vars(module)))  # noqa: S307 - likewise
    for one in _product():
        if vars(one).get(mutant.where) is original:
            setattr(one, mutant.where, value)


def _product() -> list[ModuleType]:
    return [m for name, m in list(sys.modules.items()) if name.partition(".")[0] in PRODUCT and m is not None]


@contextmanager
def walked(root: Path, files: frozenset[str]) -> Iterator[set[tuple[str, str]]]:
    """(file, function) of the core that was called meanwhile; what is nested counts as what it stands in."""
    found: set[tuple[str, str]] = set()
    known: dict[CodeType, tuple[str, str] | None] = {}

    def called(frame: FrameType, kind: str, _: object) -> None:
        code = frame.f_code
        if kind == "call":
            if code not in known:
                path = Path(code.co_filename)
                file = str(path.relative_to(root)) if path.is_relative_to(root) else ""
                name = code.co_qualname.partition(".<locals>")[0]
                known[code] = (file, name) if file in files else None
            if (place := known[code]) is not None:
                found.add(place)

    sys.setprofile(called)
    try:
        yield found
    finally:
        sys.setprofile(None)


def readers_of(root: Path, file: str, constant: str) -> set[tuple[str, str]]:
    """Functions of the core in which a constant is read, by its name."""
    found = set()
    for path in sorted({*(root / file).parent.glob("*.py"), root / "broker" / "lane" / "judge.py"}):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and constant in {
                n.id for n in ast.walk(node) if isinstance(n, ast.Name)
            }:
                found.add((str(path.relative_to(root)), node.name))
    return found
