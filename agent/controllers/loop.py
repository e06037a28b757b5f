"""The loop: Application watch, live watches, clock and probes feed the schedule, and what that says to start is run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, Literal

from agent.api import application as applications
from agent.controllers import deletion, fights, holding, probing, schedule
from agent.controllers.dependencies import Neighbours
from agent.controllers.followers import Pushes
from agent.controllers.managed import ManagedApplication, Names, changes
from agent.controllers.queues import Queue
from agent.controllers.reporting import Reporter, log_error
from agent.controllers.rooms import Rooms
from agent.controllers.running import Runs
from agent.controllers.tasks import Shares
from agent.engine.causes import Trigger
from agent.engine.outcome import Outcome
from agent.values.errors import AgentError, LeaseLostError
from agent.values.problems import Problem
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from agent.controllers.followers import Push
    from agent.controllers.managed import Hold
    from agent.controllers.settings import Settings
    from agent.controllers.watching import Watching
    from agent.engine.ports import Ports, WatchEvent
    from agent.values.ids import ObjectId

LOG = logging.getLogger("signet")
_REFRESH_SECONDS = 0.5
_WINDOW_SECONDS = 0.1
"""After a window opens, so that no clock says that it has not."""
_AT_A_TIME = 100
"""Applications that are woken before others have the loop."""


class Driver:
    """Runs Applications until it is stopped."""

    def __init__(self, ports: Ports, settings: Settings, watching: Watching) -> None:
        """`ports.live` is `watching` as well."""
        self._settings = settings
        self._watching = watching
        watching.drifted, watching.changed = self._drifted, self._health_changed
        watching.ended = lambda uid: self._event(schedule.Triggered(uid, Trigger.LIVE))
        self._managed: dict[str, ManagedApplication] = {}
        self._neighbours = Neighbours(lambda uid, s: self._event(schedule.Triggered(uid, Trigger.DEPENDENCY, s)))
        self._schedule = schedule.Schedule(settings.probe_interval)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._shares = Shares.of(settings.parallel_runs)
        self._ports = ports
        self._queue = Queue(self._shares.slots, ports)
        self.rooms: Final = Rooms(settings.memory, self._shares.slots, ports.metrics)
        names = Names(self._managed)
        self._runs = Runs(ports, settings, watching, self._neighbours, self._shares, self.rooms, names)
        ports.git.listen(lambda uids, commit: self._spawn(self._moved(uids, commit), "newer commit"))
        self._pushes = Pushes(
            ports.home,
            ports.clock,
            self._managed,
            settings.mine,
            lambda uid: self._event(schedule.Triggered(uid, Trigger.PUSH)),
        )
        self._reporter = Reporter(ports, settings.agent, self._neighbours.followed)
        self._reporter.settles = lambda uid, seconds: self._event(schedule.Settling(uid, seconds))
        self._stopping = False
        self._listed = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether every Application is known."""
        return self._listed.is_set()

    async def listed(self) -> None:
        """Wait until every Application is known, or the driver ends."""
        await self._listed.wait()

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
        at = self._schedule.wake_at()
        timeout = None if at is None else max(0.0, at - self._ports.clock.monotonic())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)
        self._wake.clear()

    def rebalance(self) -> None:
        """The agents that share the Applications changed, or this one's Lease had lapsed: take and leave what that says."""
        for uid, managed in list(self._managed.items()):
            if managed.hold is not None and not managed.held:
                self._event(schedule.Gone(uid))
                self._forsake(uid, managed)
            if not self._settings.mine(uid):
                self._leave(uid, managed)
            elif managed.hold is None and uid not in self._schedule:
                self._changed(uid, managed, frozenset({Trigger.START}))

    def _leave(self, uid: str, managed: ManagedApplication) -> None:
        if uid in self._schedule or managed.hold is not None:
            self._spawn(self._ports.data_keys.forget(managed.id), f"forget {uid}")
        if uid in self._schedule:
            self._event(schedule.Gone(uid))
        self._forsake(uid, managed)

    def _forsake(self, uid: str, managed: ManagedApplication) -> None:
        """Whatever was known under a hold that is over counts no more."""
        self._watching.release(uid)
        managed.leave()
        self.rooms.leave(uid)
        self._ports.metrics.forget(managed.id)

    # what happens

    def _event(self, event: schedule.Event) -> None:
        jitter = self._settings.random_bytes(1)[0] / 256
        now = self._ports.clock.monotonic()
        for effect in self._schedule.step(event, now=now, jitter=jitter):
            if isinstance(effect, schedule.Start):
                self._spawn(self._run(effect.uid, effect.triggers, now), f"run {effect.uid}")
            elif isinstance(effect, schedule.Probe):
                self._spawn(self._probe(effect.uid), f"probe {effect.uid}")
            else:
                self._health_changed(effect.uid)
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
        self._ports.metrics.drifted(Trigger.LIVE)
        self._event(schedule.Triggered(uid, Trigger.LIVE, fights.delay(managed.fights.get(key), now)))

    def pushed(self, push: Push, namespaces: Collection[str]) -> None:
        """A webhook announced a push, and may start Applications of these namespaces."""
        self._spawn(self._pushes.take(push, namespaces), "push")

    async def _moved(self, uids: Collection[str], commit: str) -> None:
        """These Applications were answered with an older commit than one that shares their repository and credential."""
        for number, uid in enumerate(uids, 1):
            managed = self._managed.get(uid)
            checked = managed.state.checked if managed is not None else None
            if checked is None or commit not in checked.commits:
                self._event(schedule.Triggered(uid, Trigger.COMMIT))
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _health_changed(self, uid: str) -> None:
        """The health of a live object changed: update the status, soon and once."""
        managed = self._managed.get(uid)
        if managed is not None and (managed.outcome is not None or managed.unwritten) and not managed.report_due:
            managed.report_due = True
            self._spawn(self._refresh_soon(uid), f"status {uid}")

    async def _watch_applications(self) -> None:
        async for event in self._ports.home.watch(deletion.APPLICATIONS):
            if event.type == "synced":
                self._listed.set()
            elif event.type != "refused":
                self._take(event)

    def _take(self, event: WatchEvent) -> None:
        """Take in what the watch of Applications brings. It waits for no server, and so keeps no later event waiting."""
        uid = get_text(event.object, "metadata", "uid")
        if event.type == "gone":
            self._forget(uid)
            return
        managed = self._managed.get(uid)
        known = managed.application if managed is not None else None
        if managed is None:
            managed = self._managed[uid] = ManagedApplication(applications.identify(event.object))
        newer = managed.read(event.object)
        self._neighbours.seen(managed)
        self._pushes.followers.seen(uid, managed.application)
        if not newer or not self._settings.mine(uid):
            return
        if managed.hold is not None:
            self._spawn(self._insist(uid, managed), f"status {uid}")
        triggers = changes(known, managed.application)
        if triggers or managed.application is None:
            self._changed(uid, managed, triggers)

    def _changed(self, uid: str, managed: ManagedApplication, triggers: frozenset[Trigger]) -> None:
        """An Application of this agent's may have changed: `triggers` say what of it starts a run."""
        application = managed.application
        if application is None:
            self._event(schedule.Gone(uid))
            self._spawn(self._refuse(uid, managed), f"refuse {uid}")
        else:
            spec = application.spec
            self._event(schedule.Seen(uid, float(spec.interval), spec.suspend, triggers))

    def _forget(self, uid: str) -> None:
        if (managed := self._managed.pop(uid, None)) is not None:
            self._neighbours.gone(managed)
            self._pushes.followers.seen(uid, None)
            self._leave(uid, managed)
            self._spawn(self._discard(uid, managed), f"discard the record of {uid}")

    async def _discard(self, uid: str, managed: ManagedApplication) -> None:
        """Remove the record of an Application that is gone, in the turn of its namespace: a tenant may delete a thousand at once."""
        async with managed.taking, self._shares.calls.turn(managed.id.namespace):
            if not self._stopping:
                await self._remove_record(uid, managed)

    async def _remove_record(self, uid: str, managed: ManagedApplication) -> None:
        if self._settings.mine(uid):
            try:
                await self._ports.records.forget(managed.id)
            except AgentError as error:
                log_error("the record of a deleted application could not be removed", error, managed.id)

    async def _insist(self, uid: str, managed: ManagedApplication) -> None:
        """Keep this agent's word in the status; where that of a later owner stands there, its hold is over."""
        tenure = managed.tenure
        try:
            await self._reporter.insist(managed)
        except LeaseLostError as error:
            self._lost(uid, managed, tenure, error)
        except AgentError as error:
            log_error("the status could not be compared", error, managed.id)

    # one run

    async def _run(self, uid: str, triggers: frozenset[Trigger], since: float) -> None:
        result: Literal["ok", "transient", "failed"] = "transient"
        managed = self._managed.get(uid)
        if managed is None:
            self._event(schedule.RunEnded(uid, result))
            return
        tenure = managed.tenure
        try:
            # an object is only known to be another Application's once all of them are
            await self._listed.wait()
            async with self._queue.place(managed, since):
                if managed.tenure == tenure and not self._stopping:
                    result = await self._reconcile(uid, managed, triggers, since)
        except LeaseLostError as error:
            self._lost(uid, managed, tenure, error)
        except Exception as error:
            result = "failed"
            LOG.exception("a run crashed because of a bug in the agent", extra={"application": uid})
            if managed.tenure == tenure:
                await self._reporter.crashed(managed, triggers, type(error).__name__)
        finally:
            # a run of a hold that is over ends beside those of the next one
            if managed.tenure == tenure:
                self._event(schedule.RunEnded(uid, result))

    async def _reconcile(
        self, uid: str, managed: ManagedApplication, triggers: frozenset[Trigger], since: float
    ) -> Literal["ok", "transient", "failed"]:
        clock = self._ports.clock
        started, began = clock.now(), clock.monotonic()
        rotated, managed.rotated = managed.rotated, frozenset()
        hold: Hold | None = None
        try:
            hold = await self._hold(uid, managed)
            application = managed.application
            if application is None:
                return "failed"
            run = await self._runs.make(managed, application, hold, triggers, rotated=rotated, since=since)
            if application.deleting:
                return "ok" if await deletion.retire(run) else "transient"
            if application.spec.suspend:
                await self._reporter.suspended(managed, application)
                return "ok"
            outcome = await self._runs.walk(managed, run, lambda: self._schedule.pending(uid))
            self._wake_for(uid, outcome, hold)
        except LeaseLostError:
            managed.rotated |= rotated
            raise
        except AgentError as error:
            outcome = Outcome(managed.state, problems=(Problem(error),), stopped=True)
            application = managed.application
            if hold is not None:
                hold.fence.check()
        managed.rotated |= outcome.left_of(rotated)
        if application is not None:
            await self._reporter.run_ended(
                managed, application, outcome, triggers=triggers, started=started, seconds=clock.monotonic() - began
            )
        return "ok" if not outcome.problems else "transient" if outcome.transient else "failed"

    def _wake_for(self, uid: str, outcome: Outcome, hold: Hold) -> None:
        """A run of its own for what comes with time: the gate opens, a certificate is renewed."""
        from agent.engine import generating  # noqa: PLC0415  # loaded by the run

        now = self._ports.clock.now()
        if (until := outcome.state.gate.until) is not None:
            self._event(schedule.Triggered(uid, Trigger.WINDOW, max(until - now, 0.0) + _WINDOW_SECONDS))
        if (wait := generating.next_renewal(hold.ledger.record, now)) is not None:
            self._event(schedule.Triggered(uid, Trigger.RENEWAL, wait))

    async def _hold(self, uid: str, managed: ManagedApplication) -> Hold:
        """The hold of this agent on an Application, taken where it has none."""
        async with managed.taking:
            if managed.hold is None:
                ports = self._shares.ports(self._ports, managed.id)
                there = await holding.take(ports, self._settings, managed)
                if not there or self._managed.get(uid) is not managed:
                    self._managed.pop(uid, None)
                    self._leave(uid, managed)
                    await self._remove_record(uid, managed)
                    raise LeaseLostError("the Application is gone")
                if managed.hold is not None:
                    self._watching.adopt(uid, managed.hold.ledger)
                self._changed(uid, managed, frozenset() if uid in self._schedule else frozenset({Trigger.START}))
                await self._reporter.record_damaged(managed)
            hold = managed.hold
        if hold is None:
            raise LeaseLostError("the Application was released while it was being taken")
        hold.fence.check()
        return hold

    def _lost(self, uid: str, managed: ManagedApplication, tenure: int, error: LeaseLostError) -> None:
        """The right to write for an Application is lost: nothing that was known of it is used again, and it is taken again if it is ours.

        Where the hold of that `tenure` has ended already, the next one is left alone.
        """
        if managed.tenure != tenure:
            return
        log_error("this agent may not write for the Application", error, managed.id)
        self._event(schedule.Gone(uid))
        self._forsake(uid, managed)
        self._settings.recheck()
        if managed.application is not None and self._settings.mine(uid):
            self._changed(uid, managed, frozenset())
            self._event(schedule.Triggered(uid, Trigger.START, schedule.FIRST_RETRY))

    async def _refuse(self, uid: str, managed: ManagedApplication) -> None:
        """Say that a spec cannot be run, in the turn of its namespace, and let an Application go that is being deleted."""
        while managed.refusal is not None and self._settings.mine(uid) and not self._stopping:
            tenure = managed.tenure
            try:
                async with self._shares.slots.turn(managed.id.namespace):
                    _ = await self._hold(uid, managed)
                    if await self._reporter.refused(managed):
                        break
            except LeaseLostError as error:
                self._lost(uid, managed, tenure, error)
            except AgentError as error:
                log_error("an invalid spec could not be reported", error, managed.id)
            await asyncio.sleep(schedule.FIRST_RETRY)
        if managed.refusal is not None:
            await deletion.let_go(self._ports.home, managed.id)

    async def _probe(self, uid: str) -> None:
        """Ask the stores for newer versions of what an Application uses."""
        managed = self._managed.get(uid)
        if managed is not None:
            ports = self._shares.ports(self._ports, managed.id)
            for trigger in await probing.look(ports, self._settings, managed):
                self._event(schedule.Triggered(uid, trigger))

    async def _refresh_soon(self, uid: str) -> None:
        await asyncio.sleep(_REFRESH_SECONDS)
        managed = self._managed.get(uid)
        if managed is not None:
            managed.report_due = False
            if managed.application is not None and managed.held:
                await self._reporter.refreshed(managed, managed.application)
