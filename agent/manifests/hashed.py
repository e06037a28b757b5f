"""Where the hashes stand that a chart asks for (`bcrypt`, `htpasswd`): a renderer cannot tell, and the salt of one is by its place.

A place is an object and a path. It stays where a chart shifts its templates, so the hash does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.manifests import builtin
from agent.values import derive, placeholders
from agent.values.errors import LimitError, SecretValueError
from agent.values.expressions import HASHED, MOST_DEPTH, UNPLACED, Expression
from agent.values.secret import Secret
from agent.values.tree import format_path, get_text, map_leaves, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agent.values.expressions import Expressions, Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Leaf, Object, Path, Tree

_MOST: Final = 64
"""Hashes of a render, at all places: each takes a tenth of a second when it is made."""
_MOST_STANDING: Final = 4
"""Hashes that are looked at in one leaf."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Objects whose hashes have their places, and what leaves are made of."""

    trees: tuple[Tree, ...]
    sources: Mapping[Placeholder, Source]


def placed(trees: Sequence[Tree], sources: Mapping[Placeholder, Source]) -> Placed:
    """Raises LimitError where there are too many."""
    asking = _asking(sources)
    if not asking:
        return Placed(tuple(trees), sources)
    made: dict[Placeholder, Source] = {}

    def in_object(tree: Tree) -> Tree:
        if not isinstance(tree, dict):
            return tree

        def leaf(path: Path, value: Leaf) -> Leaf:
            if not isinstance(value, str) or not placeholders.is_marked(value) or _is_public(path):
                return value
            return _Placing(asking, place(tree, path), made, {}).text(value)

        return map_leaves(tree, leaf)

    return Placed(tuple(map(in_object, trees)), {**sources, **made})


def _asking(sources: Mapping[Placeholder, Source]) -> dict[Placeholder, Expression]:
    """The operations that are hashes, or are done to what holds some."""
    users: dict[Placeholder, list[Placeholder]] = {}
    waiting: list[Placeholder] = []
    for name, source in sources.items():
        if isinstance(source, Expression):
            waiting += [name] if source.op == UNPLACED else []
            for each in (each for text in source.args for each in placeholders.named(text)):
                users.setdefault(each, []).append(name)
    found: dict[Placeholder, Expression] = {}
    while waiting:
        name = waiting.pop()
        source = sources[name]
        if name not in found and isinstance(source, Expression):
            found[name] = source
            waiting += users.get(name, ())
    return found


def place(tree: Object, path: Path) -> str:
    """Names a leaf. A key of a Secret is the same in both of its forms."""
    group, _, _ = get_text(tree, "apiVersion").rpartition("/")
    kind, name = get_text(tree, "kind"), get_text(tree, "metadata", "name")
    if (group, kind, path[0]) == ("", "Secret", "stringData"):
        path = ("data", *path[1:])
    return f"{group}/{kind}/{name}#{format_path(path)}"


def asks(expressions: Expressions) -> bool:
    """Whether there is a hash among them."""
    return any(each.op == HASHED for each in expressions.known.values())


def standing(live: Object) -> dict[str, list[Secret]]:
    """The hashes that an object as it stands has, by place."""
    found: dict[str, list[Secret]] = {}
    for path, text in _texts(live):
        if hashes := derive.hashes(text, _MOST_STANDING):
            found[place(live, path)] = hashes
    return found


def _texts(live: Object) -> Iterator[tuple[Path, Secret]]:
    is_secret = builtin.is_core_secret(live)
    for path, leaf in walk(live):
        if not isinstance(leaf, Secret | str) or path[0] in builtin.CLEAR_FIELDS:
            continue
        text = leaf if isinstance(leaf, Secret) else Secret(leaf, "live")
        try:
            yield path, derive.text(derive.base64_decode(text) if is_secret and path[0] == "data" else text)
        except SecretValueError:
            continue


def _is_public(path: Path) -> bool:
    """Where digests are read as those of placeholders, which have to be the same wherever the same text is hashed."""
    return path[0] in builtin.CLEAR_FIELDS or path[-2:-1] in {("labels",), ("annotations",)}


@dataclass(slots=True)
class _Placing:
    asking: Mapping[Placeholder, Expression]
    place: str
    made: dict[Placeholder, Source]
    done: dict[Placeholder, Placeholder]

    def text(self, text: str, depth: int = MOST_DEPTH) -> str:
        return placeholders.replaced(text, lambda name: self._name(name, depth))

    def _name(self, name: Placeholder, depth: int) -> Placeholder:
        if name not in self.asking or depth == 0:
            return name
        if name not in self.done:
            source = self.asking[name]
            args = tuple(self.text(each, depth - 1) for each in source.args)
            now = Expression(HASHED, (*args, self.place)) if source.op == UNPLACED else Expression(source.op, args)
            self.done[name] = now.placeholder
            self.made[now.placeholder] = now
            if sum(isinstance(each, Expression) and each.op == HASHED for each in self.made.values()) > _MOST:
                raise LimitError(
                    "a chart asks for too many hashes of passwords",
                    hint="make them once, and keep them encrypted in a file of values",
                    limit=_MOST,
                )
        return self.done[name]
