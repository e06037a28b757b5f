"""Documents of all layers → the objects that a commit wants: identities, scopes and the sealed merge.

Fails per object: an identity with any fault, in any layer, is left out of `objects` and named in `failures`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.manifests import documents as docs
from agent.manifests import ownership, strategic
from agent.manifests.builtin import GROUPS, LAST_APPLIED, group_of
from agent.manifests.ignoring import NOTHING, Ignored
from agent.values.errors import (
    AgentError,
    DuplicateObjectError,
    ManifestError,
    UnknownKindError,
)
from agent.values.ids import ObjectId
from agent.values.problems import Problem
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from agent.manifests.documents import Document
    from agent.manifests.hooks import Hook
    from agent.manifests.kinds import Kinds
    from agent.manifests.places import Places
    from agent.values.tree import Object


_SERVER_FIELDS = frozenset(
    {"managedFields", "resourceVersion", "uid", "selfLink", "creationTimestamp", "generation", "deletionTimestamp"}
)


@dataclass(frozen=True, slots=True)
class Desired:
    """One object as the layers want it, still sealed. `files` are all that had a say, in layer order.

    `tree` is what it is created as; once it stands, what is `ignored` is left to others. `hashed`: its name is another one when it holds
    something else, so that rolls what names it. `own` is its metadata as Git has it, where the Application adds to that.
    `rendered_from` is the folder of the overlay or chart that gave it; empty for manifests alone. `hook`: it stands only to run.
    """

    id: ObjectId
    api_version: str
    tree: Object
    files: tuple[str, ...]
    ignored: Ignored = NOTHING
    hashed: bool = False
    own: Object | None = None
    rendered_from: str = ""
    hook: Hook | None = None

    @property
    def outline(self) -> Desired:
        """Without what it holds, except whether it is left alone."""
        return replace(self, tree=ownership.outline(self.tree), ignored=NOTHING, own=None)

    @property
    def kept(self) -> Object:
        """The object as it is kept where it stands."""
        return self.ignored.without(self.tree)


@dataclass(frozen=True, slots=True)
class Merged:
    """`failures` have no object where a document does not say which it is."""

    objects: Mapping[ObjectId, Desired]
    failures: tuple[Problem, ...]


def merge(
    documents: Iterable[Document],
    *,
    kinds: Kinds,
    places: Places,
    replaced: Collection[tuple[str, str]] = (),
) -> Merged:
    """Merge by identity, in the order of layers.

    `places` are the namespaces that they may go to. `replaced` are namespaced kinds (apiVersion, kind) that need not be served, since
    other objects take their place. Failures carry ManifestError and its kinds:
    DuplicateObjectError, ForeignNamespaceError, UnknownKindError.
    """
    given = list(documents)
    scopes = {**dict(_declared_scopes(given)), **dict.fromkeys(replaced, True)}
    failures: list[Problem] = []
    by_identity: dict[ObjectId, list[Document]] = {}
    for document in given:
        object_id, error = _identify(document, kinds, scopes, places)
        if object_id is None or error is not None:
            error = error or ManifestError("document is not a manifest", file=document.file, line=document.line)
            failures.append(Problem(error, object_id, document.file))
        else:
            by_identity.setdefault(object_id, []).append(document)
    held = {failure.object for failure in failures}
    objects: dict[ObjectId, Desired] = {}
    for object_id, declared in by_identity.items():
        folded = _fold(object_id, declared)
        if isinstance(folded, Problem):
            failures.append(folded)
        elif folded is not None and object_id not in held:
            folder = next((document.rendered_from for document in declared if document.rendered_from), "")
            objects[object_id] = Desired(
                object_id, get_text(folded, "apiVersion"), folded, _files(declared), rendered_from=folder
            )
    return Merged(objects, tuple(failures))


def _files(declared: Iterable[Document]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(document.file for document in declared))


def _fold(object_id: ObjectId, declared: list[Document]) -> Object | Problem | None:
    """The layers' declarations of one object as one tree; None where the last word is to delete it."""
    twice = _first_twice(declared)
    if twice is not None:
        return Problem(_duplicate(object_id, *twice), object_id, twice[1].file)
    layers = strategic.Merge(object_id.group, object_id.kind)
    at = declared[0]
    try:
        for at in sorted(declared, key=lambda one: one.layer):
            layers.add(at.tree)
    except ManifestError as error:
        return Problem(error.with_facts(file=at.file, line=at.line, object=object_id), object_id, at.file)
    tree = layers.result()
    return None if tree is None else _normalised(tree, object_id)


def _identify(
    document: Document,
    kinds: Kinds,
    scopes: Mapping[tuple[str, str], bool],
    places: Places,
) -> tuple[ObjectId | None, AgentError | None]:
    named = docs.identity_of(document.tree)
    if named is None:
        return None, document.error
    group, kind, namespace, name = named
    api_version = get_text(document.tree, "apiVersion")
    served = kinds.served(api_version, kind)
    namespaced = served.namespaced if served is not None else scopes.get((api_version, kind))
    if namespaced is False:
        return ObjectId(group, kind, "", name), document.error
    object_id = ObjectId(group, kind, places.of(namespace), name)
    if document.error is not None:
        return object_id, document.error
    if namespaced is None:
        return object_id, _unknown(document, object_id, kinds, api_version)
    refusal = places.refusal(object_id.namespace)
    if refusal is not None:
        return object_id, refusal.with_facts(file=document.file, line=document.line, object=object_id)
    return object_id, None


def _unknown(document: Document, object_id: ObjectId, kinds: Kinds, api_version: str) -> UnknownKindError:
    place = {"file": document.file, "line": document.line}
    if group_of(api_version) in kinds.unavailable:
        return UnknownKindError(
            "discovery of this API group fails",
            hint="look at the APIService of this group",
            **place,
            object=object_id,
            version=api_version,
        )
    other = kinds.of(object_id)
    if other is not None:
        return UnknownKindError(
            "the cluster does not serve this version of the kind",
            hint="use a version that is served",
            **place,
            object=object_id,
            version=api_version,
            served=other.api_version,
        )
    return UnknownKindError(
        "the cluster does not serve this kind",
        hint="is its CRD applied? it may be in the same application",
        **place,
        object=object_id,
        version=api_version,
    )


def _declared_scopes(documents: Iterable[Document]) -> Iterator[tuple[tuple[str, str], bool]]:
    for document in documents:
        tree = document.tree
        if document.error is not None or tree.get("kind") != "CustomResourceDefinition":
            continue
        group, kind = get_text(tree, "spec", "group"), get_text(tree, "spec", "names", "kind")
        versions = get(tree, "spec", "versions")
        if group in GROUPS or not isinstance(versions, list):
            continue
        for version in versions:
            if name := get_text(version, "name"):
                yield (f"{group}/{name}", kind), get(tree, "spec", "scope") != "Cluster"


def _first_twice(declared: Iterable[Document]) -> tuple[Document, Document] | None:
    first: dict[int, Document] = {}
    for document in declared:
        if document.layer in first:
            return first[document.layer], document
        first[document.layer] = document
    return None


def _duplicate(object_id: ObjectId, first: Document, second: Document) -> DuplicateObjectError:
    return DuplicateObjectError(
        "object is declared twice in one layer",
        hint="remove one, or move one to a later layer, where it merges",
        file=second.file,
        line=second.line,
        object=object_id,
        first=f"{first.file}:{first.line}" if first.line else first.file,
    )


def _normalised(tree: Object, object_id: ObjectId) -> Object:
    """Without what only a server writes, as exported manifests have it, and with the namespace written out."""
    metadata = tree.get("metadata")
    clean: Object = {}
    if isinstance(metadata, dict):
        clean = {key: value for key, value in metadata.items() if key not in _SERVER_FIELDS and key != "namespace"}
    annotations = clean.get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        clean["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    if object_id.namespace:
        clean["namespace"] = object_id.namespace
    return {
        key: clean if key == "metadata" else value
        for key, value in tree.items()
        if key != "status" or object_id.group not in GROUPS
    }
