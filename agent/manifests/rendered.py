"""What a renderer gave, as objects again: leaves that are sealed, to be made of sealed values when they are opened, or clear text.

How a text with placeholders is read: base64 of one in a Secret's data is the text that it holds, under `stringData`; one alone is the
value; one and line breaks is the value with those at its end; references alone are text that is resolved as everywhere; all else is put
together when the values are opened. A placeholder that this render did not hand out, a part of one, two that run together, and one in a
key or in what says what the object is, hold the object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.manifests import builtin, presented, public, sinks
from agent.sops.kubernetes import clear
from agent.values import expressions, placeholders
from agent.values.errors import AgentError, LimitError, PlaceholderError
from agent.values.expressions import MOST_DEPTH, MOST_OUTPUT, Expression, Expressions
from agent.values.placeholders import Placeholder
from agent.values.secret import PUBLIC, Sealed
from agent.values.text import excerpt
from agent.values.tree import format_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from agent.values.expressions import Source
    from agent.values.tree import Leaf, Object, Path, Tree

_ESCAPES: Final = frozenset({"json", "rawjson", "goquote"})
"""Operations whose results stand between quotes, and are the value itself where a parser took the quotes away."""


@dataclass(frozen=True, slots=True)
class Output:
    """A document of a renderer, and the file of Git that it is made of."""

    origin: str
    tree: Tree


@dataclass(frozen=True, slots=True)
class ReadOutput:
    """One object. `error`: why it is held; `tree` then is as the renderer gave it."""

    origin: str
    tree: Tree
    error: AgentError | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects of a render.

    `expressions` are those of its leaves. `unused` are the labels of values that were handed out and stand in no object.
    """

    objects: tuple[ReadOutput, ...]
    expressions: Expressions
    unused: tuple[str, ...]


def read(
    outputs: Iterable[Output],
    sources: Mapping[Placeholder, Source],
    handed: Collection[Placeholder],
    variables: Mapping[str, str] | None = None,
    asked: Iterable[str] = (),
) -> Rendered:
    """The objects of `outputs`, lists taken apart. `sources` is what any placeholder stands for, `handed` what the renderer was given.

    `variables` are names by the placeholders of their values. `asked` are texts that are evaluated beside the leaves.

    Raises PlaceholderError where an operation is not what its placeholder names.
    """
    for placeholder, source in sources.items():
        if isinstance(source, Expression):
            expressions.check(source)
            if source.placeholder != placeholder:
                raise PlaceholderError("an operation is not what its placeholder names", operation=source.op)
    given = [(output.origin, tree) for output in outputs for tree in clear.objects(output.tree)]
    reader = _Reader(dict(sources), variables or {})
    objects = tuple(reader.object(origin, tree) for origin, tree in given)
    for text in asked:
        _ = reader.kept(placeholders.find(text))
    used = reader.behind(each for _, tree in given for each in _standing(tree))
    unused = [each for each in handed if each not in used]
    labels = {_label(each): None for each in reader.behind(unused).values() if not isinstance(each, Expression)}
    return Rendered(objects, Expressions(reader.known, reader.inputs), tuple(labels))


@dataclass(slots=True)
class _Reader:
    sources: dict[Placeholder, Source]
    variables: Mapping[str, str]
    known: dict[str, Expression] = field(default_factory=dict[str, Expression])
    inputs: dict[str, Sealed | str] = field(default_factory=dict[str, Sealed | str])
    bare: dict[Placeholder, str] = field(default_factory=dict[Placeholder, str])
    left: int = 4 * MOST_OUTPUT
    """Characters that all texts may still have in which an escaped value was made bare."""

    def object(self, origin: str, tree: Tree) -> ReadOutput:
        try:
            return ReadOutput(origin, self._object(tree) if isinstance(tree, dict) else tree)
        except AgentError as error:
            return ReadOutput(origin, tree, error.with_facts(file=origin))

    def _object(self, tree: Object) -> Object:
        tree = public.read(tree, self.sources)
        for name in sorted(builtin.CLEAR_FIELDS):
            for path, text in _texts(tree.get(name), (name,)):
                if _holds_any(text, path):
                    error = PlaceholderError(
                        "a sealed value stands in apiVersion, kind or metadata",
                        hint="these are visible to everyone who may read the object, and name it: keep the value in clear text",
                        field=format_path(path),
                    )
                    raise self._named(error, text)
        if builtin.is_core_secret(tree):
            tree = _in_clear(tree)
        result = self._tree(tree, ())
        assert isinstance(result, dict)
        return result

    def _named(self, error: PlaceholderError, text: str) -> PlaceholderError:
        """With the variable that a text is made of."""
        name = next((name for of, name in self.variables.items() if of in text), "")
        return error.with_facts(variable=name).with_hint(sinks.DISCLOSE) if name else error

    def _tree(self, tree: Tree, at: Path) -> Tree:
        if isinstance(tree, dict):
            for key in tree:
                if placeholders.is_marked(key):
                    error = PlaceholderError(
                        "a sealed value is a key", hint="keep the value in clear text", field=format_path(at)
                    )
                    raise self._named(error, key)
            return {key: self._tree(value, (*at, key)) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self._tree(item, (*at, index)) for index, item in enumerate(tree)]
        if not isinstance(tree, str):
            return tree
        try:
            return self._leaf(tree, at)
        except AgentError as error:
            raise error.with_facts(field=format_path(at)) from None

    def _leaf(self, text: str, at: Path) -> Leaf:
        plain = placeholders.decoded(text)
        if plain is not None:
            return self._made(Expression("b64enc", (self._operand(plain, at),)))
        if not placeholders.is_marked(text):
            return text
        given, text = text, self._bared(text)
        parts = placeholders.split(text)
        found = [self._source(Placeholder(part)) for part in parts[1::2]]
        if any(not part for part in parts[2:-1:2]):
            raise PlaceholderError(
                "two sealed values stand side by side", hint="put text between them, or make one value of both"
            )
        references = [source for source in found if isinstance(source, str)]
        if len(references) == len(found):
            return references[0] if len(text) == placeholders.LENGTH else _with_references(parts, references)
        if len(text) == placeholders.LENGTH:
            return self._made(found[0]) if isinstance(found[0], Expression) else found[0]
        if len(found) == 1 and not parts[0] and not parts[2].strip("\n") and not self._is_escaped(given):
            return self._made(Expression("clip", (parts[1], parts[2])))
        return self._made(Expression("concat", (self._operand(text, at),)))

    def _is_escaped(self, text: str) -> bool:
        """Whether it is all one text that was within quotes, where line breaks at the end are as they are written."""
        source = self.sources.get(Placeholder(text))
        return isinstance(source, Expression) and source.op in _ESCAPES

    def _made(self, expression: Expression) -> Sealed:
        """The leaf of an expression, which is kept with all that it is made of."""
        self.sources[expression.placeholder] = expression
        labels = self.kept([expression.placeholder])
        behind = (each for each in self.behind([expression.placeholder]).values() if not isinstance(each, Expression))
        public = all(isinstance(each, Sealed) and each.type == PUBLIC for each in behind)
        return expression.sealed(excerpt(" + ".join(labels)) or expression.op, public=public)

    def kept(self, given: Iterable[Placeholder]) -> dict[str, None]:
        """The labels of what stands behind placeholders, which is kept."""
        labels: dict[str, None] = {}
        for placeholder, source in self.behind(given).items():
            if isinstance(source, Expression):
                self.known[placeholder] = source
                for each in (each for text in source.args for each in placeholders.find(text)):
                    _ = self._source(each)
            else:
                self.inputs[placeholder] = source
                labels[_label(source)] = None
        return labels

    def behind(self, given: Iterable[Placeholder]) -> dict[Placeholder, Source]:
        """What stands behind placeholders, themselves included. Those that are not known are left out."""
        found: dict[Placeholder, Source] = {}
        waiting = [*given][::-1]
        while waiting:
            placeholder = waiting.pop()
            source = self.sources.get(placeholder)
            if source is not None and placeholder not in found:
                found[placeholder] = source
                if isinstance(source, Expression):
                    waiting += (each for text in source.args for each in placeholders.find(text))
        return found

    def _source(self, placeholder: Placeholder) -> Source:
        source = self.sources.get(placeholder)
        if source is None:
            raise PlaceholderError(
                "text looks like the placeholder of a sealed value, but this render made no such placeholder",
                hint="write another text",
            )
        return source

    def _operand(self, text: str, at: Path) -> str:
        """A text that is put together later: references in it are inputs as well, since the result is not searched for any."""
        return presented.text(self._bared(text), self.sources, at, keeps_escapes=False)

    def _bared(self, text: str, depth: int = MOST_DEPTH) -> str:
        """The text with values as they are where they were escaped for quotes that are gone."""
        parts = placeholders.split(text)
        for number in range(1, len(parts), 2):
            placeholder = Placeholder(parts[number])
            source = self._source(placeholder)
            if not isinstance(source, Expression) or not _is_gone(source, parts, number):
                continue
            if placeholder not in self.bare:
                if depth <= 0:
                    raise LimitError("operations on a sealed value are nested too deeply", limit=MOST_DEPTH)
                self.bare[placeholder] = self._inner(source, depth)
            parts[number] = self.bare[placeholder]
            self.left -= len(parts[number])
            if self.left < 0:
                raise LimitError("what is made of a sealed value is too long", limit=MOST_OUTPUT)
        if sum(map(len, parts)) > MOST_OUTPUT:
            raise LimitError("what is made of a sealed value is too long", limit=MOST_OUTPUT)
        return "".join(parts)

    def _inner(self, source: Expression, depth: int) -> str:
        """What an operation was done to. Where that was within quotes, lines were moved right in a text that no parser saw: they stay so."""
        inner = source.args[0]
        if source.op in _ESCAPES and any(map(self._moves, placeholders.find(inner))):
            whole = Expression("text", (inner,))
            self.sources[whole.placeholder] = whole
            return whole.placeholder
        return self._bared(inner, depth - 1)

    def _moves(self, placeholder: Placeholder) -> bool:
        source = self.sources.get(placeholder)
        return isinstance(source, Expression) and source.op == "indent"


def _is_gone(source: Expression, parts: list[str | Placeholder], number: int) -> bool:
    """Whether what an operation did is not in the text any more: a parser took quotes, and what a block is moved right by."""
    return source.op == "indent" or (source.op in _ESCAPES and not _is_quoted(parts, number))


def _is_quoted(parts: list[str | Placeholder], number: int) -> bool:
    """Whether quotes are visible around a placeholder. Raises PlaceholderError where they are half gone, or escaped themselves."""
    before, after = parts[number - 1], parts[number + 1]
    opens, closes = before.endswith('"'), after.startswith('"')
    if opens != closes or before.endswith('\\"'):
        raise PlaceholderError(
            "the quotes around a sealed value were changed", hint="put the value into a Secret, and name that"
        )
    return opens


def _with_references(parts: list[str | Placeholder], references: list[str]) -> str:
    texts = list[str](parts)
    texts[1::2] = [f"${{{reference}}}" for reference in references]
    return "".join(texts)


def _label(source: Sealed | str) -> str:
    return source.label if isinstance(source, Sealed) else source


def _standing(tree: Tree) -> Iterator[Placeholder]:
    """The placeholders of a document, wherever they stand; what cannot be read holds the object."""
    for _, text in _texts(tree, ()):
        try:
            yield from placeholders.find(placeholders.decoded(text) or text)
        except PlaceholderError:
            continue


def _texts(tree: Tree, at: Path) -> Iterator[tuple[Path, str]]:
    """The texts and keys of an object, each with the path that it stands at."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*at, key), key
            yield from _texts(value, (*at, key))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _texts(item, (*at, index))
    elif isinstance(tree, str):
        yield at, tree


def _holds_any(text: str, at: Path) -> bool:
    try:
        return placeholders.is_marked(text) or placeholders.decoded(text) is not None
    except PlaceholderError as error:
        raise error.with_facts(field=format_path(at)) from None


def _in_clear(secret: Object) -> Object:
    """A `v1/Secret` with what a renderer encoded under `stringData`, where nothing else stands there."""
    data, given = secret.get("data"), secret.get("stringData")
    if not isinstance(data, dict) or not isinstance(given, dict | None):
        return secret
    plain: dict[str, str] = {}
    for key, value in data.items():
        try:
            text = placeholders.decoded(value) if isinstance(value, str) else None
        except PlaceholderError as error:
            raise error.with_facts(field=format_path(("data", key))) from None
        if text is not None:
            plain[key] = text
    if not plain:
        return secret
    left = {key: value for key, value in data.items() if key not in plain}
    return {**secret, "data": left, "stringData": {**plain, **(given or {})}}
