"""Names with a hash of what they hold, as kustomize generates them, and everything that refers to them in what was rendered.

A renderer hashes placeholders, so such a name follows the ciphertext. What it was for stays here: which suffix kustomize would give for
the opened values, and how a name that stands already is put in the place of the rendered one. A name is known by its own hash and by nothing
else: what merely looks like one is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values import derive, placeholders
from agent.values.errors import PlaceholderError
from agent.values.secret import Secret
from agent.values.tree import get_object, get_text, map_leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.values.tree import Leaf, Object, Tree

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ConfigMap": ("data", "binaryData"),
    "Secret": ("data", "stringData"),
}
_ALPHABET: Final = "2456789bcdfghkmt"
_SUFFIX: Final = re.compile(rf"-([{_ALPHABET}]{{10}})(?![A-Za-z0-9-])")
_BEFORE: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_LONGEST: Final = 253


@dataclass(frozen=True, slots=True)
class Standing:
    """How a generated object is named in the cluster: `suffix` behind its base.

    `content` is a keyed fingerprint of what it holds. `rolls`: that may change while the name stays, so it rolls workloads itself.
    """

    suffix: str
    content: str
    rolls: bool


@dataclass(frozen=True, slots=True)
class Generated:
    """A Secret or ConfigMap with sealed values, `tree`, as it was rendered, and the parts of its name. `namespace` may be empty."""

    kind: str
    namespace: str
    base: str
    suffix: str
    tree: Object

    @property
    def family(self) -> str:
        """What all generations of it have in common."""
        return f"{self.kind}/{self.base}"

    @property
    def key(self) -> str:
        """The name that it was rendered with, of any namespace: equal ones have equal content."""
        return f"{self.family}-{self.suffix}"


def family(key: str) -> str:
    """That of the key of a generated object."""
    return key.rpartition("-")[0]


def live_name(key: str, standing: Standing) -> str:
    """Kind and name under which a generated object stands, by the key that it has."""
    return f"{family(key)}-{standing.suffix}"


def find(objects: Iterable[Object]) -> tuple[Generated, ...]:
    """What was generated of sealed values: its name ends in the hash of what it holds."""
    return tuple(found for tree in objects if (found := _generated(tree)) is not None)


def parts(name: str) -> tuple[str, str] | None:
    """Base and suffix of a name that may be a generated one."""
    base, _, suffix = name.rpartition("-")
    return (base, suffix) if base and len(suffix) == 10 and not suffix.strip(_ALPHABET) else None


def _generated(tree: Object) -> Generated | None:
    kind = get_text(tree, "kind")
    name = parts(get_text(tree, "metadata", "name"))
    if tree.get("apiVersion") != "v1" or kind not in _FIELDS or name is None:
        return None
    fields = {field: tree.get(field) for field in _FIELDS[kind]}
    texts = [value for given in fields.values() if isinstance(given, dict) for value in given.values()]
    if not all(isinstance(value, str) for value in texts) or not any(map(_is_sealed, texts)):
        return None
    found = Generated(kind, get_text(tree, "metadata", "namespace"), *name, tree)
    return found if derive.kustomize_hash(_hashed(found, fields)) == Secret(found.suffix, "name") else None


def _is_sealed(text: Tree) -> bool:
    return isinstance(text, str) and (placeholders.is_marked(text) or _in_base64(text))


def _in_base64(text: str) -> bool:
    try:
        return placeholders.decoded(text) is not None
    except PlaceholderError:
        return True


def _hashed(generated: Generated, fields: Mapping[str, Tree]) -> Object:
    """What kustomize hashes: of the name nothing."""
    data, more = _FIELDS[generated.kind]
    given = fields.get(data)
    content: Object = {"kind": generated.kind, "name": "", "data": "" if given is None else given}
    if generated.kind == "Secret":
        content["type"] = get_text(generated.tree, "type")
    if fields.get(more) is not None:
        content[more] = fields[more]
    return content


def true_hash(generated: Generated, assembled: Object) -> Secret:
    """The suffix that kustomize gives for the values themselves. `assembled` is the object as it is applied.

    Raises SecretValueError for bytes where only text can stand.
    """
    fields: dict[str, Tree] = {}
    for field in _FIELDS[generated.kind]:
        given = generated.tree.get(field)
        if isinstance(given, dict):
            fields[field] = {key: _as_hashed(generated, assembled, field, key, text) for key, text in given.items()}
    return derive.kustomize_hash(_hashed(generated, fields))


def _as_hashed(generated: Generated, assembled: Object, field: str, key: str, text: Tree) -> Tree:
    if not isinstance(text, str) or not _is_sealed(text):
        return text
    if generated.kind != "Secret":
        return get_object(assembled, field)[key]
    value = get_object(assembled, "data")[key]
    assert isinstance(value, Secret)
    if field == "stringData":
        return derive.base64_decode(value)
    return value if placeholders.is_marked(text) else derive.base64_lines(value)


def content(assembled: Object) -> Object:
    """What an object holds, as it is applied or stands: what a name with a hash is made of."""
    return {
        "type": assembled.get("type") or "Opaque",
        **{field: assembled.get(field) or "" for field in _FIELDS["ConfigMap"]},
    }


def is_as_rendered(read: Object, desired: Object) -> bool:
    """Whether an object holds what was rendered: neither a layer nor a variable changed it."""
    return all((read.get(field) or {}) == (desired.get(field) or {}) for field in ("type", *_FIELDS["Secret"]))


def names(standing: Mapping[str, Standing]) -> dict[str, str]:
    """The names that stand, by those that were rendered, where they differ."""
    found = {key: live_name(key, each) for key, each in standing.items()}
    return {key.partition("/")[2]: name.partition("/")[2] for key, name in found.items() if name != key}


def renamed(tree: Object, renames: Mapping[str, str]) -> Object:
    """An object that is named, and that refers to others, by the names that stand: wherever such a name is a word of its own."""

    def leaf(_: object, value: Leaf) -> Leaf:
        return _replaced(value, renames) if isinstance(value, str) else value

    result = map_leaves(tree, leaf)
    assert isinstance(result, dict)
    return result


def _replaced(text: str, renames: Mapping[str, str]) -> str:
    """A hash ends a name. Each character is looked at once: a hash is part of a longer name, so the last begin serves it too."""
    made: list[str] = []
    end = last = begin = 0
    for found in _SUFFIX.finditer(text):
        start = found.start()
        least = max(end, start - _LONGEST, last)
        while start > least and text[start - 1] in _BEFORE:
            start -= 1
        if start == last > end:
            start = max(begin, end, found.start() - _LONGEST)
        begin, last = start, found.end()
        name = text[start : found.end()]
        if name in renames:
            made += [text[end:start], renames[name]]
            end = found.end()
    return "".join((*made, text[end:])) if made else text
