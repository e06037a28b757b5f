"""What a renderer is given: the files of a commit with placeholders for their sealed values, and the variables of an Application.

Nothing is opened here. A file in the clear is given as it is, so it may hold no text that looks like a placeholder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.manifests import chart_values, documents, kustomizations, substitution
from agent.manifests import presented as references
from agent.manifests.documents import Document
from agent.sops import stores
from agent.sops.files import presented
from agent.values import placeholders
from agent.values.errors import AgentError, LimitError, ManifestError, ReferenceSyntaxError, SubstitutionError
from agent.values.secret import Sealed
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.api.render import Substitute
    from agent.desired.live_variables import LiveVariables
    from agent.manifests.documents import File
    from agent.manifests.kustomizations import Use
    from agent.manifests.substitution import Variables
    from agent.sops.files.presented import Presented
    from agent.sops.files.sealed import SealedFile
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Tree
    from agent.yaml.limits import Limits

MOST_VARIABLES: Final = 10_000
"""Of an Application, in all its sources together."""
MOST_CHARACTERS: Final = 16 * 1024 * 1024
"""Of all their clear values."""


@dataclass(slots=True)
class Given:
    """`files` are by path, `sources` what each placeholder in them stands for, `sealed` the SOPS files among them by path.

    `whole` are the SOPS files that stand as one value, by the id of its leaf, `manifests` the documents of all as they are committed, for
    what their MACs do not cover.
    """

    files: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    sources: dict[Placeholder, Source] = field(default_factory=dict["Placeholder", "Source"], repr=False)
    sealed: dict[str, SealedFile] = field(default_factory=dict[str, "SealedFile"])
    whole: dict[str, Presented] = field(default_factory=dict[str, "Presented"])
    manifests: list[Document] = field(default_factory=list["Document"])


def present(files: Iterable[tuple[File, Collection[Use]]], limits: Limits) -> Given:
    """Files and how a renderer takes each. Raises what reading a SOPS file raises, ReferenceSyntaxError, PlaceholderError and ManifestError."""
    given = Given()
    for file, uses in files:
        try:
            shown = {_present(given, file, use, limits) for use in sorted(uses)}
        except AgentError as error:
            raise error.with_facts(file=file.path) from None
        if len(shown) > 1:
            raise ManifestError(
                "a file with secrets is taken both as YAML and as it is",
                hint="give the generator a copy of the file",
                file=file.path,
            )
        given.files[file.path] = shown.pop()
    return given


def _present(given: Given, file: File, use: Use, limits: Limits) -> bytes:
    is_whole = use in {"bytes", "chart"}
    if is_whole:
        shown = presented.whole(file.data, file.blob, file=file.path, limits=limits)
    else:
        shown = presented.by_leaves(file.data, file=file.path, limits=limits)
    if shown is None:
        return _in_clear(given, file, use)
    _take(given, shown)
    if use == "values":
        chart_values.refuse_booleans(shown.sources)
    if use in {"read", "values"}:
        given.manifests += documents.parse_file(file, limits=limits).documents
    else:
        _caution(given, file, shown)
    if is_whole:
        given.whole |= {leaf.id: shown for leaf in shown.sources.values() if isinstance(leaf, Sealed)}
    return shown.data


def _take(given: Given, shown: Presented) -> None:
    given.sources |= shown.sources
    given.sealed[shown.file] = shown.sealed


def _caution(given: Given, file: File, shown: Presented) -> None:
    """Of a SOPS file that is none of manifests or values."""
    if shown.unbound:
        loose = shown.sealed.mac_only_encrypted
        given.manifests.append(
            Document(file.path, 0, file.layer, {}, sealed=True, unbound=shown.unbound, mac_only_encrypted=loose)
        )


def _in_clear(given: Given, file: File, use: Use) -> bytes:
    try:
        text = file.data.decode()
    except UnicodeDecodeError:
        if use in {"bytes", "chart"}:
            return file.data
        raise ManifestError("the file is not UTF-8", hint="save it as UTF-8") from None
    placeholders.refuse(text)
    if use == "lines":
        return references.env_lines(text, given.sources, file=file.path).encode()
    if use == "bytes":
        return references.text(text, given.sources).encode()
    if use == "chart":
        return _of_chart(given, text).encode()
    if use == "values":
        return chart_values.in_clear(file.data, given.sources, file=file.path)
    return kustomizations.with_literals(file.data, given.sources, file=file.path)


def _of_chart(given: Given, text: str) -> str:
    """A file of a chart may be its documentation."""
    found: dict[Placeholder, Source] = {}
    try:
        shown = references.text(text, found)
    except ReferenceSyntaxError:
        return text
    given.sources |= found
    return shown


def variables(asked: Substitute, files: Iterable[File], live: LiveVariables, given: Given, limits: Limits) -> Variables:
    """The values that an Application sets, those of its files, and those of the cluster; what is sealed of them is added to `given`.

    Raises as `present`, SubstitutionError, and LimitError.
    """
    clear, sealed, foreign = {**live.clear}, {**live.sealed}, {*live.clear}
    given.sources |= live.sources
    for file in files:
        try:
            shown = presented.by_leaves(file.data, file=file.path, limits=limits)
            if shown is not None:
                _take(given, shown)
                _caution(given, file, shown)
            for name, value in _pairs(file.path, shown.data if shown else file.data, limits):
                foreign.discard(name)
                known = shown is not None and value in shown.sources
                if not known:
                    clear[name] = value
                    sealed.pop(name, None)
                else:
                    sealed[name] = placeholders.find(value)[0]
            _check_bounds(clear, sealed)
        except AgentError as error:
            raise error.with_facts(file=file.path) from None
    clear |= asked.variables
    foreign -= asked.variables.keys()
    sealed = {name: value for name, value in sealed.items() if name not in asked.variables}
    _check_bounds(clear, sealed)
    return substitution.variables(
        clear, sealed, given.sources, strict=asked.strict, unread=live.unread, foreign=frozenset(foreign)
    )


def _check_bounds(clear: Mapping[str, str], sealed: Mapping[str, Placeholder]) -> None:
    """Aliases of YAML give a long text to many names, so neither bounds the other."""
    if len(clear) + len(sealed) > MOST_VARIABLES or sum(map(len, clear.values())) > MOST_CHARACTERS:
        raise LimitError(
            "the Application's variables are too many or too long",
            hint="let spec.substitute.files name files that hold variables and nothing else",
            variables=MOST_VARIABLES,
            characters=MOST_CHARACTERS,
        )


def _pairs(path: str, data: bytes, limits: Limits) -> list[tuple[str, str]]:
    """Names and values of a flat file. Raises SubstitutionError for one that is not flat."""
    if stores.of(path).name == "dotenv":
        lines = (line.strip() for line in data.decode("utf-8", "surrogateescape").split("\n"))
        split = (line.partition("=") for line in lines if line and not line.startswith("#"))
        return [(name.strip(), value) for name, _, value in split]
    found: list[tuple[str, str]] = []
    written = {
        name.strip(): text
        for name, _, text in (line.partition(":") for line in data.decode("utf-8", "surrogateescape").split("\n"))
    }
    for document in yaml.parse(data, file=path, limits=limits):
        if not isinstance(document.tree, dict):
            raise SubstitutionError("variables are a flat map", hint="write NAME: value", line=document.line)
        found += [(name, _text(name, value, written.get(name, ""))) for name, value in document.tree.items()]
    return found


def _text(name: str, value: Tree, written: str) -> str:
    """A value as it is written, behind its name. Raises SubstitutionError for a number that would change: `1.10` is 1.1."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, int | float) and written.partition(" #")[0].strip() != str(value):
        raise SubstitutionError("a number may change when it becomes text", hint="quote it", variable=name)
    if isinstance(value, str | int | float):
        return str(value)
    raise SubstitutionError("variables are a flat map", hint="write NAME: value", variable=name)
