"""`spec.ignore`: which fields of an object are left to others.

A field under a pointer is applied when its object is created. After that it is left out of what is applied; and where it is ours it is
handed to another field manager first, since server-side apply removes what its manager leaves out. So what is ignored is not ours, and
what is not ours is no drift. Nothing here looks at a value: a sealed object is judged as an opened one is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.api.names import FIELD_MANAGER
from agent.manifests import builtin, elements
from agent.manifests.field_trees import SELF
from agent.manifests.fields import entries
from agent.manifests.managers import RELEASED
from agent.manifests.ownership import PREFIX
from agent.manifests.secret_data import FIELDS as DATA
from agent.values.patterns import name_matches
from agent.values.secret import Secret
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.api.application import IgnoreRule
    from agent.manifests.field_trees import Elements
    from agent.values.ids import ObjectId
    from agent.values.tree import Object, Path, Tree

Pointers: TypeAlias = frozenset[tuple[str, ...]]
"""The steps of JSON pointers."""

_MARKED = ("metadata", "labels"), ("metadata", "annotations")
_WHOLE: Final[Pointers] = frozenset({()})


@dataclass(frozen=True, slots=True)
class Ignored:
    """What is ignored of one object: fields by pointer, and whatever `managers`, which are patterns, own of the live object.

    `resolved` are the fields that pointers lead to in Git, where indices are known.
    """

    group: str = ""
    kind: str = ""
    pointers: Pointers = frozenset()
    managers: tuple[str, ...] = ()
    resolved: frozenset[Elements] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.pointers or self.managers)

    def fields(self, tree: Object) -> frozenset[Elements]:
        """The fields of an object that pointers lead to, as far as they stand in it; of a list or map that is one value, the whole."""
        return frozenset(self._in_tree(tree, self.pointers, (), ()))

    def without(self, tree: Object) -> Object:
        """An object without the fields that pointers lead to; itself where there are none."""
        fields = self.fields(tree)
        return elements.without(tree, fields) if fields else tree

    def resolving(self, tree: Object) -> Ignored:
        """The same for an object that Git writes as `tree`."""
        return replace(self, resolved=self.fields(tree)) if self.pointers else self

    def among(self, owned: Iterable[Elements]) -> frozenset[Elements]:
        """Those of the fields that a manager owns which pointers lead to, or into."""
        return frozenset(
            path for path in owned if self._has(path) or any(self._leads(pointer, path) for pointer in self.pointers)
        )

    def leaves(self, at: Elements, manager: str) -> bool:
        """Whether a field, or all that is in it, is left to a manager that owns it."""
        return (
            self._has(at)
            or any(len(pointer) <= len(at) and self._leads(pointer, at) for pointer in self.pointers)
            or any(name_matches(pattern, manager) for pattern in self.managers)
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """Pointers that mean the same without Git."""
        named = {pointer for pointer in self.pointers if not any(step.isdecimal() for step in pointer)}
        secret = (self.group, self.kind) == ("", "Secret")
        plain = {("data", *pointer[1:]) if secret and pointer[0] in DATA else pointer for pointer in named}
        return tuple(sorted(map(_text_of, plain | {tuple(map(_step, path)) for path in self.resolved})))

    def _has(self, path: Elements) -> bool:
        return any(path[:length] in self.resolved for length in range(1, len(path) + 1))

    def of_managers(self, live: Object) -> frozenset[Elements]:
        """The fields of a live object that ignored managers own."""
        return frozenset(
            path
            for entry in (entries(live) if self.managers else ())
            if get_text(entry, "manager") not in {FIELD_MANAGER, RELEASED}
            and any(name_matches(pattern, get_text(entry, "manager")) for pattern in self.managers)
            for path in elements.owned(entry)
            if not _is_ours(path)
        )

    def _in_tree(self, tree: Tree, pointers: Pointers, at: Elements, plain: Path) -> Iterator[Elements]:
        whole = () in pointers
        if (whole and not (plain in _MARKED and isinstance(tree, dict))) or (
            isinstance(tree, dict) and builtin.is_one_value(self.group, plain)
        ):
            yield at
        elif isinstance(tree, dict):
            for key, value in tree.items():
                ours = plain in _MARKED and key.startswith(PREFIX)
                below = _WHOLE if whole else _below(pointers, self._names(plain, key))
                if below and not ours:
                    yield from self._in_tree(value, below, (*at, f"f:{key}"), (*plain, key))
        elif isinstance(tree, list):
            keys = builtin.list_keys(self.group, self.kind, plain)
            if keys is None:
                yield at
                return
            for index, item in enumerate(tree):
                if isinstance(item, dict):
                    named = dict(zip(keys, builtin.item_key(item, keys), strict=True))
                    below = frozenset(pointer[1:] for pointer in pointers if _selects(pointer[0], named, index))
                    element = elements.of_item(item, keys)
                    if below - {(key,) for key in keys}:
                        yield from self._in_tree(
                            item, below - {(key,) for key in keys}, (*at, element), (*plain, index)
                        )

    def _names(self, plain: Path, key: str) -> tuple[str, ...]:
        """What a pointer calls a key: a Secret's data is one map, whichever of two names Git gives it."""
        return DATA if not plain and key in DATA and (self.group, self.kind) == ("", "Secret") else (key,)

    def _leads(self, pointer: tuple[str, ...], path: Elements) -> bool:
        if _is_ours(path):
            return False
        for depth, (step, element) in enumerate(zip(pointer, path, strict=False)):
            mark, _, rest = element.partition(":")
            if mark == "f" and step not in self._names(path[:depth], rest):
                return False
            if mark == "k" and not _selects(step, json.loads(rest), None):
                return False
            if element == SELF:
                return False
        return len(pointer) <= len(path) or not (path[-1] == SELF or path[-1].startswith("k:"))


NOTHING: Final = Ignored()


def of(rules: Iterable[IgnoreRule], key: ObjectId, more: Pointers = frozenset()) -> Ignored:
    """What rules ignore of an object; `more` pointers are given by no rule."""
    fitting = [rule for rule in rules if rule.fits(key)]
    pointers = frozenset(_steps(pointer) for rule in fitting for pointer in rule.json_pointers)
    managers = sorted({manager for rule in fitting for manager in rule.managers})
    return Ignored(key.group, key.kind, pointers | more, tuple(managers))


@lru_cache(maxsize=1024)
def recorded(texts: tuple[str, ...], managers: tuple[str, ...]) -> Ignored:
    """What was ignored of an object when it was applied."""
    return Ignored(pointers=frozenset(map(_steps, texts)), managers=managers)


def _is_ours(path: Elements) -> bool:
    """Whether a field is a label or annotation of the agent's, which is never ignored."""
    return path[0] == "f:metadata" and path[-1].startswith(f"f:{PREFIX}")


def _step(element: str) -> str:
    mark, _, rest = element.partition(":")
    return rest if mark == "f" else ",".join(f"{name}={value}" for name, value in json.loads(rest).items())


def _text_of(pointer: tuple[str, ...]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in pointer)


def _steps(pointer: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _below(pointers: Pointers, names: tuple[str, ...]) -> Pointers:
    return frozenset(pointer[1:] for pointer in pointers if pointer and pointer[0] in names)


def _selects(step: str, named: Object, index: int | None) -> bool:
    """Whether a step into a list means the item that these fields identify."""
    if step == "*" or step.isdecimal():
        return step == "*" or (index is not None and int(step) == index)
    given = [part.partition("=") for part in step.split(",")]
    return all(mark and name in named and _text(named[name]) == text for name, mark, text in given)


def _text(value: Tree) -> str:
    return "" if isinstance(value, Secret) else str(value)
