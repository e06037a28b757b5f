"""The mirrors: one bare repository per (URL, credential), and the engine's GitPort on top of them.

git blocks, so it runs in worker threads; a cancelled task ends its git. Only this process writes to `directory`. Losing it costs a
fetch. Mirrors hold whole histories, so an old commit that is not there cannot be an ancestor of one that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakValueDictionary

from agent.adapters.git import addresses, command, credential, failures, reading, ssh
from agent.values.errors import LimitError, SourceError, SourceUnavailableError
from agent.values.ids import Revision

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from agent.adapters.git.command import Outcome
    from agent.api.application import Source
    from agent.api.operator import GitSettings, Limits
    from agent.engine.credentials import GitCredential
    from agent.engine.repositories import Snapshot
    from agent.manifests.documents import TreeEntry
    from agent.values.fingerprint import Fingerprinter

T = TypeVar("T")

WORKERS: Final = 4
"""Commands of git at a time."""
_LOCAL: Final = 120.0
"""Seconds that a command without network may take."""
_LIST_BYTES: Final = 64 * 1024 * 1024
"""Address space of each git that only asks what a ref names."""
_REMOTE: Final = "origin"


class Mirrors:
    """GitPort over `directory`, a folder of this process alone (an emptyDir)."""

    def __init__(
        self,
        directory: Path,
        settings: GitSettings,
        limits: Limits,
        fingerprinter: Fingerprinter,
        *,
        workers: int = WORKERS,
        packs: int = 40,
    ) -> None:
        """`fingerprinter` names the mirrors by credential without telling it; its purpose is this alone.

        At most `workers` gits run at a time. Every fetch leaves a pack; a mirror of more than `packs` is repacked.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory: Final = directory.resolve()
        self._packs: Final = packs
        self._settings: Final = settings
        self._limits: Final = limits
        self._fingerprinter: Final = fingerprinter
        self._executor: Final = ThreadPoolExecutor(workers, thread_name_prefix="git")
        # each as long as a task holds it or waits for it
        self._locks: Final = WeakValueDictionary[str, asyncio.Lock]()
        self._closing: Final = threading.Event()
        self._running: Final[set[threading.Event]] = set()

    async def head(self, source: Source, credential: GitCredential | None) -> str:
        """The full commit hash that the source's revision names now. Raises SourceError, SourceUnavailableError."""
        if source.revision.commit is not None:
            addresses.check(source.url, self._settings)
            return source.revision.commit
        return await self._of(source, lambda stop: self._head(source, credential, stop))

    async def fetch(self, source: Source, credential: GitCredential | None) -> Revision:
        """Bring the commit into the mirror. Raises SourceError, SourceUnavailableError, LimitError (the repository is too large)."""
        async with self._locked(source, credential):
            return await self._of(source, lambda stop: self._fetch(source, credential, stop))

    async def files(self, source: Source, credential: GitCredential | None, commit: str) -> Snapshot:
        """The manifest files of a commit that was fetched. Raises SourceError (layer), LimitError, SourceUnavailableError."""
        limits = self._limits
        return await self._read(
            source,
            credential,
            lambda mirror, stop: reading.read(
                mirror,
                source,
                reading.full_hash(commit),
                file_bytes=limits.file_bytes,
                total_bytes=limits.manifest_bytes,
                files=limits.objects,
                cancelled=stop,
            ),
        )

    async def tree(self, source: Source, credential: GitCredential | None, commit: str) -> Mapping[str, TreeEntry]:
        """Every path of a commit that was fetched. Raises LimitError, SourceUnavailableError."""
        return await self._read(
            source, credential, lambda mirror, stop: reading.tree(mirror, reading.full_hash(commit), cancelled=stop)
        )

    async def blobs(
        self, source: Source, credential: GitCredential | None, commit: str, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        """Contents of files that `tree` named, by blob. Raises SourceUnavailableError."""
        return await self._read(
            source, credential, lambda mirror, stop: reading.blobs(mirror, commit, blobs, cancelled=stop)
        )

    async def _read(
        self,
        source: Source,
        login: GitCredential | None,
        work: Callable[[reading.Mirror, threading.Event], T],
    ) -> T:
        """What a mirror holds. One that turns out to be damaged is removed."""
        addresses.check(source.url, self._settings)
        mirror = self._mirror(source, login)
        try:
            return await self._of(source, lambda stop: work(mirror, stop))
        except reading.DamagedError:
            async with self._locked(source, login):
                await self._in_thread(lambda _: shutil.rmtree(mirror.path, ignore_errors=True))
            raise failures.damaged(repository=source.url) from None

    async def is_ancestor(self, source: Source, credential: GitCredential | None, old: str, new: str) -> bool:
        """Whether `new` descends from `old`. Raises SourceUnavailableError where `new` was not fetched."""
        mirror = self._mirror(source, credential)
        return await self._of(
            source,
            lambda stop: reading.is_ancestor(mirror, reading.full_hash(old), reading.full_hash(new), cancelled=stop),
        )

    async def sweep(self, idle_seconds: float) -> int:
        """Remove mirrors whose server was not asked through them for so long; how many went."""
        removed = 0
        for path in self.directory.iterdir():
            async with self._locks.setdefault(path.name, asyncio.Lock()):
                if path.is_dir() and time.time() - path.stat().st_mtime > idle_seconds:
                    await self._in_thread(lambda _, path=path: shutil.rmtree(path, ignore_errors=True))
                    path.with_suffix(".pem").unlink(missing_ok=True)
                    removed += 1
        return removed

    async def close(self) -> None:
        """End every git that runs."""
        self._closing.set()
        for stop in self._running:
            stop.set()
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)

    def _path(self, source: Source, login: GitCredential | None) -> Path:
        """Another limit is another mirror too: a mirror lacks the blobs over it."""
        name = credential.mirror_name(self._fingerprinter, source.url, login)
        return self.directory / f"{name}-{self._limits.file_bytes:x}"

    def _mirror(self, source: Source, login: GitCredential | None) -> reading.Mirror:
        return reading.Mirror(self._path(source, login), self._limits.git_bytes)

    def _locked(self, source: Source, login: GitCredential | None) -> asyncio.Lock:
        return self._locks.setdefault(self._path(source, login).name, asyncio.Lock())

    async def _of(self, source: Source, work: Callable[[threading.Event], T]) -> T:
        """The work's result; a limit that it met names the repository."""
        try:
            return await self._in_thread(work)
        except LimitError as error:
            raise error.with_facts(repository=source.url) from None

    async def _in_thread(self, work: Callable[[threading.Event], T]) -> T:
        stop = threading.Event()
        self._running.add(stop)
        future = asyncio.get_running_loop().run_in_executor(self._executor, work, stop)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()
            raise
        finally:
            self._running.discard(stop)

    def _head(self, source: Source, login: GitCredential | None, stop: threading.Event) -> str:
        ref = source.revision.ref
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._path(source, login))
        outcome = self._network(
            source, login, ["ls-remote", "--quiet", "--end-of-options", source.url, ref, f"{ref}^{{}}"], stop
        )
        if not outcome.ok:
            raise failures.translate(outcome, repository=source.url)
        lines = outcome.stdout.decode("utf-8", "replace").splitlines()
        names = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        found = names.get(f"{ref}^{{}}") or names.get(ref)
        if found is None:
            raise _no_such_revision(source)
        return reading.full_hash(found)

    def _fetch(self, source: Source, login: GitCredential | None, stop: threading.Event) -> Revision:
        mirror = self._mirror(source, login)
        path = mirror.path
        self._prepare(path)
        if source.revision.commit is not None:
            commit = self._pinned(source, login, mirror, source.revision.commit, stop)
        else:
            commit = self._newest(source, login, mirror, stop)
        os.utime(path)
        author, authored_at, subject = reading.headline_of(mirror, commit, cancelled=stop)
        ref = source.revision.branch or source.revision.tag or "commit"
        return Revision(commit, ref, author, authored_at, subject)

    def _newest(
        self, source: Source, login: GitCredential | None, mirror: reading.Mirror, stop: threading.Event
    ) -> str:
        """The commit that a branch or tag names now."""
        ref = source.revision.ref
        local = "refs/signet/" + hashlib.sha256(ref.encode()).hexdigest()
        outcome = self._download(source, login, mirror.path, [f"+{ref}:{local}"], stop)
        if not outcome.ok:
            raise failures.translate(outcome, repository=source.url)
        commit = reading.commit_of(mirror, local, cancelled=stop)
        if commit is None:
            raise _no_such_revision(source)
        return commit

    def _pinned(
        self, source: Source, login: GitCredential | None, mirror: reading.Mirror, commit: str, stop: threading.Event
    ) -> str:
        """A commit that is pinned by its hash, if a branch or tag of the repository leads to it.

        A server hands out commits of forks and pull requests by their hash too, which others wrote. What was found on a branch
        once is taken without asking again.
        """
        if not reading.is_held(mirror, commit, cancelled=stop):
            everything = [f"+refs/{kind}/*:{reading.HELD}/{kind}/*" for kind in ("heads", "tags")]
            outcome = self._download(source, login, mirror.path, everything, stop)
            if not outcome.ok:
                raise failures.translate(outcome, repository=source.url)
            if not reading.is_held(mirror, commit, cancelled=stop):
                raise SourceError(
                    "no branch or tag of the repository contains this commit",
                    hint="pin one that a branch or tag contains: commits that are only in a fork or a pull request are not accepted",
                    repository=source.url,
                    revision=commit,
                )
        return commit

    def _prepare(self, path: Path) -> None:
        """An empty mirror where there is none, and no leftovers of a git that was killed in one that is there."""
        if (path / "HEAD").is_file():
            for leftover in (*path.glob("objects/pack/tmp_*"), *path.glob("**/*.lock")):
                leftover.unlink(missing_ok=True)
            if sum(1 for _ in path.glob("objects/pack/*.pack")) <= self._packs or self._repacked(path):
                return
        new = path.with_name(f"{path.name}.new")
        for stale in (new, path):
            shutil.rmtree(stale, ignore_errors=True)
        self._local(self.directory, ["init", "--bare", "--quiet", "--template=", "--end-of-options", str(new)])
        new.replace(path)

    def _repacked(self, path: Path) -> bool:
        """Whether one pack was made of many. That takes more memory and time than fetching them did, and may be too much."""
        try:
            self._local(path, ["repack", "-a", "-d", "-k", "--quiet"])
        except (LimitError, SourceUnavailableError):
            return False
        return True

    def _local(self, path: Path, arguments: Sequence[str]) -> None:
        confined = command.Confined(path, address_space=self._limits.git_bytes, cpu_seconds=_LOCAL)
        confined.configuration |= self._partial()
        outcome = command.run(confined, arguments, seconds=_LOCAL, cancelled=self._closing)
        if not outcome.ok:
            raise SourceUnavailableError("the folder of mirrors cannot be written", hint="is its volume full?")

    def _download(
        self, source: Source, login: GitCredential | None, path: Path, refspecs: Sequence[str], stop: threading.Event
    ) -> Outcome:
        outcome = self._network(
            source,
            login,
            [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--prune",
                "--end-of-options",
                _REMOTE,
                *refspecs,
            ],
            stop,
            path,
        )
        if not outcome.ok and failures.is_unknown(outcome):
            shutil.rmtree(path, ignore_errors=True)
            raise failures.damaged(repository=source.url)
        if outcome.stopped == "size" or (outcome.ok and self._too_large(path)):
            shutil.rmtree(path, ignore_errors=True)
            raise LimitError(
                "the repository is larger than the agent accepts",
                hint="limits.repositoryBytes in the operator's file is the limit",
                limit=self._limits.repository_bytes,
            )
        return outcome

    def _network(
        self,
        source: Source,
        login: GitCredential | None,
        arguments: Sequence[str],
        stop: threading.Event,
        path: Path | None = None,
    ) -> Outcome:
        address = addresses.check(source.url, self._settings)
        seconds = float(self._settings.timeout_seconds)
        confined = command.Confined(
            path or self.directory,
            address_space=_LIST_BYTES if path is None else self._limits.git_bytes,
            cpu_seconds=seconds,
        )
        confined.variables["GIT_ALLOW_PROTOCOL"] = address.scheme
        if path is not None:
            confined.variables["GIT_DIR"] = str(path)
            confined.configuration |= {f"remote.{_REMOTE}.url": source.url, **self._partial()}
        else:
            confined.variables["GIT_CEILING_DIRECTORIES"] = str(self.directory.parent)
        authority = self._authority(source, login)
        if authority is not None:
            confined.configuration["http.sslCAInfo"] = str(authority)
        confined.configuration |= {"http.lowSpeedLimit": "1", "http.lowSpeedTime": str(int(seconds))}
        with credential.offered(login) as descriptor, ssh.client(address, login) as client:
            descriptors: tuple[int, ...] = ()
            if client is not None:
                confined.configuration |= client.configuration
                descriptors = client.descriptors
            elif descriptor is not None:
                confined.configuration[f"credential.{address.origin}.helper"] = credential.helper(descriptor)
                descriptors = (descriptor,)
            outcome = command.run(
                confined,
                arguments,
                seconds=seconds,
                cancelled=stop,
                too_large=None if path is None else lambda: self._too_large(path),
                descriptors=descriptors,
            )
            return outcome if client is None else replace(outcome, ssh=client.words())

    def _partial(self) -> dict[str, str]:
        """A server that can leaves out what is not a manifest for its size (gitrepository-layout, partial clone)."""
        return {
            f"remote.{_REMOTE}.promisor": "true",
            f"remote.{_REMOTE}.partialCloneFilter": f"blob:limit={self._limits.file_bytes + 1}",
        }

    def _authority(self, source: Source, login: GitCredential | None) -> Path | str | None:
        """The PEM file to trust: it is no secret, and git takes nothing but a file."""
        if login is None or not login.ca_pem:
            return self._settings.ca_file
        path = self._path(source, login).with_suffix(".pem")
        if not path.is_file() or path.read_text() != login.ca_pem:
            new = path.with_suffix(f".{threading.get_ident()}")
            new.write_text(login.ca_pem)
            new.replace(path)
        return path

    def _too_large(self, path: Path) -> bool:
        size = 0
        for folder, _, names in os.walk(path):
            for name in names:
                try:
                    size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
                except FileNotFoundError:
                    continue
        return size > self._limits.repository_bytes


def _no_such_revision(source: Source) -> SourceError:
    return SourceError(
        "the repository has no such branch, tag or commit",
        hint="check spec.source.revision",
        repository=source.url,
        revision=source.revision.ref,
    )
