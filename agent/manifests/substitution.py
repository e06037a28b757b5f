"""Variables in the objects of a commit, as Flux's postBuild substitutes them, without making YAML of values.

Flux puts values into the YAML text of an object that kustomize wrote, which keeps no quotes, and parses it again. So `${PORT}` of `8080` is
a number wherever it stands alone, and a value that begins with `*` or holds `: ` is no YAML. Here a leaf is taken by itself: it becomes a
number, a list or a map where Flux would have made one and the field takes something else than text, and stays text in all other cases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.manifests import builtin, expansion, presented, references, resolve
from agent.values import placeholders
from agent.values.errors import AgentError, LimitError, SubstitutionError, YamlError
from agent.values.tree import format_path, get, walk
from agent.yaml.read import manifests as yaml
from agent.yaml.scalars import Dialect
from agent.yaml.write import styles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Object, Path, Tree

_ANNOTATION: Final = "kustomize.toolkit.fluxcd.io/substitute"
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_.-]*")
"""What may stand in a reference of a value that others write: no more than a segment of its path."""
_CLOSING: Final = {'"': '"', "'": "'", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Variables:
    """What an Application sets: texts, and placeholders of sealed values. `unread` names objects that may set others, and were not read.

    `sealed` are placeholders of values that are disclosed: data of a Secret takes these, since it may. `unopened` are names of some that
    are disclosed, and not opened here. `foreign` are names of clear values that are from the cluster or a store, and name no reference.
    """

    values: Mapping[str, str]
    strict: bool = True
    unread: tuple[str, ...] = ()
    sealed: Mapping[str, str] = field(default_factory=dict[str, str])
    unopened: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()


def variables(
    clear: Mapping[str, str],
    sealed: Mapping[str, Placeholder],
    sources: dict[Placeholder, Source],
    *,
    strict: bool = True,
    unread: tuple[str, ...] = (),
    foreign: frozenset[str] = frozenset(),
) -> Variables:
    """Clear values without their line breaks, as Flux has them; a sealed one of the same name wins.

    References in clear values become placeholders, which are added to `sources`. Raises SubstitutionError for a name that is none,
    ReferenceSyntaxError, and PlaceholderError for a clear value that looks like a placeholder.
    """
    values: dict[str, str] = {}
    for name, value in {**clear, **sealed}.items():
        if not expansion.NAME.fullmatch(name):
            raise SubstitutionError(
                "a variable's name has characters other than letters, digits and _", hint="rename it", variable=name
            )
        try:
            values[name] = sealed[name] if name in sealed else _presented(value, sources)
        except AgentError as error:
            raise error.with_facts(variable=name) from None
    return Variables(values, strict, unread, foreign=foreign)


def _presented(value: str, sources: dict[Placeholder, Source]) -> str:
    placeholders.refuse(value)
    return presented.text(value.replace("\n", ""), sources)


def is_disabled(tree: Object) -> bool:
    """Whether the object asks to be left alone, as it asks Flux."""
    return any(get(tree, "metadata", field, _ANNOTATION) == "disabled" for field in ("labels", "annotations"))


def substitute(tree: Object, given: Variables, room: expansion.Room | None = None) -> Object:
    """The object with its variables' values, in keys too. `room` is that of all objects of a render.

    Raises SubstitutionError and LimitError, with the field.
    """
    if is_disabled(tree):
        return tree
    group, kind = builtin.group_of(str(tree.get("apiVersion"))), str(tree.get("kind"))
    result = _Substitution(given, group, kind, room or expansion.Room()).tree(tree, ())
    assert isinstance(result, dict)
    return result


@dataclass(frozen=True, slots=True)
class _Substitution:
    given: Variables
    group: str
    kind: str
    room: expansion.Room

    def tree(self, tree: Tree, at: Path) -> Tree:
        if isinstance(tree, dict):
            result: Object = {}
            for key, value in tree.items():
                new = self._expanded(key, (*at, key))
                if new in result:
                    raise SubstitutionError("two keys are the same with their variables", field=format_path(at))
                result[new] = self.tree(value, (*at, new))
            return result
        if isinstance(tree, list):
            return [self.tree(item, (*at, index)) for index, item in enumerate(tree)]
        return self._leaf(tree, at) if isinstance(tree, str) else tree

    def _expanded(self, text: str, at: Path, values: Mapping[str, str] | None = None) -> str:
        given = self.given
        values = given.values if values is None else values
        try:
            return expansion.expand(
                text, values, strict=given.strict, room=self.room, unread=given.unread, unopened=given.unopened
            )
        except AgentError as error:
            raise error.with_facts(field=format_path(at)) from None

    def _leaf(self, text: str, at: Path) -> Tree:
        if self.given.sealed and (self.group, self.kind) == ("", "Secret") and at[0] in {"data", "stringData"}:
            try:
                new = self._expanded(text, at, {**self.given.values, **self.given.sealed})
                self._check_references(text, new, at)
            except SubstitutionError:
                pass  # an operator looks into a value, as it may into one that is disclosed
            else:
                return new
        new = self._expanded(text, at)
        if new == text or not _is_plain(text):
            self._check_references(text, new, at)
            return new
        takes_text = resolve.takes_text(self.group, self.kind, at) or builtin.is_text_map(
            self.group, self.kind, at[:-1]
        )
        if takes_text and new.startswith(("[", "{")):
            self._check_references(text, new, at)
            return new
        read = self._read(new, at)
        self._check_references(text, [new, read], at)
        return new if takes_text and not isinstance(read, str) else read

    def _read(self, text: str, at: Path) -> Tree:
        """As `_read`, within the room. Nodes of aliases are as many as the reader takes, and count when they are known."""
        most = 1 + sum(map(text.count, ",:[{\n"))
        try:
            self.room.take(nodes=most)
            read = _read(text)
            if "*" in text:
                self.room.take(nodes=max(sum(1 for _ in walk(read)) - most, 0))
        except LimitError as error:
            raise error.with_facts(field=format_path(at)) from None
        return read

    def _check_references(self, text: str, result: Tree, at: Path) -> None:
        """Raises SubstitutionError for a reference of which a foreign value is more than a segment."""
        values = self.given.values
        names = [name for name in expansion.names(text, self.given.foreign) if not _SEGMENT.fullmatch(values[name])]
        if not names:
            return
        found = (token for _, leaf in walk(result) if isinstance(leaf, str) for token in references.tokens(leaf))
        if any(token not in text for token in found):
            raise SubstitutionError(
                "a reference to a store would be made of a variable that is not set by the Application or Git",
                hint="put the reference into spec.substitute.variables or a file in Git",
                variable=names[0],
                field=format_path(at),
            )


def _is_plain(text: str) -> bool:
    """Whether kustomize writes a text without quotes, so that Flux reads what becomes of it."""
    return styles.analyze(text).plain and styles.is_text(text, Dialect.V3)


def _read(text: str) -> Tree:
    """What a text means as a value of YAML; the text itself where it is none, or would lose a part of it."""
    closing = _CLOSING.get(text[:1])
    if not text.endswith(closing) if closing else (text[:1] in {"&", "!"} or "#" in text):
        return text
    try:
        documents = yaml.parse(b"v: " + text.encode("utf-8", "surrogateescape"), file="")
    except YamlError:
        return text
    tree = documents[0].tree if len(documents) == 1 else None
    read = tree["v"] if isinstance(tree, dict) and tree.keys() == {"v"} else text
    return text if closing is None and isinstance(read, str) else read
