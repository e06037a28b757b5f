"""Files that a renderer is given and no commit has: what generators that are programs would have made, and a list of a folder's manifests.

Kustomizations that name these have another text for the renderer, and so have those that name remote bases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import basename, dirname
from posixpath import join as joined
from typing import TYPE_CHECKING

from agent.manifests import remote_bases
from agent.manifests.ksops_component import Writer, replaced
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.desired.inputs import Given
    from agent.manifests.kustomizations import Overlay
    from agent.values.errors import AgentError


@dataclass(frozen=True, slots=True)
class Generated:
    """`files` that no commit has, by path, and for each in `origins` the committed one that it is made of. Others have addresses replaced.

    `kustomizations` have another text for the renderer, which names these files. `folders` are those that the files of a kustomization are in.
    """

    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    kustomizations: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    folders: Mapping[str, str] = field(default_factory=dict[str, str])

    def placed(self, error: AgentError) -> AgentError:
        """The error with the committed file, where it has one of these."""
        file, says = str(error.facts.get("file", "")), str(error.facts.get("says", ""))
        folder = next((each for each in self.folders if f"'/{each}'" in says), "")
        if file not in self.origins and not folder:
            return error
        copied = error.copy()
        copied.facts = {name: fact for name, fact in error.facts.items() if name not in {"file", "line", "column"}}
        if folder:
            copied.facts["says"] = says.replace(f"/{folder}", "ksops")
        return copied.with_facts(file=self.origins.get(file) or self.folders[folder])


def of(given: Given, overlay: Overlay) -> Generated:
    """Those of an overlay. What KSOPS' values are is added to `given.sources`. Raises RenderError, YamlError, LimitError."""
    files = dict(overlay.listed)
    origins, texts, folders = {path: dirname(path) or "." for path in files}, dict[str, str](), dict[str, str]()
    whole = {each.file: each.data.decode("ascii") for each in given.whole.values()}
    leaves = {path: given.files[path] for path in given.sealed if path in given.files and path not in whole}
    writer, taken = Writer(leaves, whole, given.sources), _folders(given.files)
    files |= {
        file: remote_bases.replaced(given.files[file], names, file=file) for file, names in overlay.remote.items()
    }
    for each in overlay.ksops:
        found = yaml.parse(files.get(each.file, given.files[each.file]), file=each.file, strict=False)
        if len(found) != 1 or not isinstance(tree := found[0].tree, dict):
            continue  # no kustomization, which kustomize has the words for
        folder = _free(dirname(each.file), taken)
        component = writer.component(each.generators, folder)
        files |= component.files
        origins |= dict.fromkeys(component.files, each.file) | component.origins
        folders[folder] = each.file
        texts[each.file] = replaced(tree, each.others, basename(folder))
    return Generated(files, origins, texts, folders)


def _free(below: str, taken: Collection[str]) -> str:
    """A folder that nothing in Git is in."""
    name = joined(below, ".ksops")
    while name in taken:
        name += "-"
    return name


def _folders(paths: Iterable[str]) -> set[str]:
    """Every file, and the folders that it is in."""
    found = set[str]()
    for path in paths:
        at = path
        while at and at not in found:
            found.add(at)
            at = dirname(at)
    return found
