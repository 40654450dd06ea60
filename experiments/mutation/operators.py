"""Small mistakes that a programmer could make, one at a time, in a syntax tree."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

APPEARANCE = frozenset(
    """alpha arrowprops aspect bbox capsize cmap color colors edgecolor ecolor elinewidth extend
    extendfrac facecolor fontsize fontweight ha handlelength hatch interpolation label layout
    linewidths loc location lw markersize ms ncols pad rasterized rotation textcoords va wrap xytext
    zorder""".split()
)
"""Keyword arguments that only change how a figure looks; nothing in them is mutated."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes
    ----------
    source
        The module without the mistake.
    number
        Of the changed node.
    change
        What happens to it.
    line, column
        Where it is in the source.
    function
        Whether it is inside a function, not in what runs once at import.
    """

    source: str
    number: int
    change: object
    line: int
    column: int
    function: bool

    def tree(self) -> ast.Module:
        """The whole module with the mistake."""
        tree, target = self._target()
        _apply(target, self.change)
        return ast.fix_missing_locations(tree)

    def __str__(self) -> str:
        _, target = self._target()
        before = _shown(target)
        _apply(target, self.change)
        return f"{before} → {_shown(target)}"

    def _target(self) -> tuple[ast.Module, ast.AST]:
        tree = ast.parse(self.source)
        return tree, next(itertools.islice(_places(tree, False), self.number, None))[0]


def mutants(source: str) -> Iterator[Mutant]:
    """Every mistake of the kinds below that can be made in a module.

    Numbers become others, comparisons, arithmetic, ``and``/``or`` and ``not`` their opposites,
    True False, and texts get a stray mark. Left alone are docstrings, annotations, imports, and
    what :data:`APPEARANCE` lists.
    """
    for number, (node, inside) in enumerate(_places(ast.parse(source), False)):
        for change in _changes(node):
            line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
            yield Mutant(source, number, change, line, column, inside)


def _places(node: ast.AST, inside: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Nodes that can be mutated, in a fixed order, and whether each is inside a function."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return
    if isinstance(node, ast.keyword) and node.arg in APPEARANCE:
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node, inside
    function = isinstance(node, (ast.FunctionDef, ast.Lambda))
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_docstring(child):
                continue
            yield from _places(child, inside or (function and name == "body"))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(node: ast.AST) -> list[object]:
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            return [not value]
        if isinstance(value, int):
            return [value + 1]
        if isinstance(value, float):
            return [1.0 if value == 0.0 else 2.0 * value]
        if isinstance(value, str) and value.strip():
            return ["¤" + value]
        return []
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        return [COMPARISONS[type(node.ops[0])]()]
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in ARITHMETIC:
        return [ARITHMETIC[type(node.op)]()]
    if isinstance(node, ast.BoolOp):
        return [ast.Or() if isinstance(node.op, ast.And) else ast.And()]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        return [ast.UAdd() if isinstance(node.op, ast.USub) else "drop"]
    return []


def _apply(node: ast.AST, change: object) -> None:
    if isinstance(node, ast.Constant):
        node.value = change  # type: ignore[assignment]
    elif isinstance(node, ast.Compare):
        node.ops[0] = change  # type: ignore[call-overload]
    elif change == "drop" and isinstance(node, ast.UnaryOp):
        # not x → not not x, which has the truth of x
        node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp, ast.UnaryOp)):
        node.op = change  # type: ignore[assignment]


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else text[:89] + "…"
