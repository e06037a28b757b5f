"""What an agent reads besides the cluster, and what it tells: Git, stores, sealing keys, the audit trail, metrics, clock and tasks."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from agent.engine.credentials import GitCredential
from agent.engine.ports import Resolved
from agent.engine.repositories import Snapshot
from agent.engine.rooms import LargerError
from agent.manifests.charts import FoundChart
from agent.manifests.documents import File, TreeEntry
from agent.values import derive
from agent.values.errors import (
    AgentError,
    AuditError,
    SealedSecretError,
    SourceError,
    StoreDeniedError,
    StoreNotFoundError,
    StoreUnavailableError,
    UnknownStoreError,
)
from agent.values.ids import Revision
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, Sequence

    from agent.api.application import Application
    from agent.api.charts import ChartSource
    from agent.api.sources import Source
    from agent.engine.ports import AuditEntry
    from agent.engine.renderers import Chart, Kustomization, Rendered, RenderPort
    from agent.engine.repositories import Asked, Demand, Turn
    from agent.engine.state import Place
    from agent.manifests.references import Reference
    from agent.manifests.sealed_secrets import SealedValue
    from agent.values.ids import ApplicationId

T = TypeVar("T")


def commit_of(number: int) -> str:
    """The hash of the commit of this number: it begins with it."""
    return f"{number:012d}" + "0" * 28


def digest_of(number: int) -> str:
    """The same of an artifact's manifest."""
    return f"sha256:{number:012d}{'0' * 52}"


def _newest(source: Source, number: int) -> str:
    return digest_of(number) if source.oci is not None else commit_of(number)


def _number(commit: str) -> int:
    return int(commit.removeprefix("sha256:")[:12])


def blob_of(text: str) -> str:
    """What stands for the hash of a file's blob."""
    return hashlib.sha256(text.encode()).hexdigest()


class Gitlink(str):
    """The commit of a submodule, in the place of a file's text."""

    __slots__ = ()


@dataclass(slots=True)
class Git:
    """One repository. `commits` map paths to texts, from commit 1; `rewritten` are those that the branch left behind.

    `error` is what every request is answered with; `refused` are files that are not handed out. `reads` counts files of commits, `contents` are
    those whose contents were given last, `fetches` counts fetches, `subjects` are those of commits whose subject is not their number. `signers` say what is wrong with signatures, `demands` are those asked for.
    """

    commits: list[Mapping[str, str]] = field(default_factory=list[dict[str, str]])
    head_number: int = 0
    rewritten: set[int] = field(default_factory=set)
    error: AgentError | None = None
    refused: dict[str, AgentError] = field(default_factory=dict)
    asked: int = 0
    within: float = 0.0
    reads: int = 0
    contents: list[str] = field(default_factory=list[str])
    fetches: int = 0
    subjects: dict[int, str] = field(default_factory=dict)
    signers: dict[int, AgentError] = field(default_factory=dict)
    demands: list[Demand] = field(default_factory=list["Demand"])
    further: dict[str, Git] = field(default_factory=dict[str, "Git"])
    """Further sources of the Application, by address."""
    others: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Other repositories by address: files by the commits that a branch leads to."""
    fetched: list[str] = field(default_factory=list)
    """Commits of others that were asked for, with the user that asked."""

    def push(self, files: Mapping[str, str]) -> int:
        self.commits.append(dict(files))
        self.head_number = len(self.commits)
        return self.head_number

    def force_push(self, files: Mapping[str, str]) -> int:
        """A commit that does not descend from those before it."""
        self.rewritten.update(range(1, len(self.commits) + 1))
        return self.push(files)

    def listen(self, moved: Callable[[Collection[str], str], None]) -> None: ...

    def serving(self, application: str, turn: Turn) -> Git:
        return self

    async def head(self, source: Source, credential: GitCredential | None, asked: Asked | None = None) -> str:
        if source.address in self.further:
            return await self.further[source.address].head(source, credential, asked)
        self.asked += 1
        self.within = asked.within if asked is not None else 0.0
        if self.error is not None:
            raise self.error
        return _newest(source, self.head_number)

    async def fetch(self, source: Source, credential: GitCredential | None, asked: Asked | None = None) -> Revision:
        if source.address in self.further:
            return await self.further[source.address].fetch(source, credential, asked)
        self.fetches += 1
        if self.error is not None:
            raise self.error
        if source.address in self.others:
            commit = source.commit or ""
            self.fetched.append(f"{credential.username if credential else 'anonymous'} {source.address} {commit[:4]}")
            if commit not in self.others[source.address]:
                raise SourceError("no branch or tag of the repository contains this commit", repository=source.address)
            return Revision(commit, "commit", "Dev <dev@example.com>", 0, "")
        subject = self.subjects.get(self.head_number, f"commit {self.head_number}")
        return Revision(_newest(source, self.head_number), source.ref, "Dev <dev@example.com>", 0, subject)

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
        if source.address in self.further:
            return await self.further[source.address].files(source, credential, commit, known, within, most=most)
        self.reads += 1
        files = self._texts(source, commit)
        found = [
            File(f"{within}/{path}" if within else path, blob_of(text), text.encode(), layer)
            for layer, folder in enumerate(source.layers)
            for path, text in sorted(files.items())
            if not isinstance(text, Gitlink)
            and path != ".gitmodules"
            and (folder == "." or path.startswith(f"{folder}/"))
        ]
        found = [replace(file, data=b"") if (file.path, file.blob, file.layer) in known else file for file in found]
        if most is not None and sum(len(file.data) for file in found) > most:
            raise LargerError
        self.contents = [file.path for file in found if file.data]
        return Snapshot(tuple(found), tuple(self.refused.items()))

    async def tree(self, source: Source, credential: GitCredential | None, commit: str) -> Mapping[str, TreeEntry]:
        if source.address in self.further:
            return await self.further[source.address].tree(source, credential, commit)
        return {
            path: TreeEntry(text, 0, "submodule")
            if isinstance(text, Gitlink)
            else TreeEntry(blob_of(text), len(text.encode()))
            for path, text in self._texts(source, commit).items()
        }

    async def blobs(
        self, source: Source, credential: GitCredential | None, commit: str, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        if source.address in self.further:
            return await self.further[source.address].blobs(source, credential, commit, blobs)
        texts = self._texts(source, commit).values()
        return {blob_of(text): text.encode() for text in texts if blob_of(text) in blobs}

    async def verify(self, source: Source, credential: GitCredential | None, commit: str, demand: Demand) -> str:
        if source.address in self.further:
            return await self.further[source.address].verify(source, credential, commit, demand)
        self.demands.append(demand)
        if (error := self.signers.get(_number(commit))) is not None:
            raise error
        return "dev@example.com"

    def _texts(self, source: Source, commit: str) -> Mapping[str, str]:
        other = self.others.get(source.address)
        return other[commit] if other is not None else self.commits[_number(commit) - 1]

    async def is_ancestor(self, source: Source, credential: GitCredential | None, old: str, new: str) -> bool:
        if source.address in self.further:
            return await self.further[source.address].is_ancestor(source, credential, old, new)
        return _number(old) not in self.rewritten or _number(new) in self.rewritten


@dataclass(slots=True)
class Charts:
    """A server of charts. `archives` have the files of each version, `newest` is the one that every range names, `others` those
    of other charts by `address/name version`; `error` is the answer to all."""

    archives: dict[str, Mapping[str, str]] = field(default_factory=dict[str, "Mapping[str, str]"])
    newest: str = ""
    others: dict[str, str] = field(default_factory=dict[str, str])
    error: AgentError | None = None
    asked: list[str] = field(default_factory=list[str])

    def put(self, version: str, files: Mapping[str, str]) -> None:
        self.archives[version] = files
        self.newest = version

    async def find(self, chart: ChartSource, login: GitCredential | None) -> FoundChart:
        self.asked.append(f"{login.username if login else 'anonymous'} {chart.shown}")
        if self.error is not None:
            raise self.error
        newest = self.others.get(f"{chart.shown} {chart.version}", self.newest)
        return FoundChart(f"sha256:{blob_of(newest)}", newest)

    async def tree(self, chart: ChartSource, login: GitCredential | None, found: FoundChart) -> Mapping[str, TreeEntry]:
        files = self.archives[found.version].items()
        return {path: TreeEntry(blob_of(text), len(text.encode())) for path, text in files}

    async def blobs(
        self, chart: ChartSource, login: GitCredential | None, found: FoundChart, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        return {
            blob_of(text): text.encode() for text in self.archives[found.version].values() if blob_of(text) in blobs
        }


@dataclass(slots=True)
class Renderers:
    """RenderPort that counts what it is asked, over a real one where a test gives it."""

    real: RenderPort | None = None
    asked: list[Kustomization] = field(default_factory=list["Kustomization"])
    charts: list[Chart] = field(default_factory=list["Chart"])

    async def helm(self, application: ApplicationId, asked: Chart) -> Rendered:
        self.charts.append(asked)
        assert self.real is not None, "the test gives no renderer"
        return await self.real.helm(application, asked)

    async def kustomize(self, application: ApplicationId, asked: Kustomization) -> Rendered:
        self.asked.append(asked)
        assert self.real is not None, "the test gives no renderer"
        return await self.real.kustomize(application, asked)


@dataclass(slots=True)
class Stores:
    """One store, `main`, of KV v2: `values` maps a path to its versions from 1, each a map from key to text.

    `askers` are the Applications that it was asked for, `without_versions` paths of KV v1. `denied` paths may not be read; `away` says that it does not answer.
    """

    values: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    without_versions: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    away: bool = False
    read: list[str] = field(default_factory=list)
    askers: set[ApplicationId] = field(default_factory=set)

    def write(self, path: str, **values: str) -> None:
        self.values.setdefault(path, []).append(values)

    async def resolve(
        self, application: ApplicationId, references: Collection[Reference]
    ) -> Mapping[Reference, Resolved | AgentError]:
        by_path: defaultdict[tuple[str, int | None], list[Reference]] = defaultdict(list)
        for reference in references:
            by_path[reference.path, reference.version].append(reference)
        self.read += [path for path, _ in by_path]
        self.askers.add(application)
        return {reference: self._answer(reference) for some in by_path.values() for reference in some}

    async def probe(
        self, application: ApplicationId, references: Collection[Reference]
    ) -> Mapping[Reference, int | AgentError]:
        return {reference: self._version(reference) for reference in references}

    def _version(self, reference: Reference) -> int | AgentError:
        """A reference with a version of its own stays at that, and is not looked for."""
        if reference.version is not None and reference.store == "main":
            return reference.version
        error = self._error(reference)
        if error is not None:
            return error
        if reference.path in self.without_versions:
            return 0
        return len(self.values[reference.path])

    def _error(self, reference: Reference) -> AgentError | None:
        if reference.store != "main":
            return UnknownStoreError("the operator has configured no store of this name", store=reference.store)
        if self.away:
            return StoreUnavailableError("the store does not answer")
        if reference.path in self.denied:
            return StoreDeniedError("the store refuses this path", path=reference.path)
        versions = self.values.get(reference.path, [])
        if not versions or (reference.version or 1) > len(versions):
            return StoreNotFoundError("nothing is stored at this path", path=reference.path)
        return None

    def _answer(self, reference: Reference) -> Resolved | AgentError:
        error = self._error(reference)
        if error is not None:
            return error
        versions = self.values[reference.path]
        number = reference.version or len(versions)
        text = versions[number - 1].get(reference.key)
        if text is None:
            version = 0 if reference.path in self.without_versions else number
            return StoreNotFoundError("the secret has no such key", path=reference.path, version=version)
        version = 0 if reference.path in self.without_versions else number
        secret = Secret(text, f"vault:main/{reference.path}#{reference.key}@{version}")
        return Resolved(derive.base64_decode(secret) if reference.decode else secret, version)


@dataclass(slots=True)
class SealingKeys:
    """SealingKeyPort: a value opens as its own ciphertext while `there`."""

    there: bool = True

    async def unseal(
        self, application: ApplicationId, values: Collection[SealedValue]
    ) -> Mapping[str, Secret | AgentError]:
        return {
            value.leaf.id: Secret(value.ciphertext, f"sealed-secret:{value.namespace}/{value.name}#{value.key}")
            if self.there
            else SealedSecretError("no key opens the value")
            for value in values
        }


@dataclass(slots=True)
class Credentials:
    """No Application names one for its own repository; `invalidated` are those whose requests to Git failed."""

    invalidated: list[str] = field(default_factory=list)

    async def git(self, application: Application, source: str = "") -> None:
        return None

    async def chart(self, application: Application) -> GitCredential | None:
        """As the Secret's name says it."""
        render = application.spec.render
        named = render.helm.chart.credentials if render is not None and render.helm is not None else None
        return GitCredential(named.secret_name, None) if named else None

    async def dependency(self, application: Application, url: str) -> GitCredential | None:
        """As the Secret's name says it."""
        declared = (
            application.spec.render.helm.dependencies
            if application.spec.render and application.spec.render.helm
            else ()
        )
        named = next((each.credentials for each in declared if each.serves(url)), None)
        return GitCredential(named.secret_name, None) if named else None

    async def base(self, application: Application, url: str) -> GitCredential | None:
        """As the Secret's name says it."""
        declared = application.spec.render.remote_bases if application.spec.render else ()
        named = next(each.credentials for each in declared if each.url == url)
        return GitCredential(named.secret_name, None) if named else None

    async def submodule(self, application: Application, source: str, url: str) -> GitCredential | None:
        """As the Secret's name says it."""
        declared = application.spec.all_sources[source].submodule(url)
        named = declared.credentials if declared else None
        return GitCredential(named.secret_name, None) if named else None

    def invalidate(self, application: ApplicationId) -> None:
        self.invalidated.append(application.uid)


@dataclass(slots=True)
class Audit:
    """Entries as they are written; `full` refuses them."""

    entries: list[AuditEntry] = field(default_factory=list)
    checkpoints: int = 0
    full: bool = False

    async def write(self, entries: Iterable[AuditEntry]) -> None:
        if self.full:
            raise AuditError("the audit trail cannot be written")
        self.entries.extend(entries)

    async def checkpoint(self, run: str) -> None:
        self.checkpoints += 1


class Metrics:
    """Nothing is counted."""

    def reconciled(self, cause: str, result: str, seconds: float) -> None: ...
    def drifted(self, cause: str) -> None: ...
    def healed(self, seconds: float) -> None: ...
    def objects(self, application: ApplicationId, states: Mapping[str, int]) -> None: ...
    def held(self, application: ApplicationId, reasons: Mapping[str, int]) -> None: ...
    def waits(self, application: ApplicationId, reasons: Mapping[str, int]) -> None: ...
    def refused(self, application: ApplicationId, reason: str) -> None: ...
    def synced(self, application: ApplicationId, unix_seconds: float) -> None: ...
    def queued(self, namespace: str, runs: int) -> None: ...
    def waited(self, seconds: float) -> None: ...
    def began(self, application: ApplicationId, unix_seconds: float) -> None: ...
    def ended(self, application: ApplicationId, unix_seconds: float) -> None: ...
    def forget(self, application: ApplicationId) -> None: ...


@dataclass(slots=True)
class Clock:
    """Seconds that pass only where a caller waits."""

    seconds: float = 0.0

    def now(self) -> float:
        return 1_700_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass(slots=True)
class Tasks:
    """TasksPort on the clock above: `passing` is called as time goes by."""

    clock: Clock
    passing: list[Callable[[float], None]] = field(default_factory=list)

    async def all(self, work: Iterable[Awaitable[T]]) -> list[T]:
        results: Sequence[T | BaseException] = await asyncio.gather(*work, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    async def in_thread(self, work: Callable[[], T]) -> T:
        return work()

    async def sleep(self, seconds: float) -> None:
        self.clock.seconds += seconds
        for each in self.passing:
            each(self.clock.seconds)
        await asyncio.sleep(0)
