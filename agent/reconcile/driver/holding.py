"""Taking an Application: its next epoch, and with that a memory that begins with what is stored and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.reconcile import status
from agent.reconcile.context import Memory
from agent.reconcile.fence import Fence
from agent.reconcile.record import HEAD, Codec

if TYPE_CHECKING:
    from agent.reconcile.driver.managed import Managed
    from agent.reconcile.driver.settings import Settings
    from agent.reconcile.ports import Ports


async def take(ports: Ports, settings: Settings, managed: Managed) -> None:
    """Give a managed Application its memory and its fence. Raises LeaseLostError where another agent came first."""
    application, memory, term = managed.id, Memory(), settings.term()

    async def stands() -> bool:
        return await ports.records.stands(application, HEAD, memory.stored[HEAD])

    fence = Fence(lambda: settings.term() == term and settings.mine(application.uid), stands, ports.clock.monotonic)
    fence.check()
    codec = Codec(settings.fingerprints.records, application.uid)
    await memory.take(ports.records.fenced(fence.check), codec, application, settings.agent)
    managed.memory, managed.fence, managed.since = memory, fence, ports.clock.now()
    managed.reported = status.of_tree(managed.found)
    if memory.loss:
        await ports.cluster.fenced(fence.check).event(
            application,
            kind="Warning",
            reason=memory.loss,
            message="the stored record does not verify; everything is applied again",
        )
