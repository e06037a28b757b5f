"""Artifacts as the engine's source of files: what `GitPort` says of commits, of digests.

An artifact has no history, and a digest says what it is: one that is no longer on disk is fetched again when it is asked for.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from agent.adapters.oci import layout, registry
from agent.api.registries import ArtifactRule
from agent.manifests import versions
from agent.values.errors import LimitError, SourceError
from agent.values.ids import Revision
from agent.values.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.adapters.oci.keeping import Kept
    from agent.adapters.oci.packs import Pack
    from agent.adapters.oci.registry import Registry
    from agent.api.operator import Limits
    from agent.api.registries import OciSource, RegistrySettings
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from agent.engine.repositories import Demand, Snapshot
    from agent.manifests.documents import TreeEntry

_COMPARING: Final = 10
"""Seconds that tags are held against a range."""


class Artifacts:
    """Of the registries that the operator allows, kept in `kept`."""

    def __init__(self, kept: Kept, settings: RegistrySettings, limits: Limits) -> None:
        self._kept: Final = kept
        self._settings: Final = settings
        self._limits: Final = limits

    async def head(self, source: Source, credential: GitCredential | None) -> str:
        """The digest that the source names now. Raises SourceError, SourceUnavailableError, LimitError."""
        asked = _artifact(source)
        async with registry.opened(self._settings, asked.url, credential) as opened:
            return (await named(asked, opened))[1]

    async def fetch(self, source: Source, credential: GitCredential | None) -> Revision:
        """Have the artifact on disk. Raises SourceError, SourceUnavailableError, LimitError."""
        asked = _artifact(source)
        async with registry.opened(self._settings, asked.url, credential) as opened:
            ref, digest = await named(asked, opened)
            manifest = await opened.manifest(digest)
        _ = await self.pack(asked, credential, digest)
        return Revision(digest, ref, "", manifest.created, cut(manifest.revision))

    async def files(
        self, source: Source, credential: GitCredential | None, commit: str, most: int | None = None
    ) -> Snapshot:
        """The manifest files of the source's layers. Raises SourceError, LimitError, LargerError."""
        from agent.adapters.oci import selecting  # noqa: PLC0415  # loaded with the first artifact

        pack = await self.pack(_artifact(source), credential, commit)
        return await self._kept.in_thread(lambda: selecting.files(pack, source, self._limits, most))

    async def tree(self, source: Source, credential: GitCredential | None, commit: str) -> Mapping[str, TreeEntry]:
        """Every path of an artifact."""
        return (await self.pack(_artifact(source), credential, commit)).tree

    async def blobs(
        self, source: Source, credential: GitCredential | None, commit: str, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        """Contents of files that `tree` named."""
        pack = await self.pack(_artifact(source), credential, commit)
        return await self._kept.in_thread(lambda: pack.read(blobs))

    async def verify(self, source: Source, credential: GitCredential | None, commit: str, demand: Demand) -> str:
        """Which key signed an artifact. Raises SignatureError, ConfigError, SourceUnavailableError."""
        from agent.adapters.oci import cosign, signers  # noqa: PLC0415  # loaded with the first signature

        assert isinstance(demand.rule, ArtifactRule)
        keys = await self._kept.in_thread(partial(signers.load, demand.rule.keys))
        async with registry.opened(self._settings, _artifact(source).url, credential) as opened:
            return await cosign.verify(opened, commit, keys)

    async def is_ancestor(self, source: Source, credential: GitCredential | None, old: str, new: str) -> bool:  # noqa: ARG002
        """Nothing is rewritten where there is no history."""
        return True

    async def pack(self, asked: OciSource, login: GitCredential | None, digest: str) -> Pack:
        """An artifact on disk, fetched where it is not there. Raises SourceError, SourceUnavailableError, LimitError."""
        registry.check(asked.url, self._settings)

        async def download(file: BinaryIO) -> None:
            async with registry.opened(self._settings, asked.url, login) as opened:
                blob = layout.content(await opened.manifest(digest))
                await opened.blob(blob, file.write, most=self._limits.artifact_bytes)

        return await self._kept.pack(self._kept.folder(asked.url, login, digest), asked.url, download)


def _artifact(source: Source) -> OciSource:
    assert source.oci is not None
    return source.oci


async def named(asked: OciSource, opened: Registry, *, plus: str = "+") -> tuple[str, str]:
    """The tag, "" for none, and the digest. `plus` stands in tags for the `+` of versions, which no tag may have.

    Raises SourceError, SourceUnavailableError, LimitError.
    """
    if asked.digest is not None:
        return "", asked.digest
    tag = asked.tag
    if asked.semver is not None:
        tags = [each.replace(plus, "+") for each in await opened.tags()]
        newest = await asyncio.to_thread(versions.newest, tags, asked.semver, _until(asked))
        tag = newest.replace("+", plus) if newest is not None else None
    if tag is None:
        raise SourceError(
            "no tag of the repository is a version in this range",
            hint="early versions count only where the range names one",
            repository=asked.url,
        )
    return tag, await opened.digest(tag)


def _until(asked: OciSource) -> Callable[[], None]:
    """Ends a comparison that takes too long: many tags and a long range."""
    end = time.monotonic() + _COMPARING

    def check() -> None:
        if time.monotonic() > end:
            raise LimitError(
                "comparing the repository's tags with the range takes too long",
                hint="write a shorter range, or name a tag or a digest",
                repository=asked.url,
            )

    return check
