"""Charts of other people: whether each value that looks secret reaches the same places sealed as it does in the clear."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.engine.renderers import Chart, SourceTree
from agent.values.errors import AgentError
from agent.values.ids import ApplicationId
from agent.yaml.read import manifests
from testbed.equivalence import openings
from testbed.equivalence.openings import CLUSTER, Sealing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from agent.engine.renderers import Rendered, RenderPort
    from agent.values.tree import Tree

KINDS: Final = {
    "easy": "s3cretPassw0rd",
    "special characters": "p@ss:w/rd?&=%+#'\"\\<>{}[]!*|$~`^ ,;",
    "like YAML": "p: q",
}
_SECRET: Final = re.compile(r"(?i)(pass(word|wd|phrase)?|secret|token|api_?key|private_?key|credential)s?$")
_NOT: Final = re.compile(r"(?i)(existing|name|ref|file|path|mount|enabled|create)")
_DIGEST: Final = re.compile(r"[0-9a-f]{32,128}")
_MOST_LEAVES: Final = 30
_MOST_BYTES: Final = 8 * 1024 * 1024
_APPLICATION: Final = ApplicationId("corpus", "chart", "1")
_SEALING: Final = Sealing.of("a")


@dataclass(frozen=True, slots=True)
class Leaf:
    """What came of one value of a chart, of one kind: `right`, `unused`, `refused`, `held`, `wrong`, or `Helm refuses`."""

    chart: str
    path: str
    kind: str
    result: str
    why: str = ""


def found(folder: Path) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    """Each chart below a folder that no other chart holds: its path, and its files; archives too."""
    taken: list[Path] = []
    for path in sorted([*folder.rglob("Chart.yaml"), *folder.rglob("*.tgz")]):
        if any(parent in path.parents for parent in taken):
            continue
        if path.suffix == ".tgz":
            yield str(path.relative_to(folder)), _unpacked(path)
        else:
            taken.append(path.parent)
            files = (each for each in sorted(path.parent.rglob("*")) if each.is_file() and not each.is_symlink())
            content = {str(each.relative_to(path.parent)): each.read_bytes() for each in files}
            yield str(path.parent.relative_to(folder)), content


def _unpacked(path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() and member.size <= _MOST_BYTES else None
            if content is not None:
                files[member.name.partition("/")[2]] = content.read(_MOST_BYTES)
    return files


async def judged(renderers: RenderPort, name: str, files: Mapping[str, bytes]) -> list[Leaf]:
    """All leaves of a chart that look secret, with each kind of value; a chart that Helm does not render with it has one row."""
    rows: list[Leaf] = []
    for kind, value in KINDS.items():
        for path in _leaves(_values(files), ())[:_MOST_LEAVES]:
            plain = await _rendered(renderers, files, _set(path, value))
            if plain.error is not None:
                rows.append(Leaf(name, ".".join(path), kind, "Helm refuses", _why(plain.error)))
                continue
            given = await _rendered(renderers, files, _set(path, _SEALING.placeholders["a"]))
            rows.append(Leaf(name, ".".join(path), kind, *_compared(given, plain, value)))
    return rows


def _compared(given: Rendered, plain: Rendered, value: str) -> tuple[str, str]:
    if given.error is not None:
        return "refused", _why(given.error)
    theirs = openings.opened(plain, _SEALING, {})
    try:
        ours = openings.opened(given, _SEALING, {"a": value})
        mine, expected = ours.trees(), theirs.trees()
    except AgentError as error:
        return "held", _why(error)
    if not ours.holds:
        return "held", "a question has another answer"
    if _comparable(mine) == _comparable(expected):
        return ("unused" if ours.unused else "right"), ""
    mine, expected = _comparable(mine, texts_are_yaml=True), _comparable(expected, texts_are_yaml=True)
    if mine != expected:
        return "wrong", "; ".join(sorted(set(mine) ^ set(expected)))[:600]
    return ("unused" if ours.unused else "right"), ""


def _comparable(trees: Sequence[Tree], *, texts_are_yaml: bool = False) -> list[str]:
    """Objects in no order, without digests in annotations; texts of several lines as the YAML that they are, or may be."""

    def plain(tree: Tree, *, public: bool) -> Tree:
        if isinstance(tree, dict):
            below = {key: plain(each, public=public or key == "annotations") for key, each in tree.items()}
            return {
                key: each
                for key, each in below.items()
                if not (public and isinstance(each, str) and _DIGEST.fullmatch(each))
            }
        if texts_are_yaml and isinstance(tree, str) and "\n" in tree:
            return _read(tree)
        return [plain(each, public=public) for each in tree] if isinstance(tree, list) else tree

    return sorted(json.dumps(plain(each, public=False), sort_keys=True) for each in trees)


def _read(text: str) -> Tree:
    try:
        return [each.tree for each in manifests.parse(text.encode(), file="text", strict=False)]
    except AgentError:
        return text


def _values(files: Mapping[str, bytes]) -> Tree:
    try:
        documents = manifests.parse(files.get("values.yaml", b""), file="values.yaml", strict=False)
    except AgentError:
        return None
    return documents[0].tree if documents else None


def _leaves(tree: Tree, at: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Paths of texts, and of nothing, under a key that looks secret."""
    if isinstance(tree, dict):
        return [path for key, each in tree.items() for path in _leaves(each, (*at, key))]
    named = at and _SECRET.search(at[-1]) and not _NOT.search(at[-1])
    return [at] if named and isinstance(tree, str | None) else []


def _set(path: tuple[str, ...], value: str) -> Tree:
    tree: Tree = value
    for key in reversed(path):
        tree = {key: tree}
    return tree


async def _rendered(renderers: RenderPort, files: Mapping[str, bytes], values: Tree) -> Rendered:
    given = {f"chart/{path}": content for path, content in files.items()}
    sources = SourceTree.of({**given, "values.yaml": openings.written(values)})
    asked = Chart("chart", sources, "shop", "web", CLUSTER, now=0, values_files=("values.yaml",), skips_hooks=True)
    return await renderers.helm(_APPLICATION, asked)


def _why(error: AgentError) -> str:
    facts = error.facts
    named = " ".join(str(facts[name]) for name in ("function", "file", "line") if name in facts)
    return f"{error.message}{f' ({named})' if named else ''}"[:300]
