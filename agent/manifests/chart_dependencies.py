"""Which charts a chart needs beside what its folder `charts` has, and which versions its Chart.lock holds them to.

The digest of a lock is Helm's: of the dependencies as Chart.yaml and as the lock have them. Source: helm.sh/helm internal/resolver (HashReq).
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values.errors import AgentError, ChartError, LimitError
from agent.values.tree import get, get_object, get_text
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.manifests.documents import File
    from agent.values.tree import Object, Tree
    from agent.yaml.limits import Limits

_MOST: Final = 50
_NAME: Final = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?")
_ARCHIVED: Final = re.compile(r"-v?[0-9]+\.[0-9]")
"""Where the version begins in the name of an archive. It is looked for once: a name in a tree of Git may have megabytes."""
_FIELDS: Final = ("name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias")
"""In the order in which Go writes them; the name and the repository also where they are empty."""
_LOCK_HINT: Final = "run helm dependency build, and commit Chart.lock or the folder charts"


@dataclass(frozen=True, slots=True)
class Dependency:
    """A chart that is needed. `folder` is that of one in the same source, empty for one of a server, whose `version` is exact."""

    name: str
    repository: str
    version: str
    folder: str = ""


def missing(
    chart: File, lock: File | None, vendored: Collection[str], folder: str, limits: Limits
) -> tuple[Dependency, ...]:
    """The dependencies of a `chart`, its Chart.yaml in a `folder`, that are not `vendored`. Raises ChartError, LimitError, YamlError."""
    wanted = _dependencies(_read(chart, limits), chart.path)
    found = [each for each in wanted if get_text(each, "repository") and get_text(each, "name") not in vendored]
    names = {get_text(each, "name") for each in found}
    if not all(_NAME.fullmatch(name) for name in names):
        raise ChartError("the name of a dependency is none of a chart", file=chart.path)
    made = {name: each for each in found if (name := get_text(each, "name"))}
    if len(made) < len({(get_text(each, "name"), get_text(each, "repository")) for each in found}):
        raise ChartError("two dependencies have the same name and are not the same", hint=_LOCK_HINT, file=chart.path)
    locked: Mapping[str, Object] = {}
    if any(not _is_file(each) for each in found):
        locked = _locked(wanted, lock, chart.path, limits)
    return tuple(_dependency(each, locked, folder, chart.path) for each in made.values())


def vendored(folder: str, paths: Collection[str]) -> frozenset[str]:
    """The names of charts that the folder `charts` seems to have: as folders, and as archives, of which the version is left out."""
    prefix = "charts/" if folder == "." else f"{folder}/charts/"
    found: set[str] = set()
    for path in paths:
        if not path.startswith(prefix):
            continue
        name, _, rest = path[len(prefix) :].partition("/")
        if rest == "Chart.yaml":
            found.add(name)
        elif not rest and name.endswith(".tgz") and (version := _ARCHIVED.search(name, 1, len(name) - 4)):
            found.add(name[: version.start()])
    return frozenset(found)


def digest(wanted: Sequence[Object], locked: Sequence[Object]) -> str:
    """What a lock says of itself while it fits Chart.yaml."""
    text = json.dumps([[*map(_as_go, wanted)], [*map(_as_go, locked)]], ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _as_go(given: Object) -> Object:
    kept = {name: value for name in _FIELDS if (value := given.get(name)) not in (None, "", False, [])}
    named = {"name": "", "repository": ""} | kept
    return {name: _sorted(named[name]) for name in _FIELDS if name in named}


def _sorted(value: Tree) -> Tree:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _read(file: File, limits: Limits) -> Object:
    found = yaml.parse(file.data, file=file.path, limits=limits, strict=False)
    return get_object(found[0].tree) if len(found) == 1 else {}


def _dependencies(tree: Object, file: str) -> list[Object]:
    given = get(tree, "dependencies")
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise ChartError("the dependencies of the chart are no list of maps", file=file)
    if len(given) > _MOST:
        raise LimitError("a chart has more dependencies than the agent takes", file=file, limit=_MOST)
    return [each for each in given if isinstance(each, dict)]


def _is_file(given: Object) -> bool:
    return get_text(given, "repository").startswith("file://")


def _locked(wanted: Sequence[Object], lock: File | None, file: str, limits: Limits) -> dict[str, Object]:
    if lock is None:
        raise ChartError(
            "dependencies of the chart are neither in its folder charts nor held to a version by Chart.lock",
            hint=_LOCK_HINT,
            file=file,
        )
    try:
        tree = _read(lock, limits)
        locked = _dependencies(tree, lock.path)
    except AgentError as error:
        raise error.with_facts(file=lock.path) from None
    if get_text(tree, "digest") != digest(wanted, locked):
        raise ChartError("Chart.lock is not of the dependencies that Chart.yaml has", hint=_LOCK_HINT, file=lock.path)
    return {get_text(each, "name"): each for each in locked}


def _dependency(given: Object, locked: Mapping[str, Object], folder: str, file: str) -> Dependency:
    name, repository = get_text(given, "name"), get_text(given, "repository")
    if _is_file(given):
        base = "" if folder == "." else folder
        path = posixpath.normpath(posixpath.join(base, repository.removeprefix("file://")))
        if path.startswith(("..", "/")) or path == base:
            raise ChartError(
                "a dependency is a folder outside of the source",
                hint="name a folder by its path from the chart's; those of spec.sources are at the root, with their names",
                file=file,
                dependency=name,
            )
        return Dependency(name, repository, "", path)
    if not repository.startswith(("https://", "http://", "oci://")):
        raise ChartError(
            "a dependency names its repository by an alias, which only the user's own Helm knows",
            hint="write the repository's address into Chart.yaml, or commit the folder charts",
            file=file,
            dependency=name,
        )
    exact = locked.get(name, {})
    if get_text(exact, "repository") != repository or not get_text(exact, "version"):
        raise ChartError("Chart.lock has no version of a dependency", hint=_LOCK_HINT, file=file, dependency=name)
    return Dependency(name, repository.rstrip("/"), get_text(exact, "version"))
