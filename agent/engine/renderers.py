"""What the engine asks of renderers: files of a commit in, objects out. A renderer sees no value, and nothing else than these files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.errors import AgentError
    from agent.values.expressions import Expression
    from agent.values.generated import Generation
    from agent.values.ids import ApplicationId
    from agent.values.placeholders import Placeholder
    from agent.values.questions import Question
    from agent.values.tree import Object, Tree


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The files that a renderer may read, by path from the repository's root. `digest` names them, so that they are sent once."""

    digest: str
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> SourceTree:
        """With a digest over paths and contents, framed by their lengths. Paths that are no UTF-8 are left out: no YAML can name them."""
        made, named = hashlib.sha256(), dict[str, bytes]()
        for path, content in sorted(files.items()):
            try:
                name = path.encode()
            except UnicodeEncodeError:
                continue
            named[path] = content
            made.update(b"%d %d " % (len(name), len(content)) + name + content)
        return cls(made.hexdigest(), named)


@dataclass(frozen=True, slots=True)
class Kustomization:
    """The folder to build, from the repository's root; "" is the root itself.

    `overlay` has fields that are added to its kustomization: namespace, namePrefix, nameSuffix, components, images, patches, labels,
    commonAnnotations. `replaced` are kustomizations with another text for this build: what is wrong with one is said of that in `sources`.
    `origins` asks for the file of each object.
    """

    path: str
    sources: SourceTree
    overlay: Object = field(default_factory=dict[str, "Tree"])
    origins: bool = False
    replaced: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Cluster:
    """What templates of a chart may ask of the cluster: its version, and what it serves as `group/version` and `group/version/Kind`."""

    version: str
    serves: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart to render as `helm template` does. `path` is its folder, from the repository's root.

    `values_files` are of `sources`, a later one above those before, and `values` above them. `known` are placeholders of texts that are not
    empty. `now` is the time that templates see, in seconds since 1970. `crds`: with the files of its folder `crds`. `skips_hooks`: hooks are
    left out; else they are among the objects. `upgrades`: templates see that something of the release stands.
    """

    path: str
    sources: SourceTree
    name: str
    namespace: str
    cluster: Cluster
    now: int
    values_files: tuple[str, ...] = ()
    values: Object = field(default_factory=dict[str, "Tree"])
    known: tuple[Placeholder, ...] = ()
    crds: bool = True
    skips_hooks: bool = False
    upgrades: bool = False


@dataclass(frozen=True, slots=True)
class RenderedObject:
    """An object and the file that it comes from: its own, or the kustomization that generates it; "" where that was not asked for."""

    file: str
    tree: Object


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came of it: objects, or the error for which there are none.

    Either depends on the content of the files in `read`, on the absence of those in `looked_for`, on the renderer's `build`, and on whether
    the cluster serves what was `asked`, and on the time where `clock` says so. `expressions` are the operations on sealed values that stand in the objects, by placeholder.
    Objects hold only as far as all `questions` are right. `skipped` are the files of hooks that were left out as
    asked, `elsewhere` those of hooks for tests, rollbacks and the end of a release. `of_release`: templates may have asked whether something of
    the release stands. `notes` are the chart's NOTES.txt for its user, None where its template for them fails. `generated` are values that templates make
    up, by placeholder.
    """

    objects: tuple[RenderedObject, ...]
    read: frozenset[str]
    looked_for: frozenset[str]
    build: str
    error: AgentError | None = None
    expressions: Mapping[Placeholder, Expression] = field(default_factory=dict["Placeholder", "Expression"])
    questions: tuple[Question, ...] = ()
    asked: Mapping[str, bool] = field(default_factory=dict[str, bool])
    clock: bool = False
    skipped: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    generated: Mapping[Placeholder, Generation] = field(default_factory=dict["Placeholder", "Generation"])
    of_release: bool = False
    notes: str | None = ""


class RenderPort(Protocol):
    """Renderers, each a process without files, network and children."""

    async def kustomize(self, application: ApplicationId, asked: Kustomization) -> Rendered:
        """`kustomize build`. Raises RenderLimitError where it ended without an answer, and ConfigError where there is no renderer."""
        ...

    async def helm(self, application: ApplicationId, asked: Chart) -> Rendered:
        """`helm template`. Raises as `kustomize`."""
        ...
