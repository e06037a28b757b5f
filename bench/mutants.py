"""Faults of one token each in the agent's modules, planted as they are imported: no file is changed.

A site is numbered by where the walk over a module's tree meets it, and named by what is there, which stays when lines are added above it.
"""

from __future__ import annotations

import ast
import gc
import importlib.machinery
import importlib.util
import inspect
import sys
import types
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


@dataclass(frozen=True, slots=True)
class Site:
    """One place where a fault can be planted, and in words what it is."""

    number: int
    name: str
    """Of the function (empty where it is of the module), what happens, and which one of those in it: unique in a module."""
    text: str
    """The expression or statement, as it is without a fault."""
    lines: range
    function: range
    """Its lines; none where it is in no function."""


class _Mutator(ast.NodeTransformer):
    """Counts the sites of a tree, and changes the one that is asked for."""

    def __init__(self, wanted: int | None) -> None:
        self.sites: list[Site] = []
        self._wanted = wanted
        self._inside: list[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef] = []
        self._names = Counter[str]()

    def _is_wanted(self, node: ast.expr | ast.stmt, what: str) -> bool:
        number = len(self.sites)
        functions = [each for each in self._inside if not isinstance(each, ast.ClassDef)]
        name = f"{'.'.join(each.name for each in self._inside)}: {what}"
        self._names[name] += 1
        self.sites.append(
            Site(
                number,
                f"{name} ({self._names[name]})",
                ast.unparse(node),
                _lines(node),
                _lines(functions[-1]) if functions else range(0),
            )
        )
        return number == self._wanted

    def visit(self, node: ast.AST) -> ast.AST:
        """What only type checkers read is left out, and that values are frozen, which is asked of no test."""
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node
        if isinstance(node, ast.AnnAssign | ast.arg | ast.ImportFrom | ast.Import | ast.Assert | ast.Raise):
            return node
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            decorators, node.decorator_list = node.decorator_list, []
            self._inside.append(node)
            _ = super().visit(node)
            _ = self._inside.pop()
            node.decorator_list = decorators
            return node
        found: ast.AST = super().visit(node)
        return found

    def visit_Compare(self, node: ast.Compare) -> ast.AST:  # as ast calls it
        _ = self.generic_visit(node)
        for place, operator in enumerate(node.ops):
            other = _COMPARISONS[type(operator)]
            if self._is_wanted(node, f"{type(operator).__name__} becomes {other.__name__}"):
                node.ops[place] = other()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        _ = self.generic_visit(node)
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        if self._is_wanted(node, f"{type(node.op).__name__} becomes {other.__name__}"):
            node.op = other()
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        _ = self.generic_visit(node)
        if isinstance(node.op, ast.Not) and self._is_wanted(node, "Not is dropped"):
            return node.operand
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        _ = self.generic_visit(node)
        for value in (True, False):
            if self._is_wanted(node.test, f"the condition is always {value}"):
                node.test = ast.copy_location(ast.Constant(value), node.test)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        _ = self.generic_visit(node)
        if self._is_wanted(node, "the branches are exchanged"):
            node.body, node.orelse = node.orelse, node.body
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool):
            if self._is_wanted(node, f"{node.value} becomes {not node.value}"):
                return ast.copy_location(ast.Constant(not node.value), node)
        elif isinstance(node.value, int) and self._is_wanted(node, f"{node.value} becomes {node.value + 1}"):
            return ast.copy_location(ast.Constant(node.value + 1), node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """A call for its effect; docstrings are no site."""
        if isinstance(node.value, ast.Constant):
            return node
        _ = self.generic_visit(node)
        if self._is_wanted(node, "the statement is dropped"):
            return ast.copy_location(ast.Pass(), node)
        return node

    def visit_Continue(self, node: ast.Continue) -> ast.AST:
        return ast.copy_location(ast.Break(), node) if self._is_wanted(node, "continue becomes break") else node


def sites(source: str) -> Sequence[Site]:
    """Where faults can be planted in a module."""
    mutator = _Mutator(None)
    _ = mutator.visit(ast.parse(source))
    return mutator.sites


def planted(source: str, number: int) -> ast.Module:
    """The module with one fault."""
    tree = ast.parse(source)
    _ = _Mutator(number).visit(tree)
    return ast.fix_missing_locations(tree)


def modules(root: Path, folders: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Name and file of every module of these packages."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            if path.name != "__init__.py":
                yield name, path


def plant(module: str, number: int) -> None:
    """Have a module, which is not imported yet, be imported with one fault."""
    assert module not in sys.modules

    class Planting(importlib.machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> types.CodeType:
            del fullname
            return compile(planted(Path(self.path).read_text(), number), self.path, "exec", dont_inherit=True)

    class Finder:
        @staticmethod
        def find_spec(
            name: str, path: Sequence[str] | None, target: object = None
        ) -> importlib.machinery.ModuleSpec | None:
            del target
            found = importlib.machinery.PathFinder.find_spec(name, path) if name == module else None
            if found is None or found.origin is None:
                return None
            return importlib.util.spec_from_file_location(name, found.origin, loader=Planting(name, found.origin))

    sys.meta_path.insert(0, Finder)  # pyright: ignore[reportArgumentType]  # its find_spec is static


@dataclass(frozen=True, slots=True)
class Exchange:
    """A function as its module defines it, outside of all others, and the same with a fault."""

    path: str
    sound: types.CodeType
    faulty: types.CodeType

    @property
    def lines(self) -> range:
        return range(self.sound.co_firstlineno, max(number for number in _numbers(self.sound)) + 1)

    def make(self) -> None:
        """Wherever a module, a class or a decorator holds the function."""
        for each in gc.get_objects():
            # the path, since another module may have a function that is written alike
            if isinstance(each, types.FunctionType) and each.__code__.co_filename == self.path:
                each.__code__ = self.faulty if each.__code__ == self.sound else each.__code__


def exchange(path: Path, number: int) -> Exchange | None:
    """None where the fault is not in a function, such as in a default."""
    source = path.read_text()
    sound = compile(source, str(path), "exec", dont_inherit=True)
    faulty = compile(planted(source, number), str(path), "exec", dont_inherit=True)
    pairs = zip(_functions(sound), _functions(faulty), strict=False)
    found = [Exchange(str(path), one, other) for one, other in pairs if one != other]
    if len(found) != 1 or found[0].sound.co_name != found[0].faulty.co_name:
        return None
    return found[0] if found[0].sound.co_freevars == found[0].faulty.co_freevars else None


def _functions(code: types.CodeType) -> Iterator[types.CodeType]:
    """Those of a module and its classes."""
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            if each.co_flags & inspect.CO_OPTIMIZED:
                yield each
            else:
                yield from _functions(each)


def _numbers(code: types.CodeType) -> Iterator[int]:
    yield code.co_firstlineno
    yield from (number for _, _, number in code.co_lines() if number is not None)
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _numbers(each)


def _lines(node: ast.expr | ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
