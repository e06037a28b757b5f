"""Looking for changed variables waits for the namespace's turn, and what they come to is put together beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from agent.api import application
from agent.controllers import probing
from agent.controllers.tasks import AsyncTasks, Shares
from agent.desired import live_variables
from agent.engine.context import Fingerprints
from agent.engine.live import Observer
from agent.engine.ports import Ports
from agent.engine.state import Compiled, State
from agent.values.ids import ApplicationId
from agent.values.secret import Secret

if TYPE_CHECKING:
    import pytest

    from agent.controllers.managed import ManagedApplication
    from agent.controllers.settings import Settings
    from agent.values.tree import Object

PRINTS = Fingerprints.derive(Secret(b"k" * 32, "key"))
OBSERVER = Observer("i", PRINTS.owners, PRINTS.owned)
APPLICATION: Object = {
    "apiVersion": "signet-gitops.dev/v1alpha1",
    "kind": "Application",
    "metadata": {"name": "app", "namespace": "shop", "uid": "u", "generation": 1},
    "spec": {
        "source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}},
        "substitute": {"from": [{"kind": "ConfigMap", "name": "a"}, {"kind": "ConfigMap", "name": "b"}]},
    },
}


@dataclass
class Cluster:
    asked: list[str] = field(default_factory=list[str])

    async def get(self, _: object, __: str, name: str, **___: object) -> Object:
        self.asked.append(name)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"K": name}}


@dataclass(frozen=True)
class World:
    cluster: Cluster
    shares: Shares
    ports: Ports

    @classmethod
    def of(cls) -> World:
        cluster = Cluster()
        ports = SimpleNamespace(**dict.fromkeys(Ports.__dataclass_fields__))
        git = SimpleNamespace(serving=lambda *_: None)
        made = replace(Ports(**vars(ports)), git=git, target=cluster, tasks=AsyncTasks())  # pyright: ignore[reportArgumentType]
        return cls(cluster, Shares.of(8), made)

    async def probe(self) -> bool:
        compiled = Compiled(None, 1, "", {}, "", "before")  # pyright: ignore[reportArgumentType]
        managed = SimpleNamespace(application=application.parse(APPLICATION), state=State(compiled=compiled))
        settings = SimpleNamespace(observer=OBSERVER, fingerprints=PRINTS)
        return await probing.outdated(
            self.shares.ports(self.ports, ApplicationId("shop", "app", "u")),
            cast("Settings", settings),
            cast("ManagedApplication", managed),
        )


async def test_it_waits_for_a_place_of_its_namespace() -> None:
    world = World.of()
    for _ in range(16):
        await world.shares.calls.take("shop")
    probe = asyncio.ensure_future(world.probe())
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.cluster.asked == []
    world.shares.calls.give("shop")
    assert await probe
    assert sorted(world.cluster.asked) == ["a", "b"]


async def test_variables_are_put_together_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    of = live_variables.of

    def noted(*given: object) -> object:
        threads.append(threading.get_ident())
        return of(*given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(live_variables, "of", noted)
    assert await World.of().probe()
    assert len(threads) == 1
    assert threading.get_ident() not in threads
