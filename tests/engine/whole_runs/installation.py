"""An agent that reconciles one Application: the only door through which tests of whole runs reach the engine.

Tests say what stands in Git, in the spec, in the cluster, in the record and in the store, and what a run then wrote and reported. What the
engine keeps between runs, and how a run is made, is known here and nowhere else.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

from memory_world import sources
from memory_world.cluster import Cluster, name_of
from memory_world.records import Records, Shards

from agent.adapters.generators import Generators
from agent.api import application as applications
from agent.api import names
from agent.api.status import ApplicationStatus
from agent.controllers import deletion, fights, probing, reporting, status
from agent.controllers.live_facts import LiveFacts
from agent.controllers.watching import Watching
from agent.daemon import grants
from agent.engine import generating, pipeline, rounds
from agent.engine.causes import Trigger
from agent.engine.context import Run
from agent.engine.fence import Fence
from agent.engine.ledger import Ledger
from agent.engine.outcome import Outcome
from agent.engine.ports import Ports
from agent.engine.rooms import Room
from agent.engine.shards import HEAD, Codec
from agent.engine.state import State
from agent.values.errors import AgentError, LeaseLostError
from agent.values.ids import IN_CLUSTER, ApplicationId, ObjectId, RunId
from agent.values.problems import Problem
from agent.values.tree import get_object
from whole_runs import manifests
from whole_runs.ran import Ran
from whole_runs.surroundings import NAME, NAMESPACE, OBSERVER, PRINTS, UID, Surroundings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.api.operator import OperatorSettings
    from agent.controllers.fights import Fight
    from agent.engine.record import ApplicationRecord

_TURNS = 12
"""In so many turns of the loop every watch has delivered what there is."""


class Installation(Surroundings):
    """One Application, `shop/web`, whose agent never runs but when it is said to."""

    def __init__(
        self, *, files: Mapping[str, str] | None = None, operator: OperatorSettings | None = None, **spec: object
    ):
        """`files` are the first commit; `spec` is beside the source, whose `layers` may be given as such."""
        super().__init__(operator=operator, **spec)
        self.between: list[Callable[[], object]] = []
        """What happens whenever a run ends a round, to wait without its manifests."""
        self._begin()
        for tree in (manifests.namespace(NAMESPACE), manifests.application_definition()):
            self.server.create(tree, "installer")
        self.server.put(ObjectId(names.GROUP, names.KIND, NAMESPACE, NAME), self._application)
        if files is not None:
            self.git.push(files)

    def restart(self) -> None:
        """A new process that knows what is stored, and no more."""
        self._watching_over()
        self._begin()

    def configure(self, **operator: object) -> None:
        """Another operator's file, with which another engine begins."""
        self.operator = manifests.operator(**operator)
        self.restart()

    def lose_record(self) -> None:
        self.shards[UID].stored.clear()

    def forget_additions(self) -> None:
        """A new process finds the record as an earlier agent wrote it, which knew of no additions."""
        codec, shards = Codec(PRINTS.records, UID), self.shards[UID]
        record = self._stored()
        objects = {key: replace(item, left={}) for key, item in record.objects.items()}
        for name, text in codec.encode(replace(record, objects=objects, noted=False), shards.texts).items():
            shards.stored[name] = (shards.stored[name][0] + 1, text)
        self.restart()

    def lose_cluster(self, *, key: bool) -> None:
        """Nothing is recorded, and what stands is of an Application with another uid; without the `key`, nothing proves that."""
        self.lose_record()
        self.make_earlier(key=key)
        self.restart()

    def damage_record(self) -> None:
        shards = self.shards[UID]
        version, text = shards.stored["objects-0"]
        shards.stored["objects-0"] = (version, text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1])

    async def another_agent_takes(self) -> None:
        """The next epoch is another agent's."""
        await self._ledger(self._records(), lambda: None).take("another")

    @property
    def commit(self) -> str:
        """The newest."""
        return sources.commit_of(self.git.head_number)

    @property
    def recorded(self) -> list[str]:
        """The objects of the stored record that were applied."""
        return sorted(name_of(key) for key, item in self._stored().objects.items() if item.uid)

    @property
    def begun(self) -> list[str]:
        """The objects of the stored record whose first apply did not end."""
        return sorted(name_of(key) for key, item in self._stored().objects.items() if not item.uid)

    @property
    def recorded_commit(self) -> int:
        """The commit that was applied; 0 where none was."""
        revision = self._stored().revision
        return int(revision.commit[:12]) if revision else 0

    @property
    def until(self) -> float | None:
        """When the gate is asked again though nothing happens, in Unix seconds."""
        return self._state.gate.until

    @property
    def renewal(self) -> float | None:
        """In how many seconds a certificate is renewed."""
        return generating.next_renewal(self._stored(), self.clock.now())

    async def run(self, *causes: str) -> Ran:
        """One run: by default the first one of an agent, and after that those of the interval."""
        await self._ready()
        asked = frozenset(map(Trigger, causes or ("interval" if self._ran else "start",)))
        self._ran = True
        return await self._observed(asked, self._reconcile(asked))

    async def heal(self) -> Ran:
        """The run that drift starts, where watches saw any."""
        await self._ready()
        assert self.drifted, "no watch saw any drift"
        return await self.run("live")

    async def probe(self, cause: str = "secret") -> Ran | None:
        """Ask the store and the cluster for newer versions, and run where there are some.

        With another `cause` the run that rotated secrets started was stopped, and that is what starts the next one.
        """
        await self._ready()
        managed = SimpleNamespace(application=applications.parse(self._application), state=self._state)
        ports = SimpleNamespace(target=self._cluster, tasks=self.tasks)
        settings = SimpleNamespace(observer=OBSERVER, fingerprints=PRINTS)
        if await probing.outdated(ports, settings, managed):  # pyright: ignore[reportArgumentType]
            return await self.run("variables")
        changed, _ = await probing.rotated(self.stores, self._id, self._held[1].record)
        self._rotated |= changed
        return await self.run(cause) if changed else None

    async def discover(self) -> None:
        """The run of another Application asks which kinds are served."""
        await self._cluster.kinds(fresh=True)

    async def retire(self) -> Ran:
        """The run of an Application that is being deleted."""
        await self._ready()
        key = ObjectId(names.GROUP, names.KIND, NAMESPACE, NAME)
        metadata = {
            **get_object(self._application, "metadata"),
            "finalizers": [names.FINALIZER],
            "deletionTimestamp": "2026-01-01T00:00:00Z",
        }
        stored = self.server.put(key, {**self._application, "metadata": metadata})
        self._application = {**self._application, "metadata": get_object(stored, "metadata")}

        async def work() -> Outcome:
            done = await deletion.retire(self._run(frozenset({Trigger.SPEC})))
            return Outcome(self._state, pending=frozenset() if done else frozenset({key}))

        return await self._observed(frozenset({Trigger.SPEC}), work())

    # within

    @property
    def _id(self) -> ApplicationId:
        return ApplicationId(NAMESPACE, NAME, UID)

    def _begin(self) -> None:
        self._state = State()
        self._hold: tuple[Fence, Ledger] | None = None
        self._ran = False
        self._rotated: frozenset[ObjectId] = frozenset()
        self._reported = ApplicationStatus()
        self._cluster = Cluster(self.server, self.traffic)
        self._own_records = self._records()
        self._observer = replace(OBSERVER, people=self.operator.field_managers.people)
        self._fights: dict[ObjectId, Fight] = {}
        self._watching = Watching(self._cluster, self._observer, LiveFacts())
        self._watching.drifted = lambda _, key: self.drifted.add(name_of(key))
        self._watching.changed = lambda _: None

    def _watching_over(self) -> None:
        for task in self._watching._tasks.values():
            task.cancel()

    def _records(self) -> Records:
        return Records(lambda application: self.shards.setdefault(application.uid, Shards()))

    def _stored(self) -> ApplicationRecord:
        return Codec(PRINTS.records, UID).decode(self.shards[UID].texts)

    async def _ready(self) -> None:
        """The Application is held, and its watches have delivered what there is."""
        if self._hold is None:

            async def stands() -> bool:
                return await self._own_records.stands(self._id, HEAD, ledger.head)

            fence = Fence(lambda: self.lease, stands, self.clock.monotonic, asyncio.Lock())
            ledger = self._ledger(self._own_records.fenced(fence.check), fence.shown)
            await ledger.take("agent")
            self._hold, self._state = (fence, ledger), State(verified=dict(ledger.record.verified))
            self._watching.adopt(UID, ledger)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _ledger(self, records: Records, shown: Callable[[], None]) -> Ledger:
        return Ledger(records, self.tasks, Codec(PRINTS.records, UID), self._id, shown, cluster=IN_CLUSTER)

    @property
    def _held(self) -> tuple[Fence, Ledger]:
        assert self._hold is not None
        return self._hold

    def _run(self, triggers: frozenset[Trigger]) -> Run:
        fence, ledger = self._held
        application = applications.parse(self._application)
        ports = Ports(
            git=self.git,
            charts=self.charts,
            renderers=self.renderers,
            credentials=sources.Credentials(),
            data_keys=self.keys,
            sealing_keys=self.sealing_keys,
            stores=self.stores,
            home=self._cluster.fenced(fence.check),
            target=self._cluster.fenced(fence.check),
            live=self._watching,
            records=self._own_records.fenced(fence.check),
            audit=self.audit,
            metrics=sources.Metrics(),
            clock=self.clock,
            tasks=self.tasks,
            generators=Generators(),
        )
        rotated, self._rotated = self._rotated, frozenset()
        return Run(
            RunId("r"),
            application,
            triggers,
            ports,
            self._observer,
            PRINTS,
            grants.of(self.operator, application),
            self.limits,
            {UID: f"{NAMESPACE}/{NAME}", **self.others},
            fence,
            ledger,
            rotated,
            insisted={key: fight.insisted for key, fight in self._fights.items()},
            neighbours=self.neighbours,
        )

    async def _reconcile(self, triggers: frozenset[Trigger]) -> Outcome:
        self.drifted.clear()
        self._watching.begin(UID)
        try:
            run = self._run(triggers)
            while (outcome := await self._round(run)).between:
                self._state = outcome.state
                for each in self.between:
                    each()
                await rounds.between(run)
            self._state = outcome.state
            self._rotated |= outcome.left_of(run.rotated)
            return outcome
        finally:
            self._watching.end(UID)

    async def _round(self, run: Run) -> Outcome:
        try:
            looked = await pipeline.look(run, self._state.outline)
        except LeaseLostError:
            raise
        except AgentError as error:
            return Outcome(self._state, problems=(Problem(error),), stopped=True)
        return await pipeline.reconcile(replace(run, room=Room()), self._state, looked)

    async def _observed(self, triggers: frozenset[Trigger], work: Awaitable[Outcome]) -> Ran:
        traffic, audit = self.traffic, self.audit.entries
        traffic.writes, traffic.reads, traffic.events = [], [], []
        self.keys.unwrapped.clear()
        before = len(audit)
        try:
            outcome = await work
        except LeaseLostError as error:
            outcome, ended_by = Outcome(self._state, stopped=True), error.reason
        else:
            ended_by = outcome.problems[0].error.reason if outcome.stopped else ""
        for done in outcome.results:
            if done.action == "heal" and done.error is None:
                now = self.clock.monotonic()
                self._fights[done.id] = fights.healed(self._fights.get(done.id), now, done.removed)
        ledger, live = self._held[1], self._watching.snapshot(UID)
        standing = status.Standing.of(ledger.record, live, outcome, loss=ledger.loss, now=self.clock.now())
        reported = status.compute(
            applications.parse(self._application),
            standing,
            outcome,
            self._reported,
            triggers=triggers,
            started=0.0,
            now=self.clock.now(),
        )
        self._reported = reported
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return Ran(
            writes=traffic.writes,
            problems=[_text(problem) for problem in outcome.problems],
            warnings=[_text(problem) for problem in outcome.desired.warnings] if outcome.desired else [],
            pending=sorted(name_of(key) for key in outcome.pending),
            audit=audit[before:],
            events=[reason for reason, _ in traffic.events],
            messages=[
                f"{reason}: {message}"
                for reason, message in [*traffic.events, *reporting.successes(outcome.results, reported.revision or "")]
            ],
            status=reported,
            errors=[problem.error for problem in outcome.problems],
            changes=outcome.changes,
            reads=traffic.reads,
            opened=list(self.keys.unwrapped),
            ended_by=ended_by,
        )


def _text(problem: Problem) -> str:
    """`Held Deployment/web`, `Yaml b.yaml`."""
    key = problem.object or problem.error.facts.get("object")
    where = name_of(key) if isinstance(key, ObjectId) else problem.file or str(problem.error.facts.get("file", ""))
    return f"{problem.error.reason} {where}".strip()
