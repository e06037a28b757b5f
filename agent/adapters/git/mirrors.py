"""The mirrors: one bare repository per (URL, credential), and the engine's GitPort on top of them.

`fetching` fills them; what several Applications ask of one of them is asked once, by `sharing`.
git blocks, so it runs in worker threads; a cancelled task ends its git. Only this process writes to `directory`. Losing it costs a
fetch. Mirrors hold whole histories, so an old commit that is not there cannot be an ancestor of one that is.
"""

from __future__ import annotations

import asyncio
import copy
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from weakref import WeakValueDictionary

from agent.adapters.git import addresses, credential, failures, reading
from agent.adapters.git.fetching import Fetcher, Remote
from agent.adapters.git.installation_tokens import Tokens
from agent.adapters.git.sharing import Answer, Known
from agent.engine.repositories import Asked
from agent.values.errors import AgentError, LimitError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Generator, Mapping
    from pathlib import Path

    from agent.adapters.git.sharing import Ref
    from agent.adapters.git.trees import Tree
    from agent.api.operator import GitSettings, Limits
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from agent.engine.repositories import Demand, Snapshot, Turn
    from agent.engine.state import Place
    from agent.manifests.documents import TreeEntry
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import Revision

T = TypeVar("T")

Operation = Literal["ask", "fetch"]
WORKERS: Final = 4
"""Commands of git at a time."""


class Mirrors:
    """GitPort over `directory`, a folder of this process alone (an emptyDir).

    Serving an `application`, each git has a `turn`.
    """

    def __init__(
        self,
        directory: Path,
        settings: GitSettings,
        limits: Limits,
        fingerprinter: Fingerprinter,
        *,
        workers: int = WORKERS,
        packs: int = 40,
        monotonic: Callable[[], float] = time.monotonic,
        observe: Callable[[Operation, bool, float], None] | None = None,
    ) -> None:
        """`fingerprinter` names the mirrors by credential without revealing it; its purpose is this alone.

        At most `workers` gits run at a time. Every fetch leaves a pack; a mirror of more than `packs` is repacked. `monotonic` is
        the clock of what is `asked`. `observe(operation, answered, seconds)` is called after each exchange with a server.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory: Final = directory.resolve()
        self._settings: Final = settings
        self._limits: Final = limits
        self._fingerprinter: Final = fingerprinter
        self._closing: Final = threading.Event()
        self._fetcher: Final = Fetcher(self.directory, settings, limits, packs=packs, closing=self._closing)
        self._executor: Final = ThreadPoolExecutor(workers, thread_name_prefix="git")
        # each as long as a task holds it or waits for it
        self._locks: Final = WeakValueDictionary[str, asyncio.Lock]()
        self._running: Final[set[threading.Event]] = set()
        self._now: Final = monotonic
        self._observe: Final = observe or _ignore
        self._known: Final = Known(monotonic)
        self._tokens: Final = Tokens(settings, fingerprinter, monotonic)
        self.application = ""
        self.turn: Turn = nullcontext
        self.paths: dict[tuple[str, int], tuple[GitCredential | None, Path]] | None = None

    def listen(self, moved: Callable[[Collection[str], str], None]) -> None:
        """Have `moved` called with the uids of Applications whose revision names another commit than they were answered with."""
        self._known.moved = moved

    def serving(self, application: str, turn: Turn) -> Mirrors:
        """The same mirrors for one Application: each git that it causes has a `turn`, and it is a follower of what it asks for."""
        mirrors = copy.copy(self)
        mirrors.application, mirrors.turn, mirrors.paths = application, turn, {}
        return mirrors

    async def head(self, source: Source, credential: GitCredential | None, asked: Asked | None = None) -> str:
        """The full commit hash that the source's revision names. Raises SourceError, SourceUnavailableError."""
        ref = self._ref(source, credential)
        if source.commit is not None:
            addresses.check(source.address, self._settings)
            ref.commit = source.commit
            return source.commit
        asked = asked or Asked(self._now())

        async def ask() -> str:
            commit = await self._exchange("ask", source, credential, self._fetcher.head)
            self._known.note(ref, commit)
            return commit

        ref.follow(self.application)
        try:
            return await ref.head.ask(lambda answer: _serves(answer, asked), self.turn, ask, due=asked.since)
        finally:
            ref.waiting.pop(self.application, None)

    async def fetch(self, source: Source, credential: GitCredential | None, asked: Asked | None = None) -> Revision:
        """Bring the commit into the mirror. Raises SourceError, SourceUnavailableError, LimitError (the repository is too large)."""
        ref, since = self._ref(source, credential), asked.since if asked else self._now()
        named = ref.head.answer

        def serves(answer: Answer[Revision]) -> bool:
            if answer.value is None:
                return answer.ended >= since
            if asked is None:
                return answer.value.commit == source.commit or answer.began >= since
            return answer.value.commit == ref.commit or (named is not None and answer.began >= named.began)

        async def bring() -> Revision:
            began = self._now()
            try:
                async with self._locked(source, credential):
                    revision = await self._exchange("fetch", source, credential, self._fetcher.fetch)
            except AgentError:
                self._known.lost(self._path(source, credential).name)
                raise
            if source.commit is None:
                ref.head.answer = Answer(since, began, self._now(), revision.commit)
                self._known.note(ref, revision.commit)
            return revision

        return await ref.fetched.ask(serves, self.turn, bring)

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
        """The manifest files of a commit that was fetched. Raises SourceError (layer), LimitError, SourceUnavailableError."""
        tree, limits = await self._tree(source, credential, commit), self._limits
        return await self._read(
            source,
            credential,
            lambda mirror, stop: reading.read(
                mirror,
                source,
                reading.full_hash(commit),
                tree=tree,
                known=known,
                limits=limits,
                cancelled=stop,
                within=within,
                most=most,
            ),
        )

    async def tree(self, source: Source, credential: GitCredential | None, commit: str) -> Mapping[str, TreeEntry]:
        """Every path of a commit that was fetched. Raises LimitError, SourceUnavailableError."""
        tree = await self._tree(source, credential, commit)
        return await self._read(
            source,
            credential,
            lambda mirror, stop: reading.paths(mirror, reading.full_hash(commit), tree=tree, cancelled=stop),
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
        """What a mirror holds."""
        async with self.turn():
            return await self._within(source, login, work)

    async def _within(
        self,
        source: Source,
        login: GitCredential | None,
        work: Callable[[reading.Mirror, threading.Event], T],
    ) -> T:
        """The same in a turn that was taken. A mirror that turns out to be damaged is removed; one that lacks a commit is fetched into again."""
        addresses.check(source.address, self._settings)
        mirror = self._mirror(source, login)
        try:
            return await self._of(source, lambda stop: work(mirror, stop))
        except SourceUnavailableError:
            self._known.lost(self._path(source, login).name)
            raise
        except reading.DamagedError:
            self._known.lost(self._path(source, login).name)
            async with self._locked(source, login):
                await self._in_thread(lambda _: shutil.rmtree(mirror.path, ignore_errors=True))
            raise failures.damaged(repository=source.address) from None

    async def _tree(self, source: Source, login: GitCredential | None, commit: str) -> Tree:
        """A commit's tree, listed once for all that read it."""
        return await self._known.trees.get(
            self._path(source, login).name,
            reading.full_hash(commit),
            self.turn,
            lambda: self._within(source, login, lambda mirror, stop: reading.whole(mirror, commit, cancelled=stop)),
        )

    async def is_ancestor(self, source: Source, credential: GitCredential | None, old: str, new: str) -> bool:
        """Whether `new` descends from `old`. Raises SourceUnavailableError where `new` was not fetched."""
        mirror, since = self._mirror(source, credential), self._now()
        old, new = reading.full_hash(old), reading.full_hash(new)
        return await self._known.descends(mirror.path.name, old, new).ask(
            lambda answer: answer.error is None or answer.ended >= since,
            self.turn,
            lambda: self._of(source, lambda stop: reading.is_ancestor(mirror, old, new, cancelled=stop)),
        )

    async def verify(self, source: Source, credential: GitCredential | None, commit: str, demand: Demand) -> str:
        """Who signed a commit that was fetched. Raises SignatureError, ConfigError, SourceUnavailableError."""
        from agent.adapters.git import verifying  # noqa: PLC0415  # loaded with the first signature

        remote = self._remote(source, credential)
        return await self._read(
            source,
            credential,
            lambda _, stop: verifying.verify(remote, reading.full_hash(commit), demand, cancelled=stop),
        )

    @property
    def trees_bytes(self) -> int:
        """What the trees of commits take in memory."""
        return self._known.trees.size

    async def sweep(self, idle_seconds: float) -> int:
        """Remove mirrors whose server was not asked through them for so long; how many went."""
        removed = 0
        for path in self.directory.iterdir():
            async with self._locks.setdefault(path.name, asyncio.Lock()):
                if path.is_dir() and time.time() - path.stat().st_mtime > idle_seconds:
                    await self._in_thread(lambda _, path=path: shutil.rmtree(path, ignore_errors=True))
                    path.with_suffix(".pem").unlink(missing_ok=True)
                    self._known.lost(path.name)
                    removed += 1
        return removed

    async def close(self) -> None:
        """End every git that runs."""
        self._closing.set()
        for stop in self._running:
            stop.set()
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)

    def _path(self, source: Source, login: GitCredential | None) -> Path:
        """Another limit is another mirror too: a mirror lacks the blobs over it. One run asks for the same ones again and again."""
        key = (source.address, id(login))
        known = self.paths.get(key) if self.paths is not None else None
        if known is not None:
            return known[1]
        name = credential.mirror_name(self._fingerprinter, source.address, login)
        path = self.directory / f"{name}-{self._limits.file_bytes:x}"
        if self.paths is not None:
            self.paths[key] = login, path  # kept with the credential, whose id is no other one's as long as it lives
        return path

    async def _exchange(
        self,
        operation: Operation,
        source: Source,
        login: GitCredential | None,
        work: Callable[[Remote, threading.Event], T],
    ) -> T:
        """What the server answers to a credential, or to the token that is handed out for it."""
        addresses.check(source.address, self._settings)
        with self._observed(operation):
            shown = login if await self._has(source, login) else await self._tokens.login(login)
            remote = Remote(source, shown, self._mirror(source, login))
            try:
                return await self._of(source, lambda stop: work(remote, stop))
            except SourceUnavailableError:
                raise
            except SourceError:
                self._tokens.refused(login)
                raise

    async def _has(self, source: Source, login: GitCredential | None) -> bool:
        """Whether a pinned commit is there already: then no server is asked, and no token is needed."""
        mirror, commit = self._mirror(source, login), source.commit
        if login is None or login.app is None or commit is None or not (mirror.path / "HEAD").is_file():
            return False
        return await self._of(source, lambda stop: reading.is_held(mirror, commit, cancelled=stop))

    @contextmanager
    def _observed(self, operation: Operation) -> Generator[None]:
        began, answered = self._now(), False
        try:
            yield
            answered = True
        finally:
            self._observe(operation, answered, self._now() - began)

    def _mirror(self, source: Source, login: GitCredential | None) -> reading.Mirror:
        return reading.Mirror(self._path(source, login), self._limits.git_bytes)

    def _remote(self, source: Source, login: GitCredential | None) -> Remote:
        return Remote(source, login, self._mirror(source, login))

    def _ref(self, source: Source, login: GitCredential | None) -> Ref:
        return self._known.ref(self._path(source, login).name, source.ref)

    def _locked(self, source: Source, login: GitCredential | None) -> asyncio.Lock:
        return self._locks.setdefault(self._path(source, login).name, asyncio.Lock())

    async def _of(self, source: Source, work: Callable[[threading.Event], T]) -> T:
        """The work's result; a limit that it met names the repository."""
        try:
            return await self._in_thread(work)
        except LimitError as error:
            raise error.with_facts(repository=source.address) from None

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


def _serves(answer: Answer[str], asked: Asked) -> bool:
    """A failure says nothing of what was before it."""
    if answer.error is not None:
        return answer.ended >= asked.since
    return answer.began >= asked.since or (asked.within > 0 and answer.due >= asked.since - asked.within)


def _ignore(*_: object) -> None: ...
