"""Memberships with short terms or scripted Leases, and clocks that jump."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

from agent.adapters.kubernetes.membership import Membership, Terms, boot_time
from agent.values.errors import LeaseLostError

QUICK = Terms(duration=4, renew=0.2, safe=2.4)


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


class ScriptedLeases:
    """A list of Leases, which is given when the test lets it."""

    def __init__(self, *others: str) -> None:
        self.items = {name: lease(name, "1") for name in ("a", *others)}
        self.answering = asyncio.Event()
        self.answering.set()
        self.listed = self.put = 0

    async def get(self, identity):
        return None

    async def list(self):
        self.listed += 1
        found = dict(self.items)
        await self.answering.wait()
        return found

    async def create(self, identity, spec):
        self.put += 1
        await asyncio.sleep(0)
        return lease("a", str(self.put))

    async def update(self, identity, spec, uid, version):
        return await self.create(identity, spec)


class Scripted(Membership):
    """Its Leases are the test's, and nothing watches them."""

    def __init__(self, clock, *others: str) -> None:
        self.leases = ScriptedLeases(*others)
        super().__init__(self.leases, "a", token="1", now=time.time, clock=clock)

    async def _follow(self) -> None:
        await asyncio.Event().wait()


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
