"""Objects as a renderer gave them, and those of manifests, with their variables: documents to merge, and what their leaves are made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.manifests import cut_fields, documents, expansion, generated, hashed, rendered, substitution
from agent.manifests.documents import RENDERED
from agent.manifests.rendered import Output
from agent.sops.kubernetes import clear
from agent.values import placeholders
from agent.values.errors import AgentError, PlaceholderError
from agent.values.secret import Sealed
from agent.values.tree import format_path, walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from agent.manifests.cut_fields import FieldPath
    from agent.manifests.documents import Document
    from agent.manifests.generated import GeneratedValue
    from agent.manifests.substitution import Variables
    from agent.values.expressions import Expressions, Source
    from agent.values.generated import Generation
    from agent.values.placeholders import Placeholder
    from agent.values.questions import Question
    from agent.values.tree import Tree


@dataclass(frozen=True, slots=True)
class Made:
    """Documents, those of the renderer first. `unused` are the labels of sealed values of `handed` that stand in none of them.

    All hold only as far as `questions` are right. `skipped` are the files of hooks that were left out, `elsewhere` those of hooks that the agent
    never runs. `notes` are the chart's NOTES.txt for its user. `generated` is what templates make up.
    """

    documents: tuple[Document, ...]
    expressions: Expressions
    unused: tuple[str, ...]
    questions: tuple[Question, ...] = ()
    skipped: tuple[str, ...] = ()
    generated: Mapping[Placeholder, GeneratedValue] = field(default_factory=dict["Placeholder", "GeneratedValue"])
    elsewhere: tuple[str, ...] = ()
    notes: str = ""


def of(
    outputs: Iterable[tuple[str, Tree]],
    layered: Sequence[Document],
    *,
    sources: Mapping[Placeholder, Source],
    handed: Collection[Placeholder] = (),
    variables: Variables | None = None,
    cut: Collection[FieldPath] = (),
    folder: str = "",
    questions: tuple[Question, ...] = (),
    generations: Mapping[Placeholder, Generation] | None = None,
    namespace: str = "",
) -> Made:
    """Documents of the renderer's outputs, each with the file it is made of, and of the layers above them. `folder` is what was rendered.

    `generations` are what templates make up, and `namespace` that of objects which name none. What is wrong with one is its error. Raises
    PlaceholderError where a renderer lied about an operation, RandomValueError, and LimitError.
    """
    given = [
        documents.document(file, 0, RENDERED, item, sealed=False)
        for file, tree in outputs
        for item in clear.objects(tree)
    ]
    beside = layered
    if variables is not None:
        room = expansion.Room()
        given = [_substituted(each, variables, room) for each in (*given, *map(_unforged, layered))]
        beside = ()
    values: Mapping[Placeholder, GeneratedValue] = {}
    if generations:
        settled = generated.settle([each.tree for each in given], sources, generations, questions, namespace)
        given = [
            _with(each, tree, settled.errors.get(number))
            for number, (each, tree) in enumerate(zip(given, settled.trees, strict=True))
        ]
        sources, questions, values = settled.sources, settled.questions, settled.values
    placed = hashed.placed([each.tree for each in given], sources)
    given, sources = list(map(_with, given, placed.trees)), placed.sources
    named = {value: name for name, value in variables.values.items() if value in sources} if variables else {}
    asked = [text for each in (*questions, *(value.generation for value in values.values())) for text in each.args]
    found = rendered.read([Output(each.file, each.tree) for each in given], sources, handed, named, asked)
    read = (_read(each, result, cut) for each, result in zip(given, found.objects, strict=True))
    placed = (replace(each, rendered_from=folder) if each.layer == RENDERED else each for each in read)
    return Made((*placed, *beside), found.expressions, found.unused, questions, generated=values)


def _with(document: Document, tree: Tree, error: AgentError | None = None) -> Document:
    """With another tree, or with why it has none."""
    error = document.error or error
    if error is None and tree != document.tree:
        return documents.document(document.file, document.line, document.layer, tree, sealed=document.sealed)
    return replace(document, error=error)


def _unforged(document: Document) -> Document:
    """Placeholders have no key, so a manifest may hold none before its variables have values."""
    for path, leaf in walk(document.tree):
        try:
            placeholders.refuse(leaf if isinstance(leaf, str) else "")
        except PlaceholderError as error:
            return replace(document, error=error.with_facts(file=document.file, field=format_path(path)))
    return document


def _substituted(document: Document, variables: Variables, room: expansion.Room) -> Document:
    """With values for its variables, before which nothing but its form can be wrong with it."""
    if not document.tree or isinstance(document.error, PlaceholderError):
        return document
    try:
        tree = substitution.substitute(document.tree, variables, room)
    except AgentError as error:
        return replace(document, error=error.with_facts(file=document.file))
    if tree == document.tree:
        return document
    return documents.document(document.file, document.line, document.layer, tree, sealed=document.sealed)


def _read(document: Document, found: rendered.ReadOutput, cut: Collection[FieldPath]) -> Document:
    if found.error is not None:
        return replace(document, error=document.error or found.error)
    if found.tree == document.tree:
        return document
    error = document.error
    made = documents.document(document.file, document.line, document.layer, found.tree, sealed=document.sealed)
    at = next(
        (path for path, leaf in walk(found.tree) if isinstance(leaf, Sealed) and cut_fields.cuts(cut, path)), None
    )
    if at is not None:
        error = PlaceholderError(
            "a replacement takes a sealed value apart, or puts a part of one here",
            hint="give the part a value of its own, and replace the whole field",
            file=document.file,
            field=format_path(at),
        )
    return replace(made, error=error or made.error)
