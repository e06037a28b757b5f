"""What each field of a model says of itself, for schemas alone: pydantic reads docstrings when a class is made, which each command would wait for."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.api.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def fill() -> None:
    """Take the docstrings below the fields of all models as their descriptions."""
    for model in _models(Model):
        for name, field in model.model_fields.items():
            field.description = field.description or _text(model, name)
    for model in _models(Model):
        _ = model.model_rebuild(force=True)


def _models(model: type[Model]) -> Iterator[type[Model]]:
    """In the order in which they were made: those that others consist of come first."""
    for each in model.__subclasses__():
        yield each
        yield from _models(each)


def _text(model: type[Model], field: str) -> str | None:
    """Of the class that says something of the field, or of one that it comes from."""
    said = (
        _texts(each.__module__).get(each.__name__, {}).get(field) for each in model.__mro__ if issubclass(each, Model)
    )
    return next(filter(None, said), None)


@cache
def _texts(module: str) -> dict[str, dict[str, str]]:
    """Class → field → docstring, of a module's source."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {each.name: dict(_below(each.body)) for each in tree.body if isinstance(each, ast.ClassDef)}


def _below(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(text.value.value)
