"""The loop: Application watch, live watches, clock and probes feed `schedule.step`, and what that says to start is run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.api import application as applications
from agent.api import names
from agent.reconcile import fights, pipeline, schedule, status
from agent.reconcile.context import Memory, Run
from agent.reconcile.desired import Problem
from agent.reconcile.driver import deletion, probing
from agent.reconcile.driver.managed import Managed
from agent.reconcile.driver.reporting import Reporter, log_error
from agent.reconcile.driver.tasks import Shares
from agent.reconcile.pipeline import Outcome
from agent.reconcile.record import RecordDamagedError
from agent.values.errors import AgentError, DefectError, ForeignNamespaceError, LeaseLostError, StaleObjectError
from agent.values.ids import ObjectId, RunId
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.api.application import Application
    from agent.api.operator import Limits
    from agent.reconcile.context import Fingerprints, Grants
    from agent.reconcile.driver.watching import Watching
    from agent.reconcile.live import Observer
    from agent.reconcile.ports import Ports, WatchEvent

LOG = logging.getLogger("signet")
_REFRESH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """`grants` says what the operator lets an Application do, or raises; `mine` whether this agent is the one to run it."""

    observer: Observer
    fingerprints: Fingerprints
    grants: Callable[[Application], Grants]
    mine: Callable[[str], bool]
    limits: Limits
    random_bytes: Callable[[int], bytes]
    probe_interval: float = 30.0
    parallel_runs: int = 8


class Driver:
    """Runs Applications until it is stopped."""

    def __init__(self, ports: Ports, settings: Settings, watching: Watching) -> None:
        """`ports.live` is `watching` as well."""
        self._settings = settings
        self._watching = watching
        watching.drifted, watching.changed = self._drifted, self._health_changed
        self._managed: dict[str, Managed] = {}
        self._state: dict[str, schedule.Entry] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._shares = Shares.of(settings.parallel_runs)
        self._ports = ports
        self._reporter = Reporter(ports)
        self._stopping = False
        self._listed = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether every Application is known."""
        return self._listed.is_set()

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
            self._stopping = True
            self._listed.set()
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
        timeout = None if at is None else max(0.0, at - self._ports.clock.monotonic())
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
                self._leave(uid, managed)

    def _leave(self, uid: str, managed: Managed) -> None:
        self._event(schedule.Gone(uid))
        self._watching.release(uid)
        managed.loaded = False
        managed.memory = Memory()
        self._ports.metrics.forget(managed.id)
        self._spawn(self._ports.data_keys.forget(managed.id), f"forget {uid}")

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
        if not isinstance(event, schedule.Tick):
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
        if managed is not None and managed.outcome is not None and not managed.report_due:
            managed.report_due = True
            self._spawn(self._refresh_soon(uid), f"status {uid}")

    async def _watch_applications(self) -> None:
        async for event in self._ports.cluster.watch(deletion.APPLICATIONS):
            if event.type == "synced":
                self._listed.set()
            else:
                await self._take(event)

    async def _take(self, event: WatchEvent) -> None:
        uid = get_text(event.object, "metadata", "uid")
        if event.type == "gone":
            await self._forget(uid)
            return
        error: AgentError | None = None
        application: Application | None = None
        try:
            application = applications.parse(event.object)
        except AgentError as invalid:
            error = invalid
        managed = self._managed.get(uid)
        causes = frozenset({"start"}) if managed is None else _changes(managed.application, application)
        if managed is None:
            reported = status.of_tree(get_object(event.object, "status"))
            managed = self._managed[uid] = Managed(applications.identify(event.object), application, Memory(), reported)
        managed.application = application
        if not self._settings.mine(uid):
            return
        if error is not None:
            self._event(schedule.Gone(uid))
            generation = get(event.object, "metadata", "generation")
            number = generation if isinstance(generation, int) else 0
            await self._reporter.refused(managed, number, error)
            self._spawn(self._orphan(managed), f"orphan {uid}")
        elif application is not None and causes:
            self._seen(uid, application, causes)

    def _seen(self, uid: str, application: Application, causes: frozenset[str]) -> None:
        self._event(schedule.Seen(uid, float(application.spec.interval), application.spec.suspend, causes))

    async def _forget(self, uid: str) -> None:
        managed = self._managed.pop(uid, None)
        if managed is None:
            return
        self._leave(uid, managed)
        if self._settings.mine(uid):
            try:
                await self._ports.records.forget(managed.id)
            except AgentError as error:
                log_error("the record of a deleted application could not be removed", error, managed.id)

    # one run

    async def _run(self, uid: str, causes: frozenset[str]) -> None:
        result: Literal["ok", "transient", "failed"] = "failed"
        try:
            # an object is only known to be another Application's once all of them are
            await self._listed.wait()
            managed = self._managed.get(uid)
            async with self._shares.slots.turn(managed.id.namespace if managed is not None else ""):
                managed = self._managed.get(uid)
                if managed is not None and managed.application is not None and not self._stopping:
                    result = await self._reconcile(uid, managed, managed.application, causes)
        except LeaseLostError:
            result = "transient"
        except Exception as error:
            LOG.exception("a run ended in a defect of the agent", extra={"application": uid})
            await self._confess(uid, causes, type(error).__name__)
        finally:
            self._event(schedule.Finished(uid, result))

    async def _reconcile(
        self, uid: str, managed: Managed, application: Application, causes: frozenset[str]
    ) -> Literal["ok", "transient", "failed"]:
        clock = self._ports.clock
        started, began = clock.now(), clock.monotonic()
        rotated, managed.rotated = managed.rotated, frozenset()
        try:
            try:
                run = self._make_run(application, causes, rotated)
            except ForeignNamespaceError:
                await self._orphan(managed)
                raise
            if not managed.loaded:
                await self._load(uid, managed, run)
            if application.deleting:
                return "ok" if await deletion.retire(run, managed.memory) else "transient"
            if application.spec.suspend:
                await self._reporter.suspended(managed, application)
                return "ok"
            await deletion.keep_finalizer(self._ports.cluster, application)
            self._watching.begin(uid)
            try:
                outcome = await pipeline.reconcile(run, managed.memory)
            finally:
                self._watching.end(uid)
        except LeaseLostError:
            raise
        except AgentError as error:
            managed.rotated |= rotated
            # a record that somebody else wrote meanwhile is read again before the next write
            managed.loaded = managed.loaded and not isinstance(error, StaleObjectError)
            outcome = Outcome(None, (Problem(error),))
        await self._reporter.run_ended(
            managed, application, outcome, causes=causes, started=started, seconds=clock.monotonic() - began
        )
        return "ok" if not outcome.problems else "transient" if outcome.transient else "failed"

    async def _confess(self, uid: str, causes: frozenset[str], kind: str) -> None:
        """Say in the status what must not hide behind an old Ready."""
        managed = self._managed.get(uid)
        if managed is not None and managed.application is not None:
            error = DefectError(
                "a defect of the agent ended the run", hint="its log says where; please report it", exception=kind
            )
            await self._reporter.run_ended(
                managed,
                managed.application,
                Outcome(None, (Problem(error),)),
                causes=causes,
                started=self._ports.clock.now(),
                seconds=0.0,
            )

    async def _orphan(self, managed: Managed) -> None:
        """Keep no Application from going that can no longer be run."""
        try:
            found = await self._ports.cluster.get(deletion.APPLICATIONS, managed.id.namespace, managed.id.name)
            if found is not None and get_text(found, "metadata", "uid") == managed.id.uid:
                await deletion.orphan(self._ports.cluster, found)
        except AgentError as error:
            log_error("an application that goes could not be let go", error, managed.id)

    def _make_run(self, application: Application, causes: frozenset[str], rotated: frozenset[ObjectId]) -> Run:
        settings = self._settings
        return Run(
            RunId(settings.random_bytes(8).hex()),
            application,
            causes,
            self._shares.ports(self._ports, application.id.namespace),
            settings.observer,
            settings.fingerprints,
            settings.grants(application),
            settings.limits,
            {uid: str(managed.id) for uid, managed in self._managed.items()},
            rotated,
        )

    async def _load(self, uid: str, managed: Managed, run: Run) -> None:
        try:
            await managed.memory.load(run)
        except RecordDamagedError as error:
            log_error("the stored record does not verify and is made anew", error, run.application_id)
            await self._ports.cluster.event(
                run.application_id, kind="Warning", reason=error.reason, message="the stored record does not verify"
            )
        managed.loaded = True
        self._watching.adopt(uid, managed.memory)

    async def _probe(self, uid: str) -> None:
        """Ask the stores for newer versions of what an Application uses."""
        managed = self._managed.get(uid)
        if managed is None or managed.application is None or not managed.loaded or not self._settings.mine(uid):
            return
        application = managed.application.id
        try:
            objects, errors = await probing.rotated(self._ports.stores, application, managed.memory.record)
        except AgentError as error:
            objects, errors = frozenset[ObjectId](), (error,)
        for error in errors:
            log_error("the version of a secret could not be asked for", error, application)
        if objects:
            managed.rotated |= objects
            self._event(schedule.Poke(uid, "secret"))

    async def _refresh_soon(self, uid: str) -> None:
        await asyncio.sleep(_REFRESH_SECONDS)
        managed = self._managed.get(uid)
        if managed is not None:
            managed.report_due = False
            if managed.application is not None and uid in self._state:
                await self._reporter.refreshed(managed, managed.application)


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
