"""What is planted: every small change of a function or a constant of the core, as source text.

Left alone: docstrings, annotations, decorators, assertions (they state what the types cannot), and the fields of
classes. What is done with a mutant stands in planting.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORE = (
    *(
        f"broker/gate/{name}.py"
        for name in (
            "decide", "fields", "conclude", "decision", "route", "terms", "waiting", "state", "connections",
            "commands", "express", "groups",
        )
    ),
    "broker/lane/fold.py",
    "ownership/handover.py",
    "ownership/map.py",
)  # fmt: skip
"""What decides, routes, merges, and counts terms."""
LEFT_ALONE = frozenset({"annotation", "returns", "decorator_list", "type_comment", "ctx"})
OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.Mod: (ast.Add,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitAnd: (ast.BitOr,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
FUNCTIONS = {"any": "all", "all": "any", "min": "max", "max": "min", "sorted": "list"}
NEGATED_BY_ITS_OPERATOR = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
Function = ast.FunctionDef | ast.AsyncFunctionDef
NONE = ast.Constant(None)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change. `source` = the changed function, or a constant's changed value."""

    file: str
    where: str
    """Name of the function or constant, a method with its class."""
    line: int
    before: str
    after: str
    source: str
    constant: bool = False


def mutants_of(file: str, text: str) -> Iterator[Mutant]:
    """Every mutant of one file, in its order."""
    for node in ast.parse(text).body:
        if isinstance(node, Function):
            yield from _of_function(file, node.name, node)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, Function):
                    yield from _of_function(file, f"{node.name}.{method.name}", method)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name) and target.id.isupper():
                for line, before, after in _edited(node, {"targets", "target"}, within=False):
                    yield Mutant(file, target.id, line, before, after, ast.unparse(node.value), constant=True)


def all_mutants(root: Path) -> list[Mutant]:
    return [m for file in CORE for m in mutants_of(file, (root / file).read_text("utf-8"))]


def _of_function(file: str, where: str, node: Function) -> Iterator[Mutant]:
    node.decorator_list = []
    original = ast.unparse(node)
    for line, before, after in _edited(node, set()):
        source = ast.unparse(node)
        if source != original:
            yield Mutant(file, where, line, before, after, source)


def _edited(parent: Any, left: set[str], *, within: bool = True) -> Iterator[tuple[int, str, str]]:
    """(line, before, after) while the tree stands changed; afterwards it is as it was."""
    for name, value in list(ast.iter_fields(parent)):
        if name in LEFT_ALONE | left:
            continue
        for place, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or isinstance(child, ast.Assert) or _is_docstring(child):
                continue
            for changed in _instead(child, parent, name) if within or not isinstance(child, ast.Call) else ():
                _put(parent, name, value, place, changed)
                line = getattr(child, "lineno", getattr(parent, "lineno", 0))
                yield line, ast.unparse(child), ast.unparse(changed)
                _put(parent, name, value, place, child)
            yield from _edited(child, set())


def _put(parent: ast.AST, name: str, value: Any, place: int, child: ast.AST) -> None:
    if isinstance(value, list):
        value[place] = child
    else:
        setattr(parent, name, child)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _instead(node: Any, parent: ast.AST, name: str) -> Iterator[ast.AST]:
    """What may stand in place of a node."""
    found = RULES.get(type(node))
    if found is not None:
        yield from found(node)
    if name in ("test", "ifs") and not _negated_already(node):
        yield ast.UnaryOp(ast.Not(), node)
    if name == "value" and isinstance(parent, ast.Assign | ast.Return | ast.AnnAssign) and not _is_none(node):
        yield NONE
    if name in ("args", "value") and isinstance(parent, ast.Call | ast.keyword) and not _is_none(node):
        yield NONE


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Starred) or (isinstance(node, ast.Constant) and node.value is None)


def _negated_already(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1 and isinstance(node.ops[0], NEGATED_BY_ITS_OPERATOR)
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    match node.value:
        case bool():
            yield ast.Constant(not node.value)
        case int():
            yield ast.Constant(node.value + 1)
        case str():
            yield ast.Constant(f"XX{node.value}")
        case bytes():
            yield ast.Constant(b"XX" + node.value)


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for place, op in enumerate(node.ops):
        for other in OPERATORS.get(type(op), ()):
            yield ast.Compare(
                node.left, [*node.ops[:place], other(), *node.ops[place + 1 :]], node.comparators
            )  # type: ignore[list-item]


def _binary(node: Any) -> Iterator[ast.AST]:
    for other in OPERATORS.get(type(node.op), ()):
        fields = {name: getattr(node, name) for name in node._fields} | {"op": other()}
        yield type(node)(**fields)


def _unary(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _call(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        keywords = [k for k in node.keywords if FUNCTIONS[node.func.id] != "list"]
        yield ast.Call(ast.Name(FUNCTIONS[node.func.id], ast.Load()), node.args, keywords)


def _statement(node: ast.Expr) -> Iterator[ast.AST]:
    if isinstance(node.value, ast.Call):
        yield ast.Pass()


def _lambda(node: ast.Lambda) -> Iterator[ast.AST]:
    yield ast.Lambda(node.args, NONE)


def _continue(_: ast.AST) -> Iterator[ast.AST]:
    yield ast.Break()


def _break(_: ast.AST) -> Iterator[ast.AST]:
    yield ast.Continue()


RULES: dict[type[ast.AST], Any] = {
    ast.Constant: _constant,
    ast.Compare: _compare,
    ast.BoolOp: _binary,
    ast.BinOp: _binary,
    ast.AugAssign: _binary,
    ast.UnaryOp: _unary,
    ast.Call: _call,
    ast.Expr: _statement,
    ast.Lambda: _lambda,
    ast.Continue: _continue,
    ast.Break: _break,
}
