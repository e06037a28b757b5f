"""Namespaces whose live objects cost much to look at: each takes a tenth of the loop, and what changes meanwhile is looked at once, later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.manifests.kinds import Resource
    from agent.values.ids import ObjectId

_COSTLY_SECONDS: Final = 0.02
_TIMES: Final = 9.0
"""How much longer a namespace rests than its object took."""
_AGAIN_SECONDS: Final = 1.0
"""Before an object is asked for again whose cluster did not answer."""


class Resting:
    """`look` asks for a live object, takes it in, and gives the seconds of processor time that it cost. It may raise AgentError."""

    def __init__(self, look: Callable[[Resource, ObjectId], Awaitable[float]]) -> None:
        self._look = look
        self._waiting: dict[str, dict[ObjectId, Resource]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def charge(self, namespace: str, seconds: float) -> None:
        """An object of the namespace took this long to look at."""
        if seconds < _COSTLY_SECONDS or namespace in self._waiting:
            return
        self._waiting[namespace] = {}
        task = asyncio.create_task(self._rest(namespace, seconds), name=f"rest {namespace}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def postpones(self, resource: Resource, key: ObjectId) -> bool:
        """Whether the namespace rests: then the object is looked at afterwards. Only its name is kept until then."""
        waiting = self._waiting.get(key.namespace)
        if waiting is None:
            return False
        waiting[key] = resource
        return True

    async def close(self) -> None:
        """End every rest. What waits is not looked at any more."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rest(self, namespace: str, seconds: float) -> None:
        waiting = self._waiting[namespace]
        try:
            await asyncio.sleep(seconds * _TIMES)
            while waiting:
                key = next(iter(waiting))
                resource = waiting.pop(key)
                try:
                    pause = await self._look(resource, key) * _TIMES
                except AgentError:
                    pause = _AGAIN_SECONDS
                    _ = waiting.setdefault(key, resource)
                await asyncio.sleep(pause)
        finally:
            del self._waiting[namespace]
