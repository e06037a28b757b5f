"""Taking an Application: its next epoch, and with that a state that begins with what is stored and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.controllers import status
from agent.controllers.deletion import APPLICATIONS
from agent.controllers.managed import Hold, ManagedApplication
from agent.engine.fence import Fence
from agent.engine.ledger import Ledger
from agent.engine.shards import HEAD, Codec
from agent.engine.state import State
from agent.values.tree import get_text

if TYPE_CHECKING:
    from agent.controllers.settings import Settings
    from agent.engine.ports import Ports


def fenced(ports: Ports, fence: Fence) -> Ports:
    """The ports of a run under a hold: they ask its fence before each attempt to write."""
    check = fence.check
    home, target, records = ports.home.fenced(check), ports.target.fenced(check), ports.records.fenced(check)
    return replace(ports, home=home, target=target, records=records)


async def take(ports: Ports, settings: Settings, managed: ManagedApplication) -> bool:
    """Give a managed Application its fence and its ledger, and read it again: its spec too may be from before the epoch.

    False where there is no such Application any more. Raises LeaseLostError where another agent came first.
    """
    application, term = managed.id, settings.term()

    async def stands() -> bool:
        return await ports.records.stands(application, HEAD, ledger.head)

    def mine() -> bool:
        return settings.term() == term and settings.mine(application.uid)

    fence = Fence(mine, stands, ports.clock.monotonic, asyncio.Lock())
    fence.check()
    codec = Codec(settings.fingerprints.records, application.uid)
    ledger = Ledger(
        ports.records.fenced(fence.check), ports.tasks, codec, application, fence.shown, cluster=ports.target.cluster
    )
    hold = Hold(fence, ledger)
    managed.hold, managed.since = hold, ports.clock.now()
    managed.reported = status.of_tree(managed.found)
    try:
        await ledger.take(f"{settings.agent} {settings.random_bytes(8).hex()}")
        managed.state = State(verified=dict(ledger.record.verified))
        found = await ports.home.get(APPLICATIONS, application.namespace, application.name)
        fence.check()
    except BaseException:
        fence.end()
        if managed.hold is hold:
            managed.hold, managed.state = None, State()
        raise
    if found is None or get_text(found, "metadata", "uid") != application.uid:
        return False
    managed.read(found, now=True)
    managed.reported = status.of_tree(managed.found)
    return True
