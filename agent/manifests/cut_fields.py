"""Fields that a replacement with a `delimiter` writes a part of a text into, or takes apart: a sealed value is a placeholder there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from agent.values.errors import ManifestError
from agent.values.tree import get

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from agent.values.tree import Object, Tree

FieldPath: TypeAlias = tuple[str, ...]
"""Names of fields, without the items of lists."""
_LONGEST: Final = 512
"""Characters of a path."""


def of(tree: Object) -> Iterator[FieldPath]:
    """The fields that a replacement with a `delimiter` puts parts of a text into, or takes apart."""
    given = tree.get("replacements")
    for each in given if isinstance(given, list) else [tree]:
        cuts = get(each, "source", "options", "delimiter") is not None
        targets = get(each, "targets")
        for target in targets if isinstance(targets, list) else ():
            if cuts or get(target, "options", "delimiter") is not None:
                yield from map(_field_path, _texts_of(get(target, "fieldPaths")))


def _field_path(text: str) -> FieldPath:
    """The names of fields in a path of kustomize: a dot may be escaped, and brackets select items. Raises ManifestError."""
    if len(text) > _LONGEST:
        raise ManifestError("a field path is too long", hint="name the field with a shorter path", limit=_LONGEST)
    steps, selecting, at = [""], False, 0
    while at < len(text):
        if selecting or text[at] == "[":
            selecting = text[at] != "]"
        elif text[at] == "\\" and at + 1 < len(text):
            at += 1
            steps[-1] += text[at]
        elif text[at] == ".":
            steps.append("")
        else:
            steps[-1] += text[at]
        at += 1
    return _named(step for step in steps if not step.isdecimal() and step not in {"", "*", "-"})


def _named(steps: Iterable[str]) -> FieldPath:
    """Data of a Secret is under either of two names."""
    found = tuple(steps)
    return ("stringData", *found[1:]) if found[:1] == ("data",) else found


def cuts(cut: Collection[FieldPath], path: Iterable[str | int]) -> bool:
    """Whether a leaf of an object is one that a replacement cut."""
    return bool(cut) and _named(step for step in path if isinstance(step, str)) in cut


def _texts_of(given: Tree) -> Iterator[str]:
    return (each for each in given if isinstance(each, str)) if isinstance(given, list) else iter(())
