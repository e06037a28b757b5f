"""Digests that are read as public: in names, labels, annotations and all other places where no secret may stand.

A chart puts a digest of its Secret there, so that pods start again with it. The digest of what a value stands for while it is rendered
does that as well: it changes when the ciphertext does, and says nothing about the value. Where a secret may stand, a digest is one of the
value, and as secret as that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.manifests import builtin
from agent.values import placeholders, sprig
from agent.values.errors import PlaceholderError
from agent.values.expressions import Expression
from agent.values.placeholders import Placeholder
from agent.values.tree import format_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.expressions import Source
    from agent.values.tree import Object, Path, Tree

_DEEPEST: Final = 32
_CHANGING: Final = sprig.FUNCTIONS.keys() - sprig.DIGESTS


def read(tree: Object, sources: Mapping[Placeholder, Source]) -> Object:
    """An object with its public digests as text. What is no digest stays a placeholder."""
    group, _, _ = str(tree.get("apiVersion", "")).rpartition("/")
    made = _tree(tree, (), (group, str(tree.get("kind", ""))), sources)
    assert isinstance(made, dict)
    return made


def _tree(tree: Tree, at: Path, kind: tuple[str, str], sources: Mapping[Placeholder, Source]) -> Tree:
    if isinstance(tree, dict):
        return {key: _tree(value, (*at, key), kind, sources) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_tree(item, (*at, index), kind, sources) for index, item in enumerate(tree)]
    if isinstance(tree, str) and placeholders.is_marked(tree) and _is_public(at, *kind):
        try:
            return _text(tree, sources)
        except PlaceholderError as error:
            raise error.with_facts(field=format_path(at)) from None
    return tree


def _is_public(at: Path, group: str, kind: str) -> bool:
    if at[0] in builtin.CLEAR_FIELDS or at[-2:-1] in {("labels",), ("annotations",)}:
        return True
    if group not in builtin.GROUPS or (group == "" and kind in {"Secret", "ConfigMap"}):
        return False
    return not (at[-3:-2] == ("env",) and at[-1] == "value") and not {"args", "command"} & {*at[-2:]}


def _text(text: str, sources: Mapping[Placeholder, Source]) -> str:
    parts = placeholders.split(text)
    for number in range(1, len(parts), 2):
        found = _public(Placeholder(parts[number]), sources, _DEEPEST)
        parts[number] = parts[number] if found is None else found
    return "".join(parts)


def _public(placeholder: Placeholder, sources: Mapping[Placeholder, Source], depth: int) -> str | None:
    """The text of a digest, or of what was made of one; None for what is none."""
    source = sources.get(placeholder)
    if not isinstance(source, Expression) or depth == 0:
        return None
    text = source.args[0]
    if source.op in _CHANGING:
        text = _text_of_digests(text, sources, depth - 1)
    elif source.op not in sprig.DIGESTS:
        return None
    if text is None:
        return None
    try:
        return sprig.result(source.op, text, source.args[1:])
    except sprig.UnusableError as error:
        why = error.why
    raise PlaceholderError(why, function=source.op)


def _text_of_digests(text: str, sources: Mapping[Placeholder, Source], depth: int) -> str | None:
    parts = placeholders.split(text)
    for number in range(1, len(parts), 2):
        found = _public(Placeholder(parts[number]), sources, depth)
        if found is None:
            return None
        parts[number] = found
    return "".join(parts)
