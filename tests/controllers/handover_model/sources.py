"""The ports that agents do not meet through: Git, the audit trail, metrics, and those that nothing here uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine.repositories import Snapshot
from agent.values.errors import SourceUnavailableError
from agent.values.ids import Revision

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.engine.ports import AuditEntry
    from agent.engine.renderers import Rendered
    from agent.manifests.charts import FoundChart
    from agent.manifests.documents import TreeEntry
    from agent.values.ids import ApplicationId
    from handover_model.agents import Agent


def commit_of(number: int) -> str:
    return f"{number:012d}" + "0" * 28


def number_of(revision: Revision) -> int:
    return int(revision.commit[:12])


class Git:
    """Commits are numbers from 1; `head` is the newest."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def listen(self, moved: object) -> None: ...

    def serving(self, application: object, turn: object) -> Git:
        return self

    async def head(self, source: object, credential: object, asked: object = None) -> str:
        await self._agent.gate("ask git")
        if self._agent.sourceless:
            self._agent.remember("no source")
            raise SourceUnavailableError("the server does not answer")
        self._agent.remember("head", self._agent.world.head)
        return commit_of(self._agent.world.head)

    async def fetch(self, source: object, credential: object, asked: object = None) -> Revision:
        return Revision(commit_of(self._agent.world.head), "main", "dev", 0)

    async def files(
        self,
        source: object,
        credential: object,
        commit: str,
        known: object = (),
        within: str = "",
        *,
        most: object = None,
    ) -> Snapshot:
        return Snapshot(self._agent.world.files[int(commit[:12])])

    async def tree(self, source: object, credential: object, commit: str) -> Mapping[str, TreeEntry]:
        raise AssertionError

    async def blobs(
        self, source: object, credential: object, commit: str, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        raise AssertionError

    async def is_ancestor(self, source: object, credential: object, old: str, new: str) -> bool:
        return int(old[:12]) <= int(new[:12])


class NoCharts:
    """No Application takes a chart of a server."""

    async def find(self, chart: object, login: object) -> FoundChart:
        raise AssertionError

    async def tree(self, chart: object, login: object, found: object) -> Mapping[str, TreeEntry]:
        raise AssertionError

    async def blobs(self, chart: object, login: object, found: object, blobs: object) -> Mapping[str, bytes]:
        raise AssertionError


class NoRenderers:
    """No Application renders."""

    async def kustomize(self, application: object, asked: object) -> Rendered:
        raise AssertionError


class Audit:
    """Entries as they are written, with the agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        for entry in entries:
            if entry.phase == "intent" and entry.object is not None and entry.revision is not None:
                self._agent.intents[entry.object] = number_of(entry.revision)
            self._agent.world.journal.trail.append((self._agent, entry))

    async def checkpoint(self, run: str) -> None:
        """Nothing signs here."""


class Metrics:
    """Which Applications an agent counts as its own."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def objects(self, application: ApplicationId, states: Mapping[str, int]) -> None:
        self._agent.counted[application.uid] = dict(states)

    def forget(self, application: ApplicationId) -> None:
        self._agent.counted.pop(application.uid, None)

    def reconciled(self, cause: str, result: str, seconds: float) -> None: ...
    def drifted(self, cause: str) -> None: ...
    def healed(self, seconds: float) -> None: ...
    def held(self, application: ApplicationId, reasons: Mapping[str, int]) -> None: ...
    def waits(self, application: ApplicationId, reasons: Mapping[str, int]) -> None: ...
    def refused(self, application: ApplicationId, reason: str) -> None: ...
    def synced(self, application: ApplicationId, unix_seconds: float) -> None: ...
    def queued(self, namespace: str, runs: int) -> None: ...
    def waited(self, seconds: float) -> None: ...
    def began(self, application: ApplicationId, unix_seconds: float) -> None: ...
    def ended(self, application: ApplicationId, unix_seconds: float) -> None: ...


class NoCredentials:
    async def git(self, application: object, source: str = "") -> None:
        return None

    async def base(self, application: object, url: str) -> None:
        return None

    async def submodule(self, application: object, source: str, url: str) -> None:
        return None

    def invalidate(self, application: object) -> None: ...


class NoKeys:
    async def prepare(self, application: object, wrapped: object, source: str = "") -> None: ...
    async def forget(self, application: object) -> None: ...


class NoStores:
    """Nothing refers to one."""
