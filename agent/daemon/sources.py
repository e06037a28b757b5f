"""The engine's GitPort over every kind of source: each call goes to the adapter of the source that it is about."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Mapping

    from agent.adapters.git.mirrors import Mirrors
    from agent.adapters.oci.artifacts import Artifacts
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from agent.engine.repositories import Asked, Demand, Snapshot, Turn
    from agent.engine.state import Place
    from agent.manifests.documents import TreeEntry
    from agent.values.ids import Revision


class Sources:
    """Repositories of Git, which take turns themselves, and artifacts of registries, for each of whose requests there is a `turn`."""

    def __init__(self, mirrors: Mirrors, artifacts: Artifacts, turn: Turn = nullcontext) -> None:
        self._mirrors: Final = mirrors
        self._artifacts: Final = artifacts
        self._turn: Final = turn

    def listen(self, moved: Callable[[Collection[str], str], None]) -> None:
        self._mirrors.listen(moved)

    def serving(self, application: str, turn: Turn) -> Sources:
        return Sources(self._mirrors.serving(application, turn), self._artifacts, turn)

    async def head(self, source: Source, credential: GitCredential | None, asked: Asked | None = None) -> str:
        if source.oci is None:
            return await self._mirrors.head(source, credential, asked)
        async with self._turn():
            return await self._artifacts.head(source, credential)

    async def fetch(self, source: Source, credential: GitCredential | None, asked: Asked | None = None) -> Revision:
        if source.oci is None:
            return await self._mirrors.fetch(source, credential, asked)
        async with self._turn():
            return await self._artifacts.fetch(source, credential)

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
        if source.oci is None:
            return await self._mirrors.files(source, credential, commit, known, within, most=most)
        async with self._turn():
            return await self._artifacts.files(source, credential, commit, most)

    async def tree(self, source: Source, credential: GitCredential | None, commit: str) -> Mapping[str, TreeEntry]:
        if source.oci is None:
            return await self._mirrors.tree(source, credential, commit)
        async with self._turn():
            return await self._artifacts.tree(source, credential, commit)

    async def blobs(
        self, source: Source, credential: GitCredential | None, commit: str, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        if source.oci is None:
            return await self._mirrors.blobs(source, credential, commit, blobs)
        async with self._turn():
            return await self._artifacts.blobs(source, credential, commit, blobs)

    async def verify(self, source: Source, credential: GitCredential | None, commit: str, demand: Demand) -> str:
        if source.oci is None:
            return await self._mirrors.verify(source, credential, commit, demand)
        async with self._turn():
            return await self._artifacts.verify(source, credential, commit, demand)

    async def is_ancestor(self, source: Source, credential: GitCredential | None, old: str, new: str) -> bool:
        if source.oci is None:
            return await self._mirrors.is_ancestor(source, credential, old, new)
        async with self._turn():
            return await self._artifacts.is_ancestor(source, credential, old, new)
