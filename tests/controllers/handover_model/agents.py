"""One agent of the model: a real driver over ports whose every call to something shared waits until it is let through."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from agent.adapters.generators import Generators
from agent.api.operator import Limits
from agent.controllers.live_facts import LiveFacts
from agent.controllers.loop import Driver
from agent.controllers.settings import Settings
from agent.controllers.tasks import AsyncTasks
from agent.controllers.watching import Watching
from agent.engine.context import Fingerprints, Grants
from agent.engine.live import Observer
from agent.engine.ports import Ports
from agent.manifests.sinks import AllowedSinks
from agent.values.errors import ClusterUnavailableError, LeaseLostError
from agent.values.secret import Secret
from handover_model import cluster, records, sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.api.application import Application
    from agent.values.ids import ObjectId
    from handover_model.laws import Sent
    from handover_model.world import World

FINGERPRINTS = Fingerprints.derive(Secret(b"k" * 32, "test"))
OBSERVER = Observer("model", FINGERPRINTS.owners, FINGERPRINTS.owned)


class _Tasks(AsyncTasks):
    """Long work is done at once."""

    async def in_thread(self, work: Callable[[], object]) -> object:
        return work()


@dataclass(slots=True, eq=False)
class Gate:
    """A call that waits. `eager`: it never waits long. `apart`: it waits for no other call of its agent."""

    label: str
    future: asyncio.Future[None]
    eager: bool
    apart: bool


@dataclass(slots=True, eq=False)
class Agent:
    """A process. `identity` names its Lease; two processes of one identity have different names.

    `stopped` as by SIGSTOP, `lapsed` by its own clock, `cut` off from the API server, `gone` once it has ended. `view` are the agents
    that it counts as live. `trail` stands for all that it has been answered: the same trail, the same state.
    """

    world: World
    name: str
    identity: str
    driver: Driver = field(init=False)
    gates: list[Gate] = field(default_factory=list)
    view: tuple[str, ...] = ()
    term: int = 0
    stopped: bool = False
    lapsed: bool = False
    cut: bool = False
    gone: bool = False
    killed: bool = False
    sourceless: bool = False
    trail: int = 0
    numbers: int = 0
    intents: dict[ObjectId, int] = field(default_factory=dict)
    counted: dict[str, object] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Acquire the Lease and begin."""
        port = cluster.Cluster(self)
        watching = Watching(port, OBSERVER, LiveFacts())
        clock = self.world.clock
        ports = Ports(
            git=sources.Git(self),
            charts=sources.NoCharts(),
            renderers=sources.NoRenderers(),
            credentials=sources.NoCredentials(),
            data_keys=sources.NoKeys(),
            sealing_keys=sources.NoKeys(),
            stores=sources.NoStores(),
            home=port,
            target=port,
            live=watching,
            records=records.Records(self),
            audit=sources.Audit(self),
            metrics=sources.Metrics(self),
            clock=clock,
            tasks=_Tasks(),
            generators=Generators(),
        )
        given = {
            "agent": self.identity,
            "observer": OBSERVER,
            "fingerprints": FINGERPRINTS,
            "grants": _grants,
            "mine": lambda _: self.mine,
            "term": lambda: self.term,
            "recheck": self.recheck,
            "limits": Limits(),
            "random_bytes": self._random,
            "probe_interval": 1e9,
        }
        wanted = {each.name for each in fields(Settings)}
        self.driver = Driver(
            ports, Settings(**{name: value for name, value in given.items() if name in wanted}), watching
        )
        self.world.holders[self.identity] = self
        self.view = self.world.live
        self.task = asyncio.create_task(self.driver.run(), name=f"{self.name}: run")
        self.task.add_done_callback(self._ended)

    @property
    def mine(self) -> bool:
        """Whether this agent counts the Application as its own."""
        preferred = next((each for each in self.world.preference if each in self.view), None)
        return preferred == self.identity

    @property
    def enabled(self) -> bool:
        return not self.stopped and not self.gone

    def guard(self) -> None:
        """The session's guard."""
        if self.lapsed:
            raise LeaseLostError("this agent's Lease is not renewed, so it may not write")

    def look(self) -> None:
        """Renew the own Lease, see who else is there, and tell the driver of what changed."""
        if self.gone:
            return
        before = (self.view, self.term)
        if self.world.holders.get(self.identity) is not self:
            self.lapsed, self.view = True, ()
            self.end()
            return
        if self.lapsed:
            self.term += 1
        self.lapsed = False
        self.world.live = tuple(sorted({*self.world.live, self.identity}))
        self.view = self.world.live
        self.remember("look", self.view, self.term)
        if before != (self.view, self.term):
            self.driver.rebalance()

    def miss(self) -> None:
        """Notice that the Lease could not be renewed in time."""
        self.lapsed, self.view = True, ()
        self.driver.rebalance()

    def recheck(self) -> None:
        """Asked for by the driver: look soon."""
        if self.looking is None or self.looking.done():
            self.looking = asyncio.create_task(self._look_soon(), name=f"{self.name}: look")

    async def _look_soon(self) -> None:
        await self.gate("look", apart=True)
        if not self.cut:
            self.look()

    def end(self) -> None:
        """As after SIGTERM."""
        self.driver.stop()

    def _ended(self, _: object) -> None:
        self.gone = True

    def kill(self) -> None:
        """As by SIGKILL."""
        self.gone = self.killed = True

    async def gate(self, label: str, *, eager: bool = False, apart: bool = False) -> None:
        """Wait to be let through."""
        gate = Gate(label, self.world.loop.create_future(), eager, apart)
        self.gates.append(gate)
        try:
            await gate.future
        finally:
            if gate in self.gates:
                self.gates.remove(gate)

    async def ask(self, label: str) -> None:
        """A request that changes nothing is on its way. Raises ClusterUnavailableError."""
        await self.gate(label)
        self.reach()

    async def send(self, action: str, key: ObjectId | None) -> Sent:
        """A request that changes something is on its way; when this returns, it lands. Raises ClusterUnavailableError."""
        sent = self.world.journal.sending(self, action, key)
        await self.gate(f"{action} {key.name if key else ''}".rstrip())
        self.reach()
        return sent

    def reach(self) -> None:
        if self.cut:
            self.remember("unavailable")
            raise ClusterUnavailableError("the API server does not answer")

    def remember(self, *answer: object) -> None:
        """What came of a call, as far as the agent can know it."""
        self.trail = hash((self.trail, answer, self.world.loop.now))

    def _random(self, count: int) -> bytes:
        self.numbers += 1
        return self.numbers.to_bytes(8, "big")[-count:]


def _grants(_: Application) -> Grants:
    return Grants(None, AllowedSinks())
