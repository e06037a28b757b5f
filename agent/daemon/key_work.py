"""Work on keys: threads of its own, turns by namespace, and an end in time.

A tenant chooses how many keys there are to try, and some take a processor for long. What else needs a thread, the audit trail above all, has
others.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from agent.adapters.keys.age import AgeKeys
from agent.adapters.keys.age_format import LATE
from agent.controllers.turns import Turns
from agent.sops.format.keys import ByKind
from agent.values.dataclass import replace
from agent.values.errors import DataKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.sops.format.keys import MasterKeys, Recipient, WrappedKey
    from agent.values.secret import Secret

T = TypeVar("T")

_THREADS: Final = 4


class Workers:
    """Threads for keys, of which one namespace has one at a time: gpg has few turns too, and each may take many seconds."""

    def __init__(self) -> None:
        self._executor: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="keys")
        self._turns: Final = Turns(_THREADS, 1)

    async def run(self, namespace: str, work: Callable[[], T]) -> T:
        """The result of blocking work for an Application of this namespace."""
        loop = asyncio.get_running_loop()
        return await self._turns.to_its_end(namespace, lambda: loop.run_in_executor(self._executor, work))

    def close(self) -> None:
        """What is under way goes on to its end."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class TimedKeys:
    """MasterKeys by kind, none of which is tried any more after `until`, in seconds of the monotonic clock."""

    def __init__(self, keys: Mapping[str, MasterKeys], until: float) -> None:
        self._until = until
        self._keys = ByKind(
            {
                kind: replace(each, is_late=self.is_late) if isinstance(each, AgeKeys) else each
                for kind, each in keys.items()
            }
        )

    def is_late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._until

    def unwrap(self, key: WrappedKey) -> Secret:
        """As `ByKind.unwrap`. DataKeyError LATE once the time is over."""
        if self.is_late():
            raise DataKeyError(LATE)
        return self._keys.unwrap(key)

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        """As `ByKind.wrap`."""
        return self._keys.wrap(recipient, data_key, created_at=created_at)
