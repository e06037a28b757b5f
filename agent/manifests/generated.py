"""Which leaf holds each value that templates make up: by that leaf it is known from then on.

A renderer knows such a value by the place in a template that asks for it, which moves with every version of a chart. The object and the
path where it stands alone stay, and there the cluster keeps it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.manifests import builtin
from agent.values import placeholders, sprig
from agent.values.dataclass import replace
from agent.values.errors import AgentError, PlaceholderError, RandomValueError
from agent.values.expressions import MOST_DEPTH, Expression
from agent.values.generated import JOINED, TEXTS, Generation
from agent.values.ids import ObjectId
from agent.values.placeholders import Placeholder
from agent.values.secret import PUBLIC, Sealed
from agent.values.tree import format_path, get, get_text, map_leaves, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agent.manifests.layers import Desired
    from agent.values.expressions import Expressions, Source
    from agent.values.questions import Question
    from agent.values.tree import Leaf, Object, Path, Tree

_AROUND: Final = frozenset({"goquote", "json", "rawjson", "indent", "concat", "clip"})
"""Operations that leave a value as it is where it stands alone."""
_SIGNS: Final = re.compile(r"[!-/:-@\[-`{-~]*")
"""What may stand between values that are joined: no letter, no digit, no space."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A leaf that is one value alone. `encodings` is how often base64 is around it, beside that of a Secret's data; `clipped`: line breaks end it."""

    object: ObjectId
    path: Path
    encodings: int = 0
    clipped: bool = False

    def __str__(self) -> str:
        return f"{self.object}#{format_path(self.path)}"


@dataclass(frozen=True, slots=True)
class GeneratedValue:
    """A value that is made once and kept where it stands: in the first of its `holders` that has one."""

    generation: Generation
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Objects and what their leaves are made of, with values under the names of their leaves. `errors` are by the place of the object."""

    trees: tuple[Tree, ...]
    errors: Mapping[int, AgentError]
    sources: Mapping[Placeholder, Source]
    questions: tuple[Question, ...]
    values: Mapping[Placeholder, GeneratedValue]


def settle(
    trees: Sequence[Tree],
    sources: Mapping[Placeholder, Source],
    made: Mapping[Placeholder, Generation],
    questions: Sequence[Question],
    namespace: str,
) -> Settled:
    """The objects of a render with all that templates made up known by where it stands.

    `namespace` is that of Secrets which name none. Raises RandomValueError for a question about a value that stands nowhere alone, and
    PlaceholderError for one that is not made up.
    """
    if forged := made.keys() & sources.keys():
        raise PlaceholderError("a renderer gives a value for one that a template makes up", placeholder=min(forged))
    if joined := _joined(trees, sources, made):
        joiner = _Renamer(sources, {}, {}, {}, {text: name for name, (text, _) in joined.items()})
        trees = [map_leaves(tree, lambda _, leaf: joiner.leaf(leaf)) for tree in trees]
        questions = [replace(each, args=tuple(map(joiner.text, each.args))) for each in questions]
        sources, made = joiner.kept(), {**made, **{name: asked for name, (_, asked) in joined.items()}}
    made = {**made, **_changed(trees, sources, made)}
    found = {each: tuple(sorted(held, key=_rank)) for each, held in _holders(trees, sources, made, namespace).items()}
    names = {each: _name(held[0], made[each], made) for each, held in found.items()}
    known = dict(names)
    for each in made:
        if each not in known and (beside := _used_by(each, made, names)):
            known[each] = placeholders.of("generated", "behind", *beside, made[each].part, *_places(each, made))
    renamer = _Renamer(sources, known, {}, {})
    errors = {
        number: error
        for number, tree in enumerate(trees)
        if (error := _refusal(_texts(tree), sources, made, names)) is not None
    }
    asked = [text for each in questions for text in each.args]
    refused = _refusal(asked, sources, made, names)
    if refused is not None:
        raise refused
    values = {name: GeneratedValue(_renamed(made[each], renamer), found.get(each, ())) for each, name in known.items()}
    leaves = {name: _leaf(name, value) for name, value in values.items()}
    return Settled(
        tuple(map_leaves(tree, lambda _, leaf: renamer.leaf(leaf)) for tree in trees),
        errors,
        {**renamer.kept(), **leaves},
        tuple(replace(each, args=tuple(map(renamer.text, each.args))) for each in questions),
        values,
    )


def kept(
    values: Mapping[Placeholder, GeneratedValue],
    objects: Mapping[ObjectId, Desired],
    expressions: Expressions,
    namespace: str,
) -> dict[str, GeneratedValue]:
    """The values with those holders alone that still are after layers were merged, by their full identity."""
    return {
        name: replace(value, holders=tuple(_kept(name, value.holders, objects, expressions, namespace)))
        for name, value in values.items()
    }


def _kept(
    name: Placeholder,
    holders: Iterable[Holder],
    objects: Mapping[ObjectId, Desired],
    expressions: Expressions,
    namespace: str,
) -> Iterator[Holder]:
    for holder in holders:
        key = holder.object if holder.object in objects else replace(holder.object, namespace=namespace)
        if key not in objects:
            continue
        places = [holder.path, ("stringData", *holder.path[1:])] if _is_secret(key) else [holder.path]
        leaves = [get(objects[key].tree, *place) for place in places]
        ids = [leaf.id for leaf in leaves if isinstance(leaf, Sealed)]
        if name in ids or name in expressions.behind(ids).inputs:
            yield replace(holder, object=key)


def _leaf(name: Placeholder, value: GeneratedValue) -> Sealed:
    label = f"generated:{value.holders[0]}" if value.holders else "generated"
    return Sealed(name, label, PUBLIC if value.generation.is_public else "str")


def _is_secret(key: ObjectId) -> bool:
    return (key.group, key.kind) == ("", "Secret")


def _rank(holder: Holder) -> tuple[bool, str, str]:
    return not _is_secret(holder.object), holder.object.key, format_path(holder.path)


def _name(holder: Holder, asked: Generation, made: Mapping[Placeholder, Generation]) -> Placeholder:
    """By the leaf, and by the CA and the key that are given to it: with others it is another one."""
    given = [text for text in asked.material if made.keys().isdisjoint(placeholders.named(text))]
    return placeholders.of("generated", holder.object.key, *map(str, holder.path), asked.part, *given)


def _holders(
    trees: Sequence[Tree], sources: Mapping[Placeholder, Source], made: Mapping[Placeholder, Generation], namespace: str
) -> dict[Placeholder, list[Holder]]:
    found: dict[Placeholder, list[Holder]] = {}
    for tree in trees:
        if not isinstance(tree, dict):
            continue
        for path, leaf in walk(tree):
            if not isinstance(leaf, str) or not path or path[0] in builtin.CLEAR_FIELDS or path[0] == "status":
                continue
            alone = _alone(leaf, sources, made)
            if alone is None:
                continue
            name, encodings = alone
            is_fixed = all(isinstance(step, str) for step in path)
            holder = _holder(tree, path, encodings, leaf.endswith("\n"), namespace)
            if holder is not None and (is_fixed or made[name].is_public):
                found.setdefault(name, []).append(holder)
    return found


def _changed(
    trees: Sequence[Tree], sources: Mapping[Placeholder, Source], made: Mapping[Placeholder, Generation]
) -> dict[Placeholder, Generation]:
    """What functions from text to text make of a value that stands nowhere as it is: where that is one text alone, it is the value."""
    texts = [leaf for tree in trees for _, leaf in walk(tree) if isinstance(leaf, str) and placeholders.is_marked(leaf)]
    alone = {found[0] for text in texts if (found := _alone(text, sources, made)) is not None}
    of: dict[Placeholder, dict[Placeholder, Generation]] = {}
    for text in texts:
        found = _steps(text, sources, made)
        if found is not None and found[1] not in alone:
            name, base, steps = found
            asked = replace(made[base], call=f"{made[base].call} {name}", then=steps)
            of.setdefault(base, {})[name] = asked
    return {name: each for several in of.values() if len(several) == 1 for name, each in several.items()}


def _joined(
    trees: Sequence[Tree], sources: Mapping[Placeholder, Source], made: Mapping[Placeholder, Generation]
) -> dict[Placeholder, tuple[str, Generation]]:
    """Texts of several values with nothing but signs between them, as `user:password`, that stand alone: each is one value, by its placeholder.

    A value that stands alone itself, or in another such text, belongs to no text: an edit of one would not reach the other.
    """
    texts = [leaf for tree in trees for _, leaf in walk(tree) if isinstance(leaf, str) and placeholders.is_marked(leaf)]
    alone = {found[0] for text in texts if (found := _alone(text, sources, made)) is not None}
    wholes: dict[str, list[Placeholder]] = {}
    for text in texts:
        inner = _within(text, sources)
        parts = placeholders.named(inner)
        are_made = len(parts) > 1 and all(each in made and made[each].function in TEXTS for each in parts)
        if are_made and alone.isdisjoint(parts) and _SIGNS.fullmatch(placeholders.without(inner)):
            wholes[inner] = parts
    uses = Counter(each for parts in wholes.values() for each in parts)
    result: dict[Placeholder, tuple[str, Generation]] = {}
    for inner, parts in wholes.items():
        if all(uses[each] == 1 for each in parts):
            first = made[parts[0]]
            name = placeholders.of("generated", JOINED, inner)
            result[name] = inner, Generation(JOINED, (inner,), "", f"{JOINED} {name}", first.file, first.line)
    return result


def _within(text: str, sources: Mapping[Placeholder, Source]) -> str:
    """A text without base64 and quotes around it."""
    for _ in range(MOST_DEPTH):
        source = sources.get(Placeholder(text.rstrip("\n")))
        if not isinstance(source, Expression) or source.op not in _AROUND | {"b64enc"}:
            break
        text = source.args[0]
    return text.rstrip("\n")


def _places(name: Placeholder, made: Mapping[Placeholder, Generation]) -> list[str]:
    """Where a value is in the texts that are joined of it."""
    joined = [each for each in made.values() if each.function == JOINED and name in each.args[0]]
    return [str(placeholders.named(each.args[0]).index(name)) for each in joined]


def _steps(
    text: str, sources: Mapping[Placeholder, Source], made: Mapping[Placeholder, Generation]
) -> tuple[Placeholder, Placeholder, tuple[tuple[str, ...], ...]] | None:
    """What a text is alone behind base64: its placeholder, the value that it is made of, and by which functions."""
    first, steps = None, list[tuple[str, ...]]()
    for _ in range(MOST_DEPTH):
        name = Placeholder(text.rstrip("\n"))
        if name in made:
            return (first, name, tuple(reversed(steps))) if first and made[name].function in TEXTS else None
        source = sources.get(name)
        if not isinstance(source, Expression) or any(map(placeholders.is_marked, source.args[1:])):
            return None
        if source.op in sprig.FUNCTIONS:
            first = first or name
            steps.append((source.op, *source.args[1:]))
        elif first or source.op not in _AROUND | {"b64enc"}:
            return None
        text = source.args[0]
    return None


def _holder(tree: Object, path: Path, encodings: int, clipped: bool, namespace: str) -> Holder | None:
    group, _, _ = get_text(tree, "apiVersion").rpartition("/")
    kind, name = get_text(tree, "kind"), get_text(tree, "metadata", "name")
    key = ObjectId(group, kind, get_text(tree, "metadata", "namespace"), name)
    if not _is_secret(key):
        return Holder(key, path, encodings, clipped)
    key = replace(key, namespace=key.namespace or namespace)
    if path[0] == "data":
        encodings -= 1
    return Holder(key, ("data", *path[1:]), encodings, clipped) if encodings >= 0 and len(path) == 2 else None


def _alone(
    text: str, sources: Mapping[Placeholder, Source], made: Mapping[Placeholder, Generation]
) -> tuple[Placeholder, int] | None:
    """The value that a text is, and how often it is in base64; None where it is something else."""
    encodings = 0
    for _ in range(MOST_DEPTH):
        name = Placeholder(text.rstrip("\n"))
        if name in made:
            return name, encodings
        source = sources.get(name)
        if not isinstance(source, Expression) or source.op not in _AROUND | {"b64enc"}:
            return None
        encodings += source.op == "b64enc"
        text = source.args[0]
    return None


def _used_by(
    name: Placeholder, made: Mapping[Placeholder, Generation], names: Mapping[Placeholder, Placeholder]
) -> list[str]:
    """The names of what is made with a value that stands nowhere itself, such as the key of a CA; and of the other part of its call."""
    call = made[name].call
    return sorted(
        names[each]
        for each, other in made.items()
        if each in names and (other.call == call or any(name in arg for arg in other.args))
    )


def _renamed(made: Generation, renamer: _Renamer) -> Generation:
    return replace(made, args=tuple(map(renamer.text, made.args)))


def _texts(tree: Tree) -> Iterator[str]:
    for path, leaf in walk(tree):
        yield from (step for step in path if isinstance(step, str))
        if isinstance(leaf, str):
            yield leaf


def _refusal(
    texts: Iterable[str],
    sources: Mapping[Placeholder, Source],
    made: Mapping[Placeholder, Generation],
    held: Mapping[Placeholder, Placeholder],
) -> RandomValueError | None:
    """Why these texts cannot be made again: a value in them stands nowhere alone."""
    seen: set[str] = set()
    waiting = [text for text in texts if placeholders.is_marked(text)]
    while waiting:
        for name in placeholders.named(waiting.pop()):
            if name in seen or name in held:
                continue
            seen.add(name)
            source = sources.get(name)
            if name in made:
                asked = made[name]
                return RandomValueError(
                    "a template makes up a value that no object holds alone, so it could not be kept",
                    hint="give it a key of its own in a Secret of the chart and use it from there, or set a value for it",
                    function=asked.function,
                    file=asked.file,
                    line=asked.line,
                )
            if isinstance(source, Expression):
                waiting += source.args
    return None


@dataclass(slots=True)
class _Renamer:
    """Puts other placeholders in the place of some, and so in the place of all that is made of these."""

    sources: Mapping[Placeholder, Source]
    names: Mapping[Placeholder, Placeholder]
    done: dict[Placeholder, Placeholder]
    made: dict[Placeholder, Source]
    texts: Mapping[str, Placeholder] = field(default_factory=dict[str, "Placeholder"])

    def leaf(self, leaf: Leaf) -> Leaf:
        return self.text(leaf) if isinstance(leaf, str) and placeholders.is_marked(leaf) else leaf

    def text(self, text: str, depth: int = MOST_DEPTH) -> str:
        for whole, name in self.texts.items():
            text = text.replace(whole, name)
        return placeholders.replaced(text, lambda name: self._name(name, depth))

    def _name(self, name: Placeholder, depth: int) -> Placeholder:
        if name in self.names:
            return self.names[name]
        source = self.sources.get(name)
        if name in self.done or not isinstance(source, Expression) or depth == 0:
            return self.done.get(name, name)
        args = tuple(self.text(each, depth - 1) for each in source.args)
        expression = Expression(source.op, args) if args != source.args else source
        self.done[name] = expression.placeholder
        self.made[expression.placeholder] = expression
        return expression.placeholder

    def kept(self) -> dict[Placeholder, Source]:
        """The sources, with those that have another name by it."""
        for name in self.sources:
            _ = self._name(name, MOST_DEPTH)
        gone = {name for name, now in self.done.items() if name != now}
        return {**{name: source for name, source in self.sources.items() if name not in gone}, **self.made}
