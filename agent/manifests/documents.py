"""Files of a commit → documents: what is declared where, each with its line, before anything is merged or opened.

A file that does not parse is an UnreadFile. A document that parses but cannot be applied keeps its place, with its error: the
merge holds that object and no other. `parse_file` depends on nothing but the file, so callers may keep its result by blob.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.manifests import lookalikes
from agent.manifests.builtin import CLEAR_FIELDS, group_of
from agent.sops.files import sealed as sops
from agent.sops.format import cipher
from agent.sops.kubernetes import clear
from agent.values.errors import AgentError, LimitError, ManifestError, UnsupportedManifestError
from agent.values.problems import Problem
from agent.values.secret import Sealed
from agent.values.tree import format_path, get, get_text, size, walk
from agent.yaml.limits import Limits
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from agent.values.tree import Object, Tree

ManifestIdentity: TypeAlias = tuple[str, str, str, str]
"""Group, kind, namespace as written (empty where it is left to a default) and name."""


_LIMITS = Limits()

# Without such a key no value opens: what is left of a ciphertext holds its own object, not the file.
_SOPS_KEY = re.compile(rb"""(?:^|[{,])[ \t]*["']?sops["']?[ \t]*:""", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:@-]{0,251}[A-Za-z0-9])?")
_MOST_OF_A_NAME = 1000
_RBAC = "rbac.authorization.k8s.io"
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_API_VERSION = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_VARIABLE = re.compile(r"\$\{(?!(?:vault|lease):)[A-Za-z_][A-Za-z0-9_]*(?:\}|[-:=?+#%/^,][^{}]*\})")
"""As envsubst and Flux's postBuild know it; a reference to a store is none."""

_RENDERER_FILES = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization", "Chart.yaml"})


@dataclass(frozen=True, slots=True)
class File:
    """A blob of a commit below a layer. `path` is relative to the repository, `layer` counts from 0, or is `RENDERED`."""

    path: str
    blob: str
    data: bytes = field(repr=False)
    layer: int


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A path of a commit. `kind`: a regular file, a symbolic link or a submodule. `size` is None for a file too large to be fetched."""

    blob: str
    size: int | None
    kind: Literal["file", "link", "submodule"] = "file"


RENDERED: Final = -1
"""The layer of what a renderer gave: below all layers of files."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object as one file declares it. `sealed`: it comes from a SOPS file. `error`: why it cannot be applied.

    Fields, as text for people: `plaintext` has those of a Secret that hold a value in the clear, `unbound` what the MAC does not hold in
    its place, or, with `mac_only_encrypted`, not at all. `variables`: a text is written as if something would put a value in. `rendered_from` is the folder of the overlay or chart
    that gave the object. `size` is how many keys and values it has.
    """

    file: str
    line: int
    layer: int
    tree: Object
    sealed: bool
    error: AgentError | None = None
    plaintext: str = ""
    unbound: str = ""
    variables: bool = False
    rendered_from: str = ""
    size: int = 0
    mac_only_encrypted: bool = False


@dataclass(frozen=True, slots=True)
class UnreadFile(Problem):
    """A file that gives no documents, and the identities that its clear text names nevertheless."""

    identities: frozenset[ManifestIdentity] = frozenset()


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What one file gives. `failure` set: no documents. `text` is how many bytes it has."""

    documents: tuple[Document, ...] = ()
    sealed: sops.SealedFile | None = None
    failure: UnreadFile | None = None
    text: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a commit's files give; `sealed` by path."""

    documents: tuple[Document, ...]
    sealed: Mapping[str, sops.SealedFile]
    failures: tuple[UnreadFile, ...]


def parse(files: Iterable[File], *, limits: Limits = _LIMITS) -> Parsed:
    """All documents of `files`, in order."""
    return collect((file.path, parse_file(file, limits=limits)) for file in files)


def collect(parsed: Iterable[tuple[str, ParsedFile]]) -> Parsed:
    """The same from files parsed before: pairs of path and result."""
    documents: list[Document] = []
    sealed: dict[str, sops.SealedFile] = {}
    failures: list[UnreadFile] = []
    for path, file in parsed:
        documents.extend(file.documents)
        if file.sealed is not None:
            sealed[path] = file.sealed
        if file.failure is not None:
            failures.append(file.failure)
    return Parsed(tuple(documents), sealed, tuple(failures))


def refuse_many(found: Collection[Document], *, objects: int, values: int) -> None:
    """Raises LimitError for more objects than one Application may have, or more keys and values in all of them."""
    if len(found) > objects:
        raise LimitError(
            "there are more objects than the agent accepts",
            hint="split the Application, or raise limits.objects in the operator's file",
            limit=objects,
            found=len(found),
        )
    if sum(each.size for each in found) > values:
        raise many_values(values)


def many_values(limit: int) -> LimitError:
    """The objects of one Application have more keys and values than it may have."""
    return LimitError(
        "the objects have more keys and values than the agent accepts",
        hint="split the Application, or raise limits.values and memory: see Sizing in docs/operations.md",
        limit=limit,
    )


def parse_file(file: File, *, limits: Limits = _LIMITS) -> ParsedFile:
    """The documents of one file; never raises an AgentError."""
    try:
        if file.path.rpartition("/")[2] in _RENDERER_FILES:
            raise UnsupportedManifestError(
                "a file of kustomize or Helm is in a layer, where manifests are",
                hint="name its folder in spec.render.kustomize.path, or in spec.render.helm.chart.path, or leave it out with spec.source.exclude",
                file=file.path,
            )
        sealed = sops.open_file(file.data, file=file.path, limits=limits) if _SOPS_KEY.search(file.data) else None
        trees = _trees(file, sealed, limits)
    except AgentError as error:
        said = lookalikes.unreadable(error, file.data, file=file.path)
        return ParsedFile(failure=UnreadFile(said, file=file.path, identities=_identities_in_clear(file, limits)))
    documents = tuple(
        document for line, tree, opaque in trees for document in _documents(file, line, tree, sealed=opaque)
    )
    if sealed is not None and sealed.mac_only_encrypted:
        documents = tuple(replace(each, mac_only_encrypted=each.sealed) for each in documents)
    return ParsedFile(documents, sealed, text=len(file.data))


def _trees(file: File, sealed: sops.SealedFile | None, limits: Limits) -> list[tuple[int, Tree, bool]]:
    """Each document's line and tree, and whether it is an encrypted one. A clear one beside others is read as kubectl reads it."""
    found = [] if sealed and not sealed.clear else yaml.parse(file.data, file=file.path, limits=limits)
    if sealed is None:
        return [(each.line, each.tree, False) for each in found]
    plain = {each.line: each.tree for each in found}
    documents = enumerate(zip(sealed.lines, sealed.documents, strict=True))
    return [
        (line, plain.get(line, tree), False) if place in sealed.clear else (line, tree, True)
        for place, (line, tree) in documents
    ]


def identity_of(tree: Tree) -> ManifestIdentity | None:
    """The identity that a document names, or None where it names none that is well-formed."""
    api_version, kind = get(tree, "apiVersion"), get(tree, "kind")
    namespace, name = get(tree, "metadata", "namespace"), get(tree, "metadata", "name")
    if namespace is None:
        namespace = ""
    if not (isinstance(api_version, str) and isinstance(kind, str)):
        return None
    if not (isinstance(namespace, str) and isinstance(name, str)):
        return None
    if not (_API_VERSION.fullmatch(api_version) and _KIND.fullmatch(kind)):
        return None
    group = group_of(api_version)
    if not _is_name(name, group) or (namespace and not _NAMESPACE.fullmatch(namespace)):
        return None
    return group, kind, namespace, name


def _is_name(name: str, group: str) -> bool:
    """Names of RBAC are any segment of a path to the API server (IsValidPathSegmentName); ours are one line of text too."""
    if group != _RBAC:
        return _NAME.fullmatch(name) is not None
    return (
        name not in {"", ".", ".."} and not {"/", "%"} & {*name} and len(name) <= _MOST_OF_A_NAME and name.isprintable()
    )


def _identities_in_clear(file: File, limits: Limits) -> frozenset[ManifestIdentity]:
    try:
        trees = [document.tree for document in yaml.parse(file.data, file=file.path, limits=limits)]
    except AgentError:
        return frozenset()
    named = (identity_of(document.tree) for tree in trees for document in _documents(file, 1, tree, sealed=True))
    return frozenset(found for found in named if found is not None)


def _documents(file: File, line: int, tree: Tree, *, sealed: bool) -> Iterator[Document]:
    if tree is None:
        return
    for item in clear.objects(tree):
        yield document(file.path, line, file.layer, item, sealed=sealed)


def document(file: str, line: int, layer: int, item: Tree, *, sealed: bool) -> Document:
    """One object of a file, with what is wrong with it. `line` 0: it was rendered, and stands on no line."""
    error = _fault(item, file, sealed=sealed)
    if error is not None:
        error = error.with_facts(file=file, line=line) if line else error.with_facts(file=file)
    if not isinstance(item, dict):
        return Document(file, line, layer, {}, sealed, error)
    return Document(
        file,
        line,
        layer,
        item,
        sealed,
        error,
        plaintext=clear.listed(clear.plaintext(item)),
        unbound=clear.listed(clear.unbound(item)) if sealed else "",
        variables=_has_variables(item),
        size=size(item),
    )


def _has_variables(tree: Tree, *, prose: bool = False) -> bool:
    """Whether a text of one line, or a key, has a `${NAME}`: other tools put values there. `prose`: descriptions do not count."""
    if isinstance(tree, dict):
        prose = prose or tree.get("kind") == "CustomResourceDefinition"
        return any(
            _is_variable(key) or (_has_variables(value, prose=prose) and not (prose and key == "description"))
            for key, value in tree.items()
        )
    if isinstance(tree, list):
        return any(_has_variables(value, prose=prose) for value in tree)
    return isinstance(tree, str) and "\n" not in tree and _is_variable(tree)


def _is_variable(text: str) -> bool:
    return "${" in text and _VARIABLE.search(text) is not None


def _fault(tree: Tree, file: str, *, sealed: bool) -> AgentError | None:
    if not isinstance(tree, dict):
        return lookalikes.foreign(tree, file=file)
    return (
        _fault_of_secrecy(tree, sealed=sealed)
        or lookalikes.foreign(tree, file=file)
        or _fault_of_renderer(tree)
        or lookalikes.templated(tree, file=file)
        or _fault_of_identity(tree)
    )


def _fault_of_secrecy(tree: Object, *, sealed: bool) -> AgentError | None:
    if not sealed and "sops" in tree:
        return ManifestError("the document's SOPS metadata is incomplete", hint="encrypt the file again", field="sops")
    for path, leaf in walk(tree):
        if isinstance(leaf, Sealed) and path[0] in CLEAR_FIELDS:
            return ManifestError(
                "apiVersion, kind and metadata must be in clear text",
                hint="encrypt with encrypted_regex: ^(data|stringData)$",
                field=format_path(path),
            )
        if isinstance(leaf, str) and cipher.PREFIX in leaf:
            return ManifestError(
                "ciphertext is left that nothing opens",
                hint="encrypt the whole file with SOPS; a value cannot be copied from another file",
                field=format_path(path),
            )
    return None


def _fault_of_identity(tree: Object) -> AgentError | None:
    metadata = tree.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return ManifestError("metadata is not a map", field="metadata")
    if get(metadata, "generateName") is not None and get(metadata, "name") is None:
        return UnsupportedManifestError(
            "generateName would create a new object on every apply",
            hint="write metadata.name",
            field="metadata.generateName",
        )
    group = group_of(get_text(tree, "apiVersion"))
    fits: tuple[tuple[tuple[str, ...], Callable[[str], object]], ...] = (
        (("apiVersion",), _API_VERSION.fullmatch),
        (("kind",), _KIND.fullmatch),
        (("metadata", "name"), lambda name: _is_name(name, group)),
        (("metadata", "namespace"), _NAMESPACE.fullmatch),
    )
    for path, fit in fits:
        value = get(tree, *path)
        if value is None and path[-1] == "namespace":
            continue
        if value is None:
            return ManifestError(
                "manifest lacks a field",
                hint=lookalikes.HINT,
                field=format_path(path),
            )
        if not isinstance(value, str):
            return ManifestError("field takes a string", hint="quote the value", field=format_path(path))
        if not fit(value):
            return ManifestError("field is not well-formed", field=format_path(path))
    return None


def _fault_of_renderer(tree: Object) -> AgentError | None:
    if group_of(str(tree.get("apiVersion"))) == "kustomize.config.k8s.io":
        return UnsupportedManifestError(
            "a file of kustomize is in a layer, where manifests are",
            hint="name its folder in spec.render.kustomize.path instead, or leave it out with spec.source.exclude",
        )
    return None
