"""A watch that ended by a defect is restarted: drift of a kind is not lost for good."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from agent.controllers.live_facts import LiveFacts
from agent.controllers.watching import Watching
from agent.engine.live import Observer
from agent.engine.ports import WatchEvent
from agent.manifests.kinds import Resource
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import IN_CLUSTER
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agent.engine.ports import TargetPort

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


class Breaking:
    """A cluster whose first watch ends in a defect."""

    cluster = IN_CLUSTER

    def __init__(self) -> None:
        self.watches = 0

    async def watch(self, resource: Resource, *, selector: str) -> AsyncGenerator[WatchEvent]:
        assert selector
        self.watches += 1
        yield WatchEvent("synced", {}, resource)
        if self.watches == 1:
            raise RecursionError
        await asyncio.Event().wait()


def _ignore(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    del context


async def test_a_watch_that_ended_is_restarted():
    asyncio.get_running_loop().set_exception_handler(_ignore)
    fingerprinter = Fingerprinter.derive(Secret(b"k" * 32, "test"), "owner")
    cluster = Breaking()
    watching = Watching(cast("TargetPort", cluster), Observer("i", fingerprinter, fingerprinter), LiveFacts())

    assert await watching.follow([CONFIG_MAPS]) == {CONFIG_MAPS}
    for _ in range(5):
        await asyncio.sleep(0)
    assert await watching.follow([CONFIG_MAPS]) == {CONFIG_MAPS}

    assert cluster.watches == 2
    await watching.close()
