"""What the engine asks of repositories of Git."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Mapping
    from contextlib import AbstractAsyncContextManager

    from agent.api.registries import ArtifactRule
    from agent.api.signatures import SignatureRule
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from agent.engine.state import Place
    from agent.manifests.documents import File, TreeEntry
    from agent.values.errors import AgentError
    from agent.values.ids import Revision


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The manifest files of a commit, and those that were refused (symlink, submodule, over a limit) by path."""

    files: tuple[File, ...]
    refused: tuple[tuple[str, AgentError], ...] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """Whose signatures commits need. `accepted` is the last commit that had them, "" without one.

    `seen` is the Unix second at which the commit was first seen: a key has to be valid then, whatever date the commit claims.
    """

    rule: SignatureRule | ArtifactRule
    accepted: str
    seen: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Which answers will do: any that Git gave after `since`, in seconds of the monotonic clock, and commits that it named `within` seconds before."""

    since: float
    within: float = 0.0


Turn: TypeAlias = "Callable[[], AbstractAsyncContextManager[None]]"
"""A place for one git, for as long as the block takes."""


class GitPort(Protocol):
    """Commits of remote repositories, through mirrors that are kept per (URL, credential); and artifacts of registries, likewise.

    Of an artifact, the commit is the digest of its manifest, and has no history (decision 48).


    What several Applications ask of one mirror, the server is asked once.
    """

    def listen(self, moved: Callable[[Collection[str], str], None]) -> None:
        """`moved` is called with the uids of Applications whose revision names another commit than the one that they were answered with."""
        ...

    def serving(self, application: str, turn: Turn) -> GitPort:
        """The same for the runs of one Application, by its uid: each git that they cause has a turn."""
        ...

    async def head(self, source: Source, credential: GitCredential | None, asked: Asked | None = None) -> str:
        """The full commit hash that the source's revision names, by `ls-remote`; nothing is fetched. Without `asked`: now."""
        ...

    async def fetch(self, source: Source, credential: GitCredential | None, asked: Asked | None = None) -> Revision:
        """Bring the commit into the mirror that `head` named, or a newer one. Without `asked`: what the revision names now."""
        ...

    async def files(
        self,
        source: Source,
        credential: GitCredential | None,
        commit: str,
        known: Container[Place] = (),
        within: str = "",
        *,
        most: int | None = None,
    ) -> Snapshot:
        """Every manifest file of the source's layers at a commit that was fetched, in layer order, then by path.

        Those that are `known` come without their contents. Of a submodule, `within` is its folder, which all paths begin with: those of `known`
        and of what is given, and those that the source's globs are asked of. Raises LargerError for contents of `most` bytes together, before
        they are read.
        """
        ...

    async def tree(self, source: Source, credential: GitCredential | None, commit: str) -> Mapping[str, TreeEntry]:
        """Every path of a commit that was fetched, from the repository's root, except those that are not UTF-8. Raises LimitError."""
        ...

    async def blobs(
        self, source: Source, credential: GitCredential | None, commit: str, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        """The contents of files that `tree` named, by blob. The caller has looked at their sizes."""
        ...

    async def verify(self, source: Source, credential: GitCredential | None, commit: str, demand: Demand) -> str:
        """Who signed a commit that was fetched, or the tag that leads to it. Raises SignatureError, ConfigError."""
        ...

    async def is_ancestor(self, source: Source, credential: GitCredential | None, old: str, new: str) -> bool:
        """Whether `new` descends from `old`: False after a forced push."""
        ...
