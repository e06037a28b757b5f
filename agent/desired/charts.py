"""What a renderer is given of a chart: its files with placeholders for what is sealed, and its values by rank."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from agent.desired import inputs
from agent.manifests import chart_values
from agent.values.secret import Sealed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from agent.api.helm import Helm
    from agent.desired.inputs import Given
    from agent.desired.live_variables import LiveVariables
    from agent.manifests.documents import File
    from agent.values.errors import AgentError
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Object, Tree
    from agent.yaml.limits import Limits

_SPEC: Final = ("spec", "render", "helm", "values")
_FOLDER: Final = ".signet-values"


@dataclass(frozen=True, slots=True)
class ChartValues:
    """`files` are paths in what the renderer is given, a later one above those before, `tree` is above them all.

    A file of values is given beside the chart, since as one of the chart's own files it is taken byte by byte: `origins` has the committed
    one of each. `handed` are the placeholders of values.
    """

    files: tuple[str, ...] = ()
    tree: Object = field(default_factory=dict[str, "Tree"])
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    handed: frozenset[Placeholder] = frozenset()

    def placed(self, error: AgentError) -> AgentError:
        """The error with the committed file, where it has one of these."""
        file = str(error.facts.get("file", ""))
        if file not in self.origins:
            return error
        copied = error.copy()
        copied.facts = {**error.facts, "file": self.origins[file]}
        return copied


def values(asked: Helm, files: Sequence[File], given: Given, limits: Limits, live: LiveVariables) -> ChartValues:
    """The values of the cluster, of files and of the spec, in their order; what is sealed of them is added to `given`.

    Raises as `inputs.present`.
    """
    handed, folder = {*_of_leaves(given)}, _folder(given.files)
    origins: dict[str, str] = {}
    for number, (name, tree) in enumerate(live.trees):
        path = f"{folder}/cluster-{number}.yaml"
        given.files[path] = chart_values.written(tree)
        origins[path] = name
    of_values = {each for each in live.sources if live.keys[each].path is not None}
    given.sources |= {each: live.sources[each] for each in of_values}
    handed |= of_values
    for number, file in enumerate(files):
        shown = inputs.present([(file, ("values",))], limits)
        path = f"{folder}/{number}.yaml"
        given.files[path] = shown.files[file.path]
        given.sources |= shown.sources
        given.sealed |= shown.sealed
        given.manifests += shown.manifests
        origins[path] = file.path
        handed |= shown.sources.keys()
    own: dict[Placeholder, Source] = {}
    tree = cast("Object", chart_values.with_references(cast("Tree", asked.values), own, _SPEC))
    given.sources |= own
    return ChartValues(tuple(origins), tree, origins, frozenset(handed | own.keys()))


def _of_leaves(given: Given) -> Iterable[Placeholder]:
    """Placeholders of the chart's own values. What is sealed as a whole file may be what no template reads."""
    return (each for each, source in given.sources.items() if isinstance(source, Sealed) and each not in given.whole)


def _folder(taken: Collection[str]) -> str:
    """A folder that nothing in Git is in."""
    name = _FOLDER
    while any(path.startswith(f"{name}/") for path in taken):
        name += "-"
    return name


def known(sources: Mapping[Placeholder, Source]) -> tuple[Placeholder, ...]:
    """The placeholders of texts that are not empty: SOPS encrypts no empty ones."""
    return tuple(
        sorted(each for each, source in sources.items() if isinstance(source, Sealed) and source.type == "str")
    )
