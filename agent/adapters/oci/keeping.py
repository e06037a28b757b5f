"""Where unpacked archives are kept: a folder per source and credential, and in it one per digest."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar
from weakref import WeakValueDictionary

from agent.adapters.oci import layout, packs
from agent.values.errors import LimitError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from agent.adapters.oci.packs import Pack
    from agent.api.operator import Limits
    from agent.engine.credentials import GitCredential
    from agent.values.fingerprint import Fingerprinter

T = TypeVar("T")

_WORKERS: Final = 4
"""As many as there are turns: a namespace, which has at most half of them, leaves some to others."""
_PREFIX: Final = "sha256:"


class Kept:
    """Over `directory`, a folder of this process alone (an emptyDir). What is lost is fetched again."""

    def __init__(self, directory: Path, limits: Limits, fingerprinter: Fingerprinter) -> None:
        """`fingerprinter` names folders by credential without revealing it; its purpose is this alone."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory: Final = directory.resolve()
        self._limits: Final = limits
        self._fingerprinter: Final = fingerprinter
        self._executor: Final = ThreadPoolExecutor(_WORKERS, thread_name_prefix="oci")
        self._closing: Final = threading.Event()
        # each as long as a task holds it or waits for it
        self._locks: Final = WeakValueDictionary[str, asyncio.Lock]()

    def folder(self, url: str, login: GitCredential | None, digest: str) -> Path:
        """Another URL, credential or authority is another folder, so knowing a digest is not enough to read."""
        if not layout.is_digest(digest):
            raise SourceError("not a digest of an artifact", repository=url)
        name = self._fingerprinter.tree(
            "oci",
            url,
            None
            if login is None
            else {"username": login.username, "password": login.password, "authority": login.ca_pem},
        )
        return self.directory / name / digest.removeprefix(_PREFIX)

    async def pack(self, folder: Path, url: str, download: Callable[[BinaryIO], Awaitable[None]]) -> Pack:
        """What is kept in a folder of `folder`; downloaded and unpacked where nothing is. Raises SourceError, LimitError, and what `download` does."""
        async with self._locks.setdefault(str(folder), asyncio.Lock()):
            found = await self.in_thread(lambda: packs.open_pack(folder))
            if found is not None:
                return found
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder.parent) as file:
                await download(file)
                await self._unpack(folder, file, url)
            found = await self.in_thread(lambda: packs.open_pack(folder))
        if found is None:
            raise SourceUnavailableError("the artifact is on disk no more, and fetched again", repository=url)
        return found

    async def sweep(self, idle_seconds: float) -> int:
        """Remove what was not asked for for so long; how many went."""
        return await self.in_thread(lambda: packs.sweep(self.directory, idle_seconds))

    async def close(self) -> None:
        """End what is being unpacked."""
        self._closing.set()
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _unpack(self, folder: Path, file: BinaryIO, url: str) -> None:
        file.seek(0)

        def work() -> None:
            from agent.adapters.oci import archive  # noqa: PLC0415  # loaded with the first artifact

            limits = archive.Limits(self._limits.artifact_bytes, self._limits.objects)
            packs.make(folder, archive.entries(file, limits), self._closing.is_set)
            packs.trim(folder.parent, folder.name, self._limits.repository_bytes)

        try:
            await self.in_thread(work)
        except (LimitError, SourceError) as error:
            raise error.with_facts(repository=url) from None
