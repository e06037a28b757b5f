"""Memberships with short terms or scripted Leases, and clocks that jump."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

from agent.adapters.kubernetes.lease import Membership, Terms, boot_time
from agent.values.errors import LeaseLostError

QUICK = Terms(duration=2, renew=0.2, safe=1.2)


class Clock:
    """The boot-time clock, and time that the process spent paused."""

    def __init__(self) -> None:
        self.paused = 0.0

    def __call__(self) -> float:
        return boot_time() + self.paused


@asynccontextmanager
async def running(*members: Membership):
    tasks = [asyncio.create_task(member.run()) for member in members]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Scripted(Membership):
    """Its Leases are a list, which it gets when the test lets it."""

    def __init__(self, clock, *others: str) -> None:
        super().__init__(None, "signet-system", "a", token="1", now=time.time, clock=clock)
        self.leases = [lease(name, "1") for name in ("a", *others)]
        self.answering = asyncio.Event()
        self.answering.set()
        self.listed = self.put = 0
        self.objects_of_leases()

    def objects_of_leases(self) -> None:
        async def listing(*_, **__):
            self.listed += 1
            found = list(self.leases)
            await self.answering.wait()
            return found

        self._objects.list = listing

    async def _follow(self) -> None:
        await asyncio.Event().wait()

    async def _get(self):
        return None

    async def _send(self, method, body, allow=()):
        self.put += 1
        await asyncio.sleep(0)
        return lease("a", str(self.put))


def lease(name: str, version: str) -> dict:
    metadata = {"name": f"signet-agent-{name}", "uid": f"uid-{name}", "resourceVersion": version}
    return {"metadata": metadata, "spec": {"holderIdentity": name}}


async def turns(number: int = 30) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def may_write(member: Membership) -> bool:
    try:
        member.check()
    except LeaseLostError:
        return False
    return True
