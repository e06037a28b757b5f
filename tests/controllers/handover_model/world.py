"""A whole installation, and what happens to it: a story of steps, each of which may come between any two calls of the agents."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from memory_world.records import Shards
from memory_world.server import Server

from agent.api import names
from agent.manifests.documents import File
from agent.values.ids import ObjectId
from agent.values.tree import get
from handover_model import laws
from handover_model.cluster import application_key
from handover_model.virtual_time import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.values.tree import Object
    from handover_model.agents import Agent, Gate
    from handover_model.explorer import Chooser

NAMESPACE, APPLICATION = "shop", "web"
_LONGEST = 3000
_SETTLED_SECONDS = 60.0
_INTERVAL_SECONDS = 310.0


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens, after `seconds` in which no agent does anything."""

    label: str
    do: Callable[[World], None]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rest:
    """Time for the agents to do what they will."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Story:
    """`commits` are the values of the objects by name, from commit 1, which is applied when the story begins.

    `preference` ranks the identities: the first one that is live owns the Application. `setup` happens in one order, `steps` in all. An
    agent that another one overtakes loses `pause` seconds. `waits` are the objects that the ones after them wait for.
    """

    commits: Sequence[dict[str, int]]
    setup: Sequence[Step | Rest]
    steps: Sequence[Step | Rest]
    preference: tuple[str, ...] = ("a", "b")
    pause: float = 0.0
    slow_watches: bool = False
    waits: frozenset[str] = frozenset()


class Clock:
    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def now(self) -> float:
        return 1_700_000_000.0 + self._loop.now

    def monotonic(self) -> float:
        return self._loop.now


class World:
    """One run of a story in the order that `chooser` gives."""

    def __init__(self, story: Story, chooser: Chooser, applied: World | None = None) -> None:
        """`applied` is a world in which the first commit was applied, by an agent that is gone."""
        self.loop = Loop(self._idle)
        self.clock = Clock(self.loop)
        self.server = Server()
        self.journal = laws.Journal(self)
        self.agents: dict[str, Agent] = {}
        self.live: tuple[str, ...] = ()
        self.holders: dict[str, Agent] = {}
        self.preference = story.preference
        self.slow_watches = story.slow_watches
        self.commits: list[dict[str, int]] = [{}, *story.commits]
        self.files = [_files(tuple(sorted(commit.items())), story.waits) for commit in self.commits]
        self.head = 1
        self.shards = Shards()
        self.steps = 0
        self.happened: list[str] = []
        self._chooser = chooser
        self._waits = story.waits
        self._pause = story.pause
        self._steps = (
            *story.setup,
            *story.steps,
            Step("everybody looks", World._look),
            Rest(_SETTLED_SECONDS),
            Step("all is quiet", World._look_at_rest),
            Rest(_INTERVAL_SECONDS),
        )
        self._explored = range(len(story.setup), len(story.setup) + len(story.steps) + 1)
        self._next = 0
        self._until: float | None = None
        self._last: Agent | None = None
        self._over = self.loop.create_future()
        if applied is None:
            self.server.put(application_key(NAMESPACE, APPLICATION), _application())
        else:
            self.server.restore(applied.server)
            self.shards = applied.shards.copy()
            self.journal.begin(applied.journal)

    def run(self) -> list[str]:
        """What went wrong."""
        faults = _Faults(self.journal.wrong)
        logger = logging.getLogger("signet")
        before = logger.level, logger.propagate
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        logger.addHandler(faults)
        self.loop.set_exception_handler(lambda _, context: self.journal.wrong.append(str(context.get("message"))))
        try:
            self.loop.run_until_complete(self._whole())
        finally:
            logger.removeHandler(faults)
            logger.level, logger.propagate = before
            self.loop.close()
        return self.journal.wrong

    async def _whole(self) -> None:
        await self._over
        for agent in self.agents.values():
            agent.driver.stop()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)
        await self.loop.shutdown_asyncgens()

    # what may happen next

    def _idle(self, timer: float | None) -> None:
        if self._over.done():
            return
        self.steps += 1
        if self.journal.wrong or self.steps > _LONGEST:
            if not self.journal.wrong:
                self.journal.wrong.append("the agents do not come to rest")
            self._over.set_result(None)
            return
        gates = self._open_gates()
        eager = next((gate for _, gate in gates if gate.eager), None)
        if eager is not None:
            eager.future.set_result(None)
            return
        options = self._options(gates, timer)
        if not options:
            laws.at_rest(self, needed=self.head)
            self._over.set_result(None)
            return
        chosen = 0
        if self._next in self._explored and len(options) > 1:
            chosen = self._chooser.choose([label for label, _ in options], self._state)
            if chosen is None:
                self._over.set_result(None)
                return
        self.happened.append(options[chosen][0])
        options[chosen][1]()

    def _open_gates(self) -> list[tuple[Agent, Gate]]:
        ordered = sorted(self.agents.values(), key=lambda agent: agent is not self._last)
        return [
            (agent, gate)
            for agent in ordered
            if agent.enabled
            for gate in sorted(agent.gates, key=lambda gate: gate.apart)
            if not gate.future.done() and not (agent.cut and gate.label.startswith(("watch", "see")))
        ]

    def _options(self, gates: list[tuple[Agent, Gate]], timer: float | None) -> list[tuple[str, Callable[[], None]]]:
        options: list[tuple[str, Callable[[], None]]] = []
        first: set[tuple[Agent, bool]] = set()
        for agent, gate in gates:
            if (agent, gate.apart) not in first:
                first.add((agent, gate.apart))
                options.append((f"{agent.name}: {gate.label}", lambda agent=agent, gate=gate: self._pass(agent, gate)))
        at, steps = self._next, self._steps
        if at < len(steps) and isinstance(rest := steps[at], Rest):
            self._until = self._until if self._until is not None else self.loop.now + rest.seconds
            until = self._until
            if not gates or (timer is not None and timer <= until):
                options.append(("time passes", lambda: self._wait(timer, until)))
            at += 1
        if at < len(steps) and isinstance(step := steps[at], Step) and (not options or at + 1 in self._explored):
            options.append((step.label, lambda: self._do(step, at + 1)))
        return options

    def _state(self) -> object:
        """What stands for everything that decides what follows."""
        trails = tuple(agent.trail for agent in self.agents.values())
        return (
            self._next,
            self._until,
            self.loop.now,
            self.server.digest,
            self.shards.version,
            self.head,
            trails,
            self._last and self._last.name,
        )

    def _pass(self, agent: Agent, gate: Gate) -> None:
        if self._last is not agent:
            if self._last is not None and self._last.gates and self._next in self._explored:
                self.loop.now += self._pause
            self._last = agent
        gate.future.set_result(None)

    def _wait(self, timer: float | None, until: float) -> None:
        self.loop.now = until if timer is None else max(self.loop.now, min(timer, until))
        if self.loop.now >= until:
            self._next, self._until = self._next + 1, None

    def _do(self, step: Step, following: int) -> None:
        self.loop.now += step.seconds
        self._next, self._until = following, None
        for agent in self.agents.values():
            agent.remember(step.label)
        self.loop.call_soon(step.do, self)

    def _look(self) -> None:
        """As each agent does every few seconds."""
        for agent in self.agents.values():
            if agent.enabled and not agent.cut:
                agent.look()

    def _look_at_rest(self) -> None:
        """What the newest owner saw in Git as it took the Application is applied without waiting for the next poll."""
        takes = self.journal.takes
        laws.at_rest(self, needed=takes[-1][3] if takes else self.head)
        if self.journal.newest == self.head and not self._over.done():
            self._over.set_result(None)

    # what stories ask

    def key_of(self, name: str) -> ObjectId:
        gadget = name in self._waits
        return ObjectId("example.com" if gadget else "", "Gadget" if gadget else "ConfigMap", NAMESPACE, name)

    def live_value(self, name: str) -> int | None:
        found = self.server.get(self.key_of(name))
        return None if found is None else int(str(get(found, "data", "value")))

    def application(self) -> Object:
        found = self.server.get(application_key(NAMESPACE, APPLICATION))
        assert found is not None
        return found


class _Faults(logging.Handler):
    """A defect of the agent ends a run and is logged."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._wrong.append(f"{record.msg}: {error!r}")


@lru_cache
def _files(commit: tuple[tuple[str, int], ...], waits: frozenset[str]) -> tuple[File, ...]:
    return tuple(
        File(f"{name}.yaml", f"{name}-{value}", _manifest(name, value, waits=name in waits), 0)
        for name, value in commit
    )


def _manifest(name: str, value: int, *, waits: bool) -> bytes:
    kind = "apiVersion: example.com/v1\nkind: Gadget" if waits else "apiVersion: v1\nkind: ConfigMap"
    wave = "\n  annotations: {signet-gitops.dev/wave: '5'}" if waits else ""
    return f"{kind}\nmetadata:\n  name: {name}{wave}\ndata: {{value: '{value}'}}\n".encode()


def _application() -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": APPLICATION, "namespace": NAMESPACE, "uid": "app", "generation": 1, "annotations": {}},
        "spec": {"source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}},
    }
