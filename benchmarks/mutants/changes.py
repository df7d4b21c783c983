"""Small wrong changes of a Python file, each in one place: what a test of that file has to notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

COMPARE = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
ARITHMETIC = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.Mod: "*",
    ast.Pow: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.LShift: ">>",
    ast.RShift: "<<",
}
NAMES = {"min": "max", "max": "min", "all": "any", "any": "all", "floor": "ceil", "ceil": "floor"}


class Change(NamedTuple):
    """One wrong change."""

    line: int
    """Of the file, from 1."""
    before: str
    """The text that is replaced."""
    after: str
    start: int
    """Where it begins, in bytes."""
    end: int

    def apply(self, source: bytes) -> bytes:
        """The file with this change."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def changes(source: bytes) -> Iterator[Change]:
    """Every change of `source` that this module knows, in the order of its text.

    Texts, annotations, decorators, messages of errors and what only a type checker reads stay.
    """
    tree = ast.parse(source)
    starts = [0]
    for line in source.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)

    def change(node: ast.AST, after: str) -> Change:
        start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return Change(node.lineno, source[start:end].decode(), after, start, end)  # type: ignore[attr-defined]

    found = [change(node, after) for node, after in _replacements(tree)]
    yield from sorted(set(found), key=lambda one: (one.start, one.end, one.after))


def _replacements(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Nodes below `node` and the text of what may stand in their place."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_silent(child):
                yield from _of(child)
                yield from _replacements(child)


def _is_silent(node: ast.AST) -> bool:
    """Whether no test could or should notice a change in it."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _of(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
        yield node, f"({left} {COMPARE[type(node.ops[0])]} {right})"
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        left, right = ast.unparse(node.left), ast.unparse(node.right)
        yield node, f"(({left}) {ARITHMETIC[type(node.op)]} ({right}))"
    elif isinstance(node, ast.BoolOp):
        word = " or " if isinstance(node.op, ast.And) else " and "
        yield node, "(" + word.join(f"({ast.unparse(value)})" for value in node.values) + ")"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node, f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
        yield node.func, NAMES[node.func.id]
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(
        node.test, ast.Compare
    ):
        yield node.test, f"(not ({ast.unparse(node.test)}))"
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield node, "None"
    elif isinstance(node, ast.Continue | ast.Break):
        yield node, "pass"
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Name | ast.Call):
        yield node.value, "None"


def _of_constant(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node.value, bool):
        yield node, str(not node.value)
    elif isinstance(node.value, int | float):
        yield node, f"{node.value + 1!r}" if abs(node.value) < 2**53 else f"{node.value // 2!r}"
