"""Stored records: shards, each with a version, of which what was read or written last is a precondition of the next write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.engine.shards import HEAD
from agent.values.errors import StaleObjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.values.ids import ApplicationId


@dataclass(slots=True)
class Shards:
    """What is stored for one Application: version and text by the name of the shard."""

    stored: dict[str, tuple[int, str]] = field(default_factory=dict)
    version: int = 0

    @property
    def texts(self) -> dict[str, str]:
        return {shard: text for shard, (_, text) in self.stored.items()}

    def version_of(self, shard: str) -> int | None:
        return self.stored[shard][0] if shard in self.stored else None

    def write(self, shard: str, text: str) -> int | None:
        """The new version; None where an empty text removed it."""
        if not text:
            self.stored.pop(shard, None)
            return None
        self.version += 1
        self.stored[shard] = (self.version, text)
        return self.version

    def copy(self) -> Shards:
        return Shards(dict(self.stored), self.version)


def in_order(shards: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """As they are written: the head behind the others, what is removed last."""
    return sorted(shards, key=lambda item: (not item[1], item[0] == HEAD, item[0]))


class Records:
    """RecordPort of one agent over `shards`. `checks` are asked before each write."""

    def __init__(self, shards: Callable[[ApplicationId], Shards], *checks: Callable[[], None]) -> None:
        self._shards = shards
        self._checks = checks
        self._versions: dict[tuple[str, str], int | None] = {}
        self.stores = 0

    def fenced(self, check: Callable[[], None]) -> Records:
        other = Records(self._shards, *self._checks, check)
        other._versions = self._versions
        return other

    async def load(self, application: ApplicationId) -> Mapping[str, str]:
        shards = self._shards(application)
        self._versions.update({(application.uid, shard): shards.version_of(shard) for shard in shards.stored})
        return shards.texts

    async def store(self, application: ApplicationId, shards: Mapping[str, str]) -> None:
        stored = self._shards(application)
        for shard, text in in_order(shards.items()):
            for check in self._checks:
                check()
            if self._versions.get((application.uid, shard)) != stored.version_of(shard):
                raise StaleObjectError("the record was written meanwhile")
            self._versions[application.uid, shard] = stored.write(shard, text)

    async def stands(self, application: ApplicationId, shard: str, text: str) -> bool:
        return self._shards(application).texts.get(shard) == text

    async def forget(self, application: ApplicationId) -> None:
        self._shards(application).stored.clear()
