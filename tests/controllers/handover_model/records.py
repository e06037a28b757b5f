"""RecordPort over shards in memory, each with a version: what was read or written last is a precondition of the next write."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from agent.engine.record import HEAD, Codec
from agent.values.errors import AgentError, StaleObjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.engine.record import ApplicationRecord
    from agent.values.ids import ApplicationId
    from handover_model.agents import Agent


class Records:
    """One agent's way to the stored records."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._checks: tuple[Callable[[], None], ...] = (agent.guard,)
        self._versions: dict[str, int] = {}

    def fenced(self, check: Callable[[], None]) -> Records:
        other = copy.copy(self)
        other._checks = (*self._checks, check)
        return other

    async def load(self, application: ApplicationId) -> Mapping[str, str]:
        await self._agent.ask("load record")
        stored = self._agent.world.shards
        self._versions.clear()
        self._versions.update({shard: version for shard, (version, _) in stored.items()})
        self._agent.remember("loaded", *sorted(self._versions.items()))
        return {shard: text for shard, (_, text) in stored.items()}

    async def store(self, application: ApplicationId, shards: Mapping[str, str]) -> None:
        order = sorted(shards, key=lambda shard: (not shards[shard], shard == HEAD, shard))
        for shard in order:
            self._may_write()
            sent = await self._agent.send(f"store {shard}", None)
            if not self.is_current(shard):
                self._agent.remember("conflict")
                raise StaleObjectError("the record was written meanwhile")
            self._land(shard, shards[shard])
            self._agent.remember("stored", shard, self._versions.get(shard))
            if shard == HEAD:
                self._agent.world.journal.recorded(sent, decoded(self._agent.world.shards, application))

    def is_current(self, shard: str) -> bool:
        """Whether nobody wrote a shard since it was read or written here."""
        stored = self._agent.world.shards.get(shard)
        return self._versions.get(shard) == (stored[0] if stored else None)

    def _land(self, shard: str, text: str) -> None:
        world = self._agent.world
        if text:
            world.record_version += 1
            self._versions[shard] = world.record_version
            world.shards[shard] = (world.record_version, text)
        else:
            self._versions.pop(shard, None)
            world.shards.pop(shard, None)

    async def stands(self, application: ApplicationId, shard: str, text: str) -> bool:
        await self._agent.ask("show epoch")
        stored = self._agent.world.shards.get(shard)
        stands = stored is not None and stored[1] == text
        self._agent.remember("stands", stands)
        return stands

    async def forget(self, application: ApplicationId) -> None:
        self._may_write()
        await self._agent.send("forget record", None)
        self._agent.world.shards.clear()

    def _may_write(self) -> None:
        try:
            for check in self._checks:
                check()
        except AgentError as error:
            self._agent.remember("refused", error.reason)
            raise


def decoded(shards: Mapping[str, tuple[int, str]], application: ApplicationId) -> ApplicationRecord:
    """The record as it is stored."""
    from handover_model.agents import FINGERPRINTS

    return Codec(FINGERPRINTS.records, application.uid).decode({shard: text for shard, (_, text) in shards.items()})
