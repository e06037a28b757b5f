"""The engine's GitPort over every kind of source: each call goes to the adapter of the source that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.adapters.git.mirrors import Mirrors
    from agent.adapters.oci.artifacts import Artifacts
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from agent.engine.repositories import Demand, GitPort, Snapshot
    from agent.manifests.documents import TreeEntry
    from agent.values.ids import Revision


class Sources:
    """Repositories of Git, and artifacts of registries."""

    def __init__(self, mirrors: Mirrors, artifacts: Artifacts) -> None:
        self._mirrors: Final = mirrors
        self._artifacts: Final = artifacts

    def _of(self, source: Source) -> GitPort:
        return self._artifacts if source.oci is not None else self._mirrors

    async def head(self, source: Source, credential: GitCredential | None) -> str:
        return await self._of(source).head(source, credential)

    async def fetch(self, source: Source, credential: GitCredential | None) -> Revision:
        return await self._of(source).fetch(source, credential)

    async def files(self, source: Source, credential: GitCredential | None, commit: str) -> Snapshot:
        return await self._of(source).files(source, credential, commit)

    async def tree(self, source: Source, credential: GitCredential | None, commit: str) -> Mapping[str, TreeEntry]:
        return await self._of(source).tree(source, credential, commit)

    async def blobs(
        self, source: Source, credential: GitCredential | None, commit: str, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        return await self._of(source).blobs(source, credential, commit, blobs)

    async def verify(self, source: Source, credential: GitCredential | None, commit: str, demand: Demand) -> str:
        return await self._of(source).verify(source, credential, commit, demand)

    async def is_ancestor(self, source: Source, credential: GitCredential | None, old: str, new: str) -> bool:
        return await self._of(source).is_ancestor(source, credential, old, new)

    async def sweep(self, idle_seconds: float) -> None:
        """Remove what was not asked for for so long."""
        _ = await self._mirrors.sweep(idle_seconds)
        _ = await self._artifacts.sweep(idle_seconds)
