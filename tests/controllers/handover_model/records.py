"""RecordPort over shards in memory, each with a version: what was read or written last is a precondition of the next write."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from memory_world.records import in_order

from agent.engine.shards import HEAD, Codec
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
        shards = self._agent.world.shards
        self._versions.clear()
        self._versions.update({shard: version for shard, (version, _) in shards.stored.items()})
        self._agent.remember("loaded", *sorted(self._versions.items()))
        return shards.texts

    async def store(self, application: ApplicationId, shards: Mapping[str, str]) -> None:
        for shard, text in in_order(shards.items()):
            self._may_write()
            sent = await self._agent.send(f"store {shard}", None)
            if not self.is_current(shard):
                self._agent.remember("conflict")
                raise StaleObjectError("the record was written meanwhile")
            self._land(shard, text)
            self._agent.remember("stored", shard, self._versions.get(shard))
            if shard == HEAD:
                self._agent.world.journal.recorded(sent, decoded(self._agent.world.shards.texts, application))

    def is_current(self, shard: str) -> bool:
        """Whether no other agent wrote a shard since it was read or written here."""
        return self._versions.get(shard) == self._agent.world.shards.version_of(shard)

    def _land(self, shard: str, text: str) -> None:
        version = self._agent.world.shards.write(shard, text)
        if version is None:
            self._versions.pop(shard, None)
        else:
            self._versions[shard] = version

    async def stands(self, application: ApplicationId, shard: str, text: str) -> bool:
        await self._agent.ask("show epoch")
        stands = self._agent.world.shards.texts.get(shard) == text
        self._agent.remember("stands", stands)
        return stands

    async def forget(self, application: ApplicationId) -> None:
        self._may_write()
        await self._agent.send("forget record", None)
        self._agent.world.shards.stored.clear()

    def _may_write(self) -> None:
        try:
            for check in self._checks:
                check()
        except AgentError as error:
            self._agent.remember("refused", error.reason)
            raise


def decoded(shards: Mapping[str, str], application: ApplicationId) -> ApplicationRecord:
    """The record as it is stored."""
    from handover_model.agents import FINGERPRINTS

    return Codec(FINGERPRINTS.records, application.uid).decode(shards)
