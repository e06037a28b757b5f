"""What a renderer is given in the place of generators that are programs: files that say what the programs would have made."""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import basename, dirname
from posixpath import join as joined
from typing import TYPE_CHECKING

from agent.manifests.ksops_component import Writer, replaced
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from agent.desired.inputs import Given
    from agent.manifests.kustomizations import Generating
    from agent.values.errors import AgentError


@dataclass(frozen=True, slots=True)
class Generated:
    """`files` that no commit has, by path, and for each in `origins` the committed one that it is made of.

    `kustomizations` have another text for the renderer, which names these files.
    """

    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    kustomizations: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def placed(self, error: AgentError) -> AgentError:
        """The error with the committed file, where it has one of these."""
        file, says = str(error.facts.get("file", "")), str(error.facts.get("says", ""))
        named = (each for each in self.origins if basename(each) == "kustomization.yaml" and _quoted(each) in says)
        found = file if file in self.origins else next(named, "")
        if not found:
            return error
        copied = error.copy()
        copied.facts = {name: fact for name, fact in error.facts.items() if name not in {"file", "line", "column"}}
        if says:
            copied.facts["says"] = says.replace(f"/{dirname(found)}", "ksops")
        return copied.with_facts(file=self.origins[found])


def _quoted(path: str) -> str:
    """A folder as kustomize's errors name it."""
    return f"'/{dirname(path)}'"


def of(given: Given, ksops: Sequence[Generating]) -> Generated:
    """Of KSOPS' generators. What their values are is added to `given.sources`. Raises RenderError, YamlError, LimitError."""
    if not ksops:
        return Generated()
    whole = {each.file: each.data.decode("ascii") for each in given.whole.values()}
    leaves = {path: given.files[path] for path in given.sealed if path in given.files and path not in whole}
    writer, taken = Writer(leaves, whole, given.sources), _folders(given.files)
    files, origins, texts = dict[str, bytes](), dict[str, str](), dict[str, str]()
    for each in ksops:
        [*found] = yaml.parse(given.files[each.file], file=each.file, strict=False)
        if len(found) != 1 or not isinstance(tree := found[0].tree, dict):
            continue  # no kustomization, which kustomize has the words for
        folder = _free(dirname(each.file), taken)
        component = writer.component(each.generators, folder)
        files |= component.files
        origins |= dict.fromkeys(component.files, each.file) | component.origins
        texts[each.file] = replaced(tree, each.others, basename(folder))
    return Generated(files, origins, texts)


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
