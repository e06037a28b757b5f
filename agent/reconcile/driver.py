"""The driver: the only part of the engine that owns tasks and timers. It turns what happens into runs, and runs into status.

Application watch, live watches, clock and probes feed `schedule.step`; what that says to start is run through `pipeline.reconcile`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from agent.api import application as applications
from agent.api import names
from agent.api.status import ApplicationStatus, Failure
from agent.manifests import references
from agent.manifests.kinds import Resource
from agent.reconcile import fights, pipeline, schedule, status
from agent.reconcile.context import Memory, Run
from agent.reconcile.pipeline import Outcome
from agent.reconcile.record import RecordDamagedError
from agent.values.errors import AgentError, LeaseLostError
from agent.values.ids import RunId
from agent.values.tree import get_object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from agent.api.application import Application
    from agent.reconcile.context import Fingerprints, Grants
    from agent.reconcile.fights import Fight
    from agent.reconcile.live import Observer
    from agent.reconcile.ports import ClockPort, Ports, WatchEvent
    from agent.reconcile.watching import Watching
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

T = TypeVar("T")
LOG = logging.getLogger("signet")

APPLICATIONS = Resource(names.GROUP, names.VERSION, names.KIND, names.PLURAL, namespaced=True)
FINALIZER = f"{names.GROUP}/prune"


class AsyncTasks:
    """TasksPort on asyncio."""

    async def all(self, work: Iterable[Awaitable[T]]) -> list[T]:
        results = await asyncio.gather(*work, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Managed:
    """One Application under this agent's care."""

    tree: Object
    application: Application | None
    memory: Memory
    reported: ApplicationStatus
    loaded: bool = False
    outcome: Outcome | None = None
    rotated: frozenset[ObjectId] = frozenset()
    fights: dict[ObjectId, Fight] = field(default_factory=dict["ObjectId", "Fight"])
    drift_seen: dict[ObjectId, float] = field(default_factory=dict["ObjectId", float])
    status_due: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """`grants` says what the operator lets an Application do, or raises; `mine` whether this agent is the one to run it."""

    observer: Observer
    fingerprints: Fingerprints
    grants: Callable[[Application], Grants]
    mine: Callable[[str], bool]
    random_bytes: Callable[[int], bytes]
    probe_interval: float = 30.0
    parallel_runs: int = 8


class Driver:
    """Runs Applications until it is stopped."""

    def __init__(self, ports: Ports, settings: Settings, watching: Watching) -> None:
        """`ports.live` is `watching` as well."""
        self._settings = settings
        self._ports = ports
        self._watching = watching
        watching.drifted, watching.changed = self._drifted, self._health_changed
        self._managed: dict[str, Managed] = {}
        self._state: dict[str, schedule.Entry] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(settings.parallel_runs)
        self._stopping = False
        self.synced = False

    async def run(self) -> None:
        """Watch Applications and run them, until `stop`."""
        watch = asyncio.create_task(self._watch_applications(), name="watch applications")
        try:
            while not self._stopping:
                self._event(schedule.Tick())
                await self._until_next()
                if watch.done():
                    watch.result()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            if self._tasks:
                await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._watching.close()

    def stop(self) -> None:
        """Begin no further run; `run` returns when those under way have ended."""
        self._stopping = True
        self._wake.set()

    async def _until_next(self) -> None:
        at = schedule.wake_at(self._state)
        clock: ClockPort = self._ports.clock
        timeout = None if at is None else max(0.0, at - clock.monotonic())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)
        self._wake.clear()

    def rebalance(self) -> None:
        """The agents that share the Applications changed: take and leave what that says."""
        for uid, managed in list(self._managed.items()):
            mine = self._settings.mine(uid)
            if mine and uid not in self._state and managed.application is not None:
                self._seen(uid, managed.application, frozenset({"start"}))
            elif not mine and uid in self._state:
                self._leave(uid)

    def _leave(self, uid: str) -> None:
        self._event(schedule.Gone(uid))
        self._watching.release(uid)
        managed = self._managed.get(uid)
        if managed is not None:
            managed.loaded = False
            managed.memory = Memory()

    # what happens

    def _event(self, event: schedule.Event) -> None:
        jitter = self._settings.random_bytes(1)[0] / 256
        now = self._ports.clock.monotonic()
        self._state, effects = schedule.step(
            self._state, event, now=now, probe_interval=self._settings.probe_interval, jitter=jitter
        )
        for effect in effects:
            if isinstance(effect, schedule.Start):
                self._spawn(self._run(effect.uid, effect.causes), f"run {effect.uid}")
            else:
                self._spawn(self._probe(effect.uid), f"probe {effect.uid}")
        self._wake.set()

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _drifted(self, uid: str, key: ObjectId) -> None:
        """A live object of an Application does not stand as it was applied."""
        managed = self._managed.get(uid)
        if managed is None or managed.application is None:
            return
        now = self._ports.clock.monotonic()
        managed.drift_seen.setdefault(key, now)
        self._ports.metrics.drifted("live")
        self._event(schedule.Poke(uid, "live", fights.delay(managed.fights.get(key), now)))

    def _health_changed(self, uid: str) -> None:
        """The health of a live object changed: tell the status, soon and once."""
        managed = self._managed.get(uid)
        if managed is not None and managed.outcome is not None and not managed.status_due:
            managed.status_due = True
            self._spawn(self._report_soon(uid), f"status {uid}")

    async def _watch_applications(self) -> None:
        async for event in self._ports.cluster.watch(APPLICATIONS):
            if event.type == "synced":
                self.synced = True
            else:
                await self._take(event)

    async def _take(self, event: WatchEvent) -> None:
        uid = str(get_object(event.object, "metadata").get("uid"))
        if event.type == "gone":
            await self._forget(uid)
            return
        try:
            application, failure = applications.parse(event.object), None
        except AgentError as error:
            application, failure = None, Failure.of(error)
        managed = self._managed.get(uid)
        if managed is None:
            reported = status.of_tree(get_object(event.object, "status"))
            managed = self._managed[uid] = Managed(event.object, application, Memory(), reported)
            causes = frozenset({"start"})
        else:
            causes = _changes(managed.application, application)
            managed.application = application
        managed.tree = event.object
        if application is None:
            self._event(schedule.Gone(uid))
            if failure is not None:
                generation = get_object(event.object, "metadata").get("generation")
                number = generation if isinstance(generation, int) else 0
                await self._refuse(managed, applications.identify(event.object), number, failure)
        elif self._settings.mine(uid) and causes:
            self._seen(uid, application, causes)

    def _seen(self, uid: str, application: Application, causes: frozenset[str]) -> None:
        self._event(schedule.Seen(uid, float(application.spec.interval), application.spec.suspend, causes))

    async def _forget(self, uid: str) -> None:
        managed = self._managed.pop(uid, None)
        self._event(schedule.Gone(uid))
        self._watching.release(uid)
        if managed is not None and managed.application is not None and self._settings.mine(uid):
            try:
                await self._ports.records.forget(managed.application.id)
            except AgentError as error:
                _log_error("the record of a deleted application could not be removed", error, managed.application)

    # one run

    async def _run(self, uid: str, causes: frozenset[str]) -> None:
        result = "failed"
        try:
            async with self._slots:
                managed = self._managed.get(uid)
                if managed is None or managed.application is None or self._stopping:
                    return
                result = await self._reconcile(uid, managed, managed.application, causes)
        finally:
            self._event(
                schedule.Finished(uid, "ok" if result == "ok" else "transient" if result == "transient" else "failed")
            )

    async def _reconcile(self, uid: str, managed: Managed, application: Application, causes: frozenset[str]) -> str:
        clock = self._ports.clock
        started, began = clock.now(), clock.monotonic()
        rotated, managed.rotated = managed.rotated, frozenset()
        run: Run | None = None
        try:
            run = self._make_run(application, causes, rotated)
            if not managed.loaded:
                await self._load(uid, managed, run)
            if application.deleting:
                return await self._retire(run, managed)
            if application.spec.suspend:
                await self._write_status(managed, status.suspended(application, managed.reported, clock.now()))
                return "ok"
            await self._guard_deletion(application)
            self._watching.begin(uid)
            try:
                outcome = await pipeline.reconcile(run, managed.memory)
            finally:
                self._watching.end(uid)
        except AgentError as error:
            if isinstance(error, LeaseLostError):
                return "transient"
            managed.rotated |= rotated
            _log_error("run failed", error, application)
            outcome = Outcome(None, (pipeline.Problem(error),))
        managed.outcome = outcome
        self._count(managed, outcome, causes, clock.monotonic() - began)
        await self._tell(managed, application, outcome, causes, started)
        return "ok" if not outcome.problems else "transient" if outcome.transient else "failed"

    def _make_run(self, application: Application, causes: frozenset[str], rotated: frozenset[ObjectId]) -> Run:
        settings = self._settings
        return Run(
            RunId(settings.random_bytes(8).hex()),
            application,
            causes,
            self._ports,
            settings.observer,
            settings.fingerprints,
            settings.grants(application),
            {uid: str(item.application.id) for uid, item in self._managed.items() if item.application},
            rotated,
        )

    async def _load(self, uid: str, managed: Managed, run: Run) -> None:
        try:
            await managed.memory.load(run)
        except RecordDamagedError as error:
            _log_error("the stored record does not verify and is made anew", error, run.application)
            await self._ports.cluster.event(
                run.application_id, kind="Warning", reason=error.reason, message="the stored record does not verify"
            )
        managed.loaded = True
        self._watching.adopt(uid, managed.memory)

    async def _guard_deletion(self, application: Application) -> None:
        """Keep the finalizer as the deletion policy says, so that an Application that prunes is not gone before its objects are."""
        wanted = application.spec.deletion_policy == "prune"
        if wanted != (FINALIZER in application.finalizers):
            await self._set_finalizers(application, wanted)

    async def _set_finalizers(self, application: Application, present: bool) -> None:
        others = [name for name in application.finalizers if name != FINALIZER]
        finalizers = [*others, FINALIZER] if present else others
        patch: list[Object] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": application.resource_version},
            {"op": "add", "path": "/metadata/finalizers", "value": [*finalizers]},
        ]
        await self._ports.cluster.json_patch(APPLICATIONS, application.id.namespace, application.id.name, patch)

    async def _retire(self, run: Run, managed: Managed) -> str:
        """An Application is being deleted: its objects go or stay as its policy says, and the finalizer is never left hanging."""
        application = run.application
        if FINALIZER not in application.finalizers:
            return "ok"
        if application.spec.deletion_policy == "prune":
            kinds = await self._ports.cluster.kinds()
            resources = (kinds.of(key) for key in managed.memory.record.objects)
            await self._watching.follow(frozenset(resource for resource in resources if resource is not None))
            errors = await pipeline.retire(run, managed.memory)
            if any(error.transient for error in errors):
                return "transient"
            for error in errors:
                _log_error("an object stays behind", error, application)
        await self._set_finalizers(application, False)
        return "ok"

    async def _probe(self, uid: str) -> None:
        """Ask the stores for newer versions of what an Application uses."""
        managed = self._managed.get(uid)
        if managed is None or managed.application is None or not managed.loaded or not self._settings.mine(uid):
            return
        users: dict[str, set[ObjectId]] = {}
        known: dict[str, int] = {}
        for key, record in managed.memory.record.objects.items():
            for text, version in record.stores.items():
                users.setdefault(text, set()).add(key)
                known[text] = min(version, known.get(text, version))
        if not users:
            return
        try:
            parsed = {references.parse(text): text for text in users}
            answers = await self._ports.stores.probe(managed.application.id, list(parsed))
        except AgentError as error:
            _log_error("the versions of secrets could not be asked for", error, managed.application)
            return
        rotated: set[ObjectId] = set()
        for reference, answer in answers.items():
            text = parsed[reference]
            if isinstance(answer, AgentError):
                _log_error("the version of a secret could not be asked for", answer, managed.application)
                if not answer.transient:
                    rotated |= users[text]
            elif answer == 0 or answer != known[text]:
                rotated |= users[text]
        if rotated:
            managed.rotated |= rotated
            self._event(schedule.Poke(uid, "secret"))

    # telling

    def _count(self, managed: Managed, outcome: Outcome, causes: frozenset[str], seconds: float) -> None:
        result = "failed" if outcome.desired is None else "partial" if outcome.problems else "succeeded"
        self._ports.metrics.reconciled("+".join(sorted(causes)), result, seconds)
        now = self._ports.clock.monotonic()
        for done in outcome.results:
            if done.action == "heal" and done.error is None:
                managed.fights[done.id] = fights.healed(managed.fights.get(done.id), now)
                seen = managed.drift_seen.get(done.id)
                if seen is not None:
                    self._ports.metrics.healed(now - seen)
            if done.error is None:
                managed.drift_seen.pop(done.id, None)

    async def _tell(
        self, managed: Managed, application: Application, outcome: Outcome, causes: frozenset[str], started: float
    ) -> None:
        now = self._ports.clock.now()
        reported = status.compute(
            application, managed.memory, outcome, managed.reported, causes=causes, started=started, now=now
        )
        counts = reported.counts
        self._ports.metrics.objects(
            application.id,
            {"total": counts.total, "held": counts.held, "failed": counts.failed, "drifted": counts.drifted},
        )
        for done in outcome.results:
            LOG.info(
                done.action,
                extra={
                    "application": str(application.id),
                    "object": str(done.id),
                    "result": done.error.reason if done.error else "ok",
                    "fields": list(done.fields),
                },
            )
        for problem in outcome.problems:
            _log_error("problem", problem.error, application)
        changed = status.differs(reported, managed.reported)
        try:
            if changed:
                await self._events(managed, application, outcome, reported)
            await self._write_status(managed, reported)
        except AgentError as error:
            _log_error("the status could not be written", error, application)

    async def _events(
        self, managed: Managed, application: Application, outcome: Outcome, reported: ApplicationStatus
    ) -> None:
        healed = [done for done in outcome.results if done.action == "heal" and done.error is None]
        pruned = sum(done.action == "prune" and done.error is None for done in outcome.results)
        applied = sum(done.action not in {"heal", "prune"} and done.error is None for done in outcome.results)
        told: list[tuple[str, str]] = []
        if applied:
            told.append(("Applied", f"{applied} objects applied, revision {reported.revision}"))
        if healed:
            told.append(
                ("Healed", f"{healed[0].id} healed" + (f" and {len(healed) - 1} more" if len(healed) > 1 else ""))
            )
        if pruned:
            told.append(("Pruned", f"{pruned} objects deleted that are in no layer any more"))
        for reason, message in told:
            await self._ports.cluster.event(application.id, kind="Normal", reason=reason, message=message)
        for key, fight in managed.fights.items():
            if fight.fought and any(done.id == key for done in healed):
                await self._ports.cluster.event(
                    application.id,
                    kind="Warning",
                    reason="Fight",
                    message=f"{key} is changed by somebody else again and again",
                )
        old = {(failure.object, failure.reason, failure.message) for failure in managed.reported.failures}
        for failure in reported.failures[:10]:
            if (failure.object, failure.reason, failure.message) not in old:
                place = failure.object or failure.file
                text = f"{place}: {failure.message}" if place else failure.message
                await self._ports.cluster.event(application.id, kind="Warning", reason=failure.reason, message=text)

    async def _report_soon(self, uid: str) -> None:
        await asyncio.sleep(0.5)
        managed = self._managed.get(uid)
        if managed is None or managed.application is None or managed.outcome is None:
            return
        managed.status_due = False
        reported = status.refresh(
            managed.application, managed.memory, managed.outcome, managed.reported, self._ports.clock.now()
        )
        try:
            await self._write_status(managed, reported)
        except AgentError as error:
            _log_error("the status could not be written", error, managed.application)

    async def _write_status(self, managed: Managed, reported: ApplicationStatus) -> None:
        assert managed.application is not None
        if status.differs(reported, managed.reported):
            await self._ports.cluster.update_status(managed.application.id, reported.tree())
            managed.reported = reported

    async def _refuse(
        self, managed: Managed, application: applications.ApplicationId, generation: int, failure: Failure
    ) -> None:
        reported = status.refused(generation, failure, managed.reported, self._ports.clock.now())
        if status.differs(reported, managed.reported):
            try:
                await self._ports.cluster.update_status(application, reported.tree())
                managed.reported = reported
            except AgentError as error:
                LOG.warning(
                    "the status could not be written", extra={"application": str(application), "reason": error.reason}
                )


def _changes(before: Application | None, now: Application | None) -> frozenset[str]:
    if now is None:
        return frozenset()
    if before is None:
        return frozenset({"start"})
    causes: set[str] = set()
    if (
        before.generation != now.generation
        or before.deleting != now.deleting
        or before.annotations.get(names.ANNOTATION_CONFIRM_PRUNE) != now.annotations.get(names.ANNOTATION_CONFIRM_PRUNE)
    ):
        causes.add("spec")
    if before.requested_at != now.requested_at:
        causes.add("request")
    return frozenset(causes)


def _log_error(message: str, error: AgentError, application: Application) -> None:
    facts: Mapping[str, str] = {name: str(fact) for name, fact in error.facts.items()}
    LOG.warning(
        message,
        extra={
            "application": str(application.id),
            "reason": error.reason,
            "cause": error.message,
            "hint": error.hint,
            "facts": facts,
        },
    )
