"""Identities: what an object, a commit and a run are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NewType

RunId = NewType("RunId", str)
"""One run of one Application: 16 hex digits, unique to the installation."""

ClusterId = NewType("ClusterId", str)
"""A cluster that objects are applied to."""
IN_CLUSTER: Final = ClusterId("")
"""The cluster that the agent runs in."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectId:
    """A Kubernetes object's identity. The version is not part of it: `apps/v1` and `apps/v1beta1` name the same Deployment.

    `group` is empty for the core group, `namespace` for a cluster-scoped object.
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """`Deployment.apps shop/web`, `Secret shop/db`, `Namespace shop`: the field's own order, safe to show."""
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"

    @property
    def key(self) -> str:
        """`group/kind/namespace/name`: the form that is stored and authenticated; empty parts stay empty."""
        return f"{self.group}/{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def from_key(cls, key: str) -> ObjectId:
        """The inverse of `key`. Raises ValueError for anything else."""
        group, kind, namespace, name = key.split("/")
        return cls(group, kind, namespace, name)


def short(commit: str) -> str:
    """Twelve digits of a commit's hash, or of an artifact's digest behind `sha256:`."""
    kind, colon, digest = commit.rpartition(":")
    return f"{kind}{colon}{digest[:12]}"


@dataclass(frozen=True, slots=True)
class Submodule:
    """A commit of another repository that stands at a path of one. `url` is empty where only records know of it."""

    path: str
    url: str
    commit: str


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit as fetched: full hash, the ref that led to it, who wrote it and when (Unix seconds). Texts come from Git: untrusted.

    Of an artifact, `commit` is the digest of its manifest, `sha256:…`, and `ref` the tag, "" where the digest pins it.

    `subject` is there for as long as the commit is in memory; records do without. `further` are those of an Application's further sources,
    by name. `modules` are the submodules that are read, which the commit determines.
    """

    commit: str
    ref: str
    author: str
    authored_at: int
    subject: str = field(default="", compare=False)
    further: tuple[tuple[str, Revision], ...] = ()
    modules: tuple[Submodule, ...] = field(default=(), compare=False)

    @property
    def version(self) -> str:
        """All commits together, of further sources by their names. Where there are none, the commit."""
        return " ".join((self.commit, *(f"{name}={each.commit}" for name, each in self.further)))

    @property
    def commits(self) -> frozenset[str]:
        """The commits of all sources."""
        return frozenset((self.commit, *(each.commit for _, each in self.further)))

    @property
    def own(self) -> str:
        """`main@1f0c3b2a9d4e`: that of the Application's own source."""
        return f"{self.ref}@{short(self.commit)}" if self.ref else short(self.commit)

    @property
    def submodules(self) -> tuple[Submodule, ...]:
        """Those of all sources, by paths that begin with the names of further ones."""
        further = ((f"{name}/{each.path}", each) for name, part in self.further for each in part.modules)
        return (*self.modules, *(Submodule(path, each.url, each.commit) for path, each in further))

    def submodule_at(self, path: str) -> Submodule | None:
        """The innermost submodule that a file is in."""
        around = (each for each in self.submodules if path.startswith(f"{each.path}/"))
        return max(around, key=lambda each: len(each.path), default=None)

    def __str__(self) -> str:
        """`main@1f0c3b2a9d4e`, and behind it `, platform main@0a1b2c3d4e5f` for each further source, and `, vendor/shared 5e6f7a8b9c0d` for each submodule."""
        further = (f"{name} {each.own}" for name, each in self.further)
        return ", ".join((self.own, *further, *(f"{each.path} {short(each.commit)}" for each in self.submodules)))


@dataclass(frozen=True, slots=True)
class ApplicationId:
    """An Application object: `uid` distinguishes it from a later one of the same name."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
