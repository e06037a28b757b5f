"""Artifacts as the engine's source of files: what `GitPort` says of commits, of digests. One folder per (URL, credential) has what was fetched.

An artifact has no history, and a digest says what it is: one that is no longer on disk is fetched again when it is asked for.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar
from weakref import WeakValueDictionary

from agent.adapters.oci import addresses, archive, cosign, layout, packs, selecting
from agent.adapters.oci.client import Client
from agent.adapters.oci.registry import Registry
from agent.api.registries import ArtifactRule
from agent.manifests import versions
from agent.values.errors import LimitError, SourceError, SourceUnavailableError
from agent.values.ids import Revision
from agent.values.text import cut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping
    from pathlib import Path

    from agent.adapters.oci.layout import Descriptor
    from agent.adapters.oci.packs import Pack
    from agent.api.operator import Limits
    from agent.api.registries import OciSource, RegistrySettings
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from agent.engine.repositories import Demand, Snapshot
    from agent.manifests.documents import TreeEntry
    from agent.values.fingerprint import Fingerprinter

T = TypeVar("T")

_WORKERS: Final = 2
_PREFIX: Final = "sha256:"


class Artifacts:
    """Over `directory`, a folder of this process alone (an emptyDir)."""

    def __init__(
        self, directory: Path, settings: RegistrySettings, limits: Limits, fingerprinter: Fingerprinter
    ) -> None:
        """`fingerprinter` names folders by credential without telling it; its purpose is this alone."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory: Final = directory.resolve()
        self._settings: Final = settings
        self._limits: Final = limits
        self._fingerprinter: Final = fingerprinter
        self._executor: Final = ThreadPoolExecutor(_WORKERS, thread_name_prefix="oci")
        self._closing: Final = threading.Event()
        # each as long as a task holds it or waits for it
        self._locks: Final = WeakValueDictionary[str, asyncio.Lock]()

    async def head(self, source: Source, credential: GitCredential | None) -> str:
        """The digest that the source names now. Raises SourceError, SourceUnavailableError, LimitError."""
        async with self._asking(_artifact(source), credential) as registry:
            return (await _named(_artifact(source), registry))[1]

    async def fetch(self, source: Source, credential: GitCredential | None) -> Revision:
        """Have the artifact on disk. Raises SourceError, SourceUnavailableError, LimitError."""
        asked = _artifact(source)
        async with self._asking(asked, credential) as registry:
            ref, digest = await _named(asked, registry)
            manifest = await registry.manifest(digest)
            await self._bring(asked, credential, registry, digest, layout.content(manifest))
        return Revision(digest, ref, "", manifest.created, cut(manifest.revision))

    async def files(self, source: Source, credential: GitCredential | None, commit: str) -> Snapshot:
        """The manifest files of the source's layers. Raises SourceError, LimitError."""
        pack = await self._pack(source, credential, commit)
        return await self._in_thread(lambda: selecting.files(pack, source, self._limits))

    async def tree(self, source: Source, credential: GitCredential | None, commit: str) -> Mapping[str, TreeEntry]:
        """Every path of an artifact."""
        return (await self._pack(source, credential, commit)).tree

    async def blobs(
        self, source: Source, credential: GitCredential | None, commit: str, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        """Contents of files that `tree` named."""
        pack = await self._pack(source, credential, commit)
        return await self._in_thread(lambda: pack.read(blobs))

    async def verify(self, source: Source, credential: GitCredential | None, commit: str, demand: Demand) -> str:
        """Which key signed an artifact. Raises SignatureError, ConfigError, SourceUnavailableError."""
        assert isinstance(demand.rule, ArtifactRule)
        keys = await self._in_thread(partial(cosign.keys, demand.rule.keys))
        async with self._asking(_artifact(source), credential) as registry:
            return await cosign.verify(registry, commit, keys)

    async def is_ancestor(self, source: Source, credential: GitCredential | None, old: str, new: str) -> bool:  # noqa: ARG002
        """Nothing is rewritten where there is no history."""
        return True

    async def sweep(self, idle_seconds: float) -> int:
        """Remove artifacts that were not asked for for so long; how many went."""
        return await self._in_thread(lambda: packs.sweep(self.directory, idle_seconds))

    async def close(self) -> None:
        """End what is being unpacked."""
        self._closing.set()
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)

    async def _pack(self, source: Source, login: GitCredential | None, digest: str) -> Pack:
        asked = _artifact(source)
        _ = addresses.check(asked.url, self._settings)
        folder = self._folder(asked, login, digest)
        found = await self._in_thread(lambda: packs.open_pack(folder))
        if found is None:
            async with self._asking(asked, login) as registry:
                manifest = await registry.manifest(digest)
                await self._bring(asked, login, registry, digest, layout.content(manifest))
            found = await self._in_thread(lambda: packs.open_pack(folder))
        if found is None:
            raise SourceUnavailableError("the artifact is on disk no more, and fetched again", repository=asked.url)
        return found

    async def _bring(
        self, asked: OciSource, login: GitCredential | None, registry: Registry, digest: str, blob: Descriptor
    ) -> None:
        folder = self._folder(asked, login, digest)
        async with self._locks.setdefault(str(folder), asyncio.Lock()):
            if await self._in_thread(lambda: packs.open_pack(folder)) is not None:
                return
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder.parent) as file:
                await registry.blob(blob, file.write, most=self._limits.artifact_bytes)
                await self._unpack(folder, file, asked.url)

    async def _unpack(self, folder: Path, file: BinaryIO, url: str) -> None:
        limits = archive.Limits(self._limits.artifact_bytes, self._limits.objects)
        file.seek(0)

        def work() -> None:
            packs.make(folder, file, limits, self._closing.is_set)
            packs.trim(folder.parent, folder.name, self._limits.repository_bytes)

        try:
            await self._in_thread(work)
        except (LimitError, SourceError) as error:
            raise error.with_facts(repository=url) from None

    @asynccontextmanager
    async def _asking(self, asked: OciSource, login: GitCredential | None) -> AsyncGenerator[Registry]:
        """A registry that has so long for all that is asked of it."""
        address = addresses.check(asked.url, self._settings)
        try:
            async with (
                asyncio.timeout(self._settings.timeout_seconds),
                Client(self._settings, ca_pem=login.ca_pem if login else "") as client,
            ):
                yield Registry(client, address, login)
                return
        except TimeoutError:
            pass
        raise SourceUnavailableError(
            "the registry did not answer in time",
            hint="oci.timeoutSeconds in the operator's file is the limit",
            repository=asked.url,
        )

    def _folder(self, asked: OciSource, login: GitCredential | None, digest: str) -> Path:
        """Another URL, credential or authority is another folder, so knowing a digest is not enough to read."""
        if not layout.is_digest(digest):
            raise SourceError("not a digest of an artifact", repository=asked.url)
        name = self._fingerprinter.tree(
            "oci",
            asked.url,
            None
            if login is None
            else {"username": login.username, "password": login.password, "authority": login.ca_pem},
        )
        return self.directory / name / digest.removeprefix(_PREFIX)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _artifact(source: Source) -> OciSource:
    assert source.oci is not None
    return source.oci


async def _named(asked: OciSource, registry: Registry) -> tuple[str, str]:
    """The tag, "" for none, and the digest."""
    if asked.digest is not None:
        return "", asked.digest
    tag = asked.tag
    if asked.semver is not None:
        tag = versions.newest(await registry.tags(), asked.semver)
    if tag is None:
        raise SourceError(
            "no tag of the repository is a version in this range",
            hint="check spec.source.oci.semver; early versions count only where the range names one",
            repository=asked.url,
        )
    return tag, await registry.digest(tag)
