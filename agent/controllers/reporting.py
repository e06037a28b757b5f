"""Telling people: status, events, metrics and log lines of a run. Nothing here decides anything, and no text is not ours."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from agent.controllers import fights, status
from agent.controllers.status import Standing
from agent.engine.causes import OF_A_COMMIT, Cause
from agent.engine.outcome import Outcome
from agent.engine.results import Answer
from agent.values.errors import AgentError, DefectError
from agent.values.problems import Problem
from agent.values.text import counted, cut, few

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.api.application import Application
    from agent.api.status import ApplicationStatus, Counts
    from agent.controllers.managed import ManagedApplication
    from agent.engine.causes import Trigger, Why
    from agent.engine.fence import Fence
    from agent.engine.ports import HomePort, Ports
    from agent.engine.results import Result
    from agent.values.ids import ApplicationId

LOG = logging.getLogger("signet")
_EVENTS_OF_FAILURES = 10
_EVENTS_OF_FIGHTS = 10
_CAUSES = 5
"""Causes of applies that have an event of their own."""
_HEALS = 3
"""Heals that have one."""
_FIELDS = 5
"""Fields of an object that are named where the audit trail has more of them."""
_PROBLEMS = 50
"""As many as the status has."""
_AGAIN = 5.0
"""Seconds after which a status is written that could not be."""
_FACT = 512
"""Characters of a fact in a line of the log."""


class Reporter:
    """Writes what is worth writing: a status only when it says something new, an event once.

    `settles` is called with an Application that stands otherwise after so many seconds, whether or not anything happens. `followed` says
    whether others have to see which commit an Application looked at, even if that leaves it.
    """

    def __init__(self, ports: Ports, agent: str, followed: Callable[[ApplicationId], bool] = lambda _: False) -> None:
        self._ports = ports
        self._agent = agent
        self._followed = followed
        self.settles: Callable[[str, float], None] = lambda _uid, _seconds: None

    async def run_ended(
        self,
        managed: ManagedApplication,
        application: Application,
        outcome: Outcome,
        *,
        triggers: frozenset[Trigger],
        started: float,
        seconds: float,
    ) -> bool:
        """Report a run, and return whether the status says so: `started` in Unix seconds, `seconds` its length."""
        fence, standing = managed.fence, self._standing(managed, outcome)
        managed.outcome = outcome
        self._count(managed, outcome, status.counts(standing, outcome), triggers, seconds)
        self._log(application, outcome)
        async with managed.reporting:
            before = managed.reported
            reported = status.compute(
                application,
                standing,
                outcome,
                before,
                triggers=triggers,
                started=started,
                now=self._ports.clock.now(),
            )
            reported = status.signed(reported, self._agent, standing.record.epoch, managed.since)
            quiet = triggers <= OF_A_COMMIT and not managed.unwritten and not self._followed(managed.id)
            if quiet and status.only_checked(reported, before):
                if fence is not None:
                    fence.check()
                managed.unsaid |= reported.checked_revision != before.checked_revision
                managed.reported, written = reported, True
            else:
                written = await self._write(managed, reported, fence, due=managed.unsaid)
        if status.differs(reported, before):
            await self._events(managed, application, outcome, reported, before)
        return written

    async def crashed(self, managed: ManagedApplication, triggers: frozenset[Trigger], kind: str) -> None:
        """Say in the status what must not hide behind an old Ready: a defect of this `kind` of exception ended the run."""
        if managed.application is not None and (managed.hold is None or managed.held):
            hint = "the agent's log shows where; please report it"
            error = DefectError("a bug in the agent ended the run", hint=hint, exception=kind)
            outcome, now = Outcome(managed.state, problems=(Problem(error),)), self._ports.clock.now()
            application = managed.application
            await self.run_ended(managed, application, outcome, triggers=triggers, started=now, seconds=0.0)

    async def refreshed(self, managed: ManagedApplication, application: Application) -> None:
        """Report health and drift as they are now, between runs, and what could not be written before."""
        fence = managed.fence
        async with managed.reporting:
            reported = managed.reported
            if managed.outcome is not None:
                standing = self._standing(managed, managed.outcome)
                reported = status.refresh(application, standing, managed.outcome, reported, standing.now)
            await self._write(managed, reported, fence)

    async def insist(self, managed: ManagedApplication) -> None:
        """Write the status again where another writer replaced it: an agent that had the Application before, or a person.

        Raises LeaseLostError where it is the word of an agent that took the Application since.
        """
        async with managed.reporting:
            own, found, fence = managed.reported, managed.found, managed.fence
            mine = own.agent == self._agent and own.epoch == managed.record.epoch
            if fence is not None and mine and (found.get("agent"), found.get("epoch")) != (own.agent, own.epoch):
                await fence.show(afresh=True)
                managed.reported = status.of_tree(found)
                await self._write(managed, own, fence)

    async def record_damaged(self, managed: ManagedApplication) -> None:
        """Report that the stored record of an Application does not verify, where that is so."""
        loss = managed.hold.ledger.loss if managed.hold else ""
        if loss:
            text = "the stored record does not verify; everything is applied again"
            try:
                home = self._home(managed.fence)
                await home.event(managed.id, kind="Warning", reason=loss, message=text)
            except AgentError as error:
                log_error("an event could not be written", error, managed.id)

    async def suspended(self, managed: ManagedApplication, application: Application) -> None:
        """Report that an Application is stopped by its user."""
        self._ports.metrics.waits(managed.id, {status.SUSPENDED: 1})
        self._ports.metrics.refused(managed.id, "")
        fence, epoch = managed.fence, managed.record.epoch
        async with managed.reporting:
            reported = status.suspended(application, managed.reported, self._ports.clock.now())
            await self._write(managed, status.signed(reported, self._agent, epoch, managed.since), fence)

    async def refused(self, managed: ManagedApplication) -> bool:
        """Report that an Application's spec cannot be run at all, as long as that is so; whether the status says so, or never will."""
        error, generation = managed.refusal, managed.generation
        if error is None:
            return True
        self._ports.metrics.refused(managed.id, error.reason)
        fence, epoch = managed.fence, managed.record.epoch
        async with managed.reporting:
            reported = status.refused(generation, error, managed.reported, self._ports.clock.now())
            return await self._write(managed, status.signed(reported, self._agent, epoch, managed.since), fence)

    async def _write(
        self, managed: ManagedApplication, reported: ApplicationStatus, fence: Fence | None, *, due: bool = False
    ) -> bool:
        """Write a status that is `due` or says something new; whether it stands, or never will. One that fails is logged, and tried again."""
        if not (due or managed.unwritten or status.differs(reported, managed.reported)):
            return True
        managed.reported, managed.unwritten = reported, True
        try:
            await self._home(fence).update_status(managed.id, reported.tree())
        except AgentError as error:
            log_error("the status could not be written", error, managed.id)
            if error.transient:
                self.settles(managed.id.uid, _AGAIN)
            return not error.transient
        managed.unsaid = managed.unwritten = False
        return True

    def _standing(self, managed: ManagedApplication, outcome: Outcome) -> Standing:
        """How an Application stands now; where that changes by itself, it is looked at again then."""
        live, now = self._ports.live.snapshot(managed.id.uid), self._ports.clock.now()
        loss = managed.hold.ledger.loss if managed.hold else ""
        standing = Standing.of(managed.record, live, outcome, loss=loss, now=now)
        if standing.walked.settles_at is not None:
            self.settles(managed.id.uid, standing.walked.settles_at - now)
        return standing

    def _home(self, fence: Fence | None) -> HomePort:
        """Without a hold, as where none can be taken, the Lease alone guards what is reported."""
        return self._ports.home.fenced(fence.check) if fence is not None else self._ports.home

    def _count(
        self,
        managed: ManagedApplication,
        outcome: Outcome,
        counts: Counts,
        triggers: frozenset[Trigger],
        seconds: float,
    ) -> None:
        metrics = self._ports.metrics
        result = "partial" if outcome.problems else "waiting" if outcome.waits else "succeeded"
        if outcome.desired is None and (outcome.problems or not outcome.waits):
            result = "failed"
        metrics.reconciled("+".join(sorted(triggers)), result, seconds)
        metrics.objects(
            managed.id,
            {"total": counts.total, "held": counts.held, "failed": counts.failed, "drifted": counts.drifted},
        )
        held = () if outcome.desired is None else outcome.desired.held.values()
        metrics.held(managed.id, Counter(error.reason for error in held))
        metrics.waits(managed.id, Counter(error.reason for error in outcome.waits))
        metrics.refused(managed.id, "")
        if not outcome.problems and not outcome.waits:
            metrics.synced(managed.id, self._ports.clock.now())
        now = self._ports.clock.monotonic()
        for done in outcome.results:
            if done.error is not None:
                continue
            seen = managed.drift_seen.pop(done.id, None)
            if done.action == "heal" and done.wrote:
                managed.fights[done.id] = fights.healed(managed.fights.get(done.id), now, done.removed)
                if seen is not None:
                    metrics.healed(now - seen)
        managed.forget_gone()

    def _log(self, application: Application, outcome: Outcome) -> None:
        for done in outcome.results:
            about: dict[str, object] = {"application": str(application.id), "object": str(done.id), "result": done.text}
            if done.why is not None:
                about |= {"cause": done.why.cause, **done.why.facts}
            if done.writer is not None:
                about["manager"] = cut(done.writer.manager)
            LOG.info(done.action, extra=about | ({"fields": list(done.fields[:_FIELDS])} if done.fields else {}))
        log_errors("problem", [each.error for each in outcome.problems], application.id)

    async def _events(
        self,
        managed: ManagedApplication,
        application: Application,
        outcome: Outcome,
        reported: ApplicationStatus,
        before: ApplicationStatus,
    ) -> None:
        events = [("Normal", *each) for each in successes(outcome.results, reported.revision or "")]
        fought = (
            done
            for done in outcome.results
            if done.id in managed.fights and managed.fights[done.id].fought and done.action == "heal" and done.wrote
        )
        events += [
            ("Warning", "Fight", f"{done.id} is {_edited(done)} repeatedly")
            for done in islice(fought, _EVENTS_OF_FIGHTS)
        ]
        old = {(failure.object, failure.reason, failure.message) for failure in (*before.failures, *before.warnings)}
        for failure in (*reported.failures[:_EVENTS_OF_FAILURES], *reported.warnings[:_EVENTS_OF_FAILURES]):
            if (failure.object, failure.reason, failure.message) not in old:
                place = failure.object or failure.file
                events.append(("Warning", failure.reason, f"{place}: {failure.message}" if place else failure.message))
        try:
            for kind, reason, message in events:
                await self._home(managed.fence).event(
                    application.id, kind="Normal" if kind == "Normal" else "Warning", reason=reason, message=message
                )
        except AgentError as error:
            log_error("an event could not be written", error, application.id)


def successes(results: tuple[Result, ...], revision: str) -> list[tuple[str, str]]:
    """What a run changed, by reason: as the API server answered, by its cause, with the first few objects."""
    groups: dict[tuple[Why | None, bool], list[Result]] = {}
    for each in results:
        if each.wrote and each.action not in {"heal", "prune", "forget"}:
            groups.setdefault((each.why, each.action == "replace"), []).append(each)
    events = [("Applied", _applied(why, done, revision)) for (why, _), done in islice(groups.items(), _CAUSES)]
    if rest := [each for done in islice(groups.values(), _CAUSES, None) for each in done]:
        events.append(("Applied", _applied(None, rest, revision)))
    healed = [each for each in results if each.wrote and each.action == "heal"]
    events += [("Healed", _healed(each)) for each in healed[:_HEALS]]
    if more := len(healed[_HEALS:]):
        events.append(("Healed", f"{counted(more, 'more object')} healed"))
    events += [
        ("Removed", f"{each.id}: {', '.join(each.removed[:_FIELDS])} removed, added by {_manager(each)}")
        for each in islice((each for each in results if each.wrote and each.removed and each.action != "heal"), _HEALS)
    ]
    pruned = [each for each in results if each.wrote and each.action == "prune"]
    if pruned:
        are = "is" if len(pruned) == 1 else "are"
        events.append(("Pruned", f"{_objects(pruned, 'deleted')} that {are} no longer in any layer: {_names(pruned)}"))
    if going := [each for each in results if each.answer == Answer.DELETING]:
        events.append(
            ("Pruned", f"{_objects(going, 'marked for deletion')}, kept by finalizers for now: {_names(going)}")
        )
    return events


def _applied(why: Why | None, done: list[Result], revision: str) -> str:
    cause, because = (why.cause, few(why.because)) if why is not None else (None, "")
    if cause == Cause.HOOK:
        return f"{counted(len(done), 'hook')} completed, revision {revision}: {_names(done)}"
    became = "replaced" if all(each.action == "replace" for each in done) else "applied"
    if cause == Cause.ROLL:
        return f"{_objects(done, 'rolled')} because {because} changed: {_names(done)}"
    if cause == Cause.SECRET:
        return f"{_objects(done, became)} with {because}, revision {revision}: {_names(done)}"
    return f"{_objects(done, became)}, revision {revision}: {_names(done)}"


def _healed(done: Result) -> str:
    fields = f" ({', '.join(done.fields[:_FIELDS])})" if done.fields else ""
    return f"{done.id} healed{fields}, was {_edited(done)}"


def _edited(done: Result) -> str:
    if done.why is not None and done.why.cause == Cause.DELETION:
        return "deleted in the cluster"
    return f"edited by {_manager(done)}" if done.writer else "edited in the cluster"


def _manager(done: Result) -> str:
    return cut(done.writer.manager) if done.writer else "an unknown manager"


def _objects(done: list[Result], became: str) -> str:
    return f"{counted(len(done), 'object')} {became}"


def _names(done: list[Result]) -> str:
    return few([str(each.id) for each in done])


def log_errors(message: str, errors: Sequence[AgentError], application: ApplicationId) -> None:
    """As many of them as a status has, and how many more there are. `message` is a literal."""
    for error in errors[:_PROBLEMS]:
        log_error(message, error, application)
    if more := len(errors[_PROBLEMS:]):
        LOG.warning("more problems", extra={"application": str(application), "problems": more})


def log_error(message: str, error: AgentError, application: ApplicationId) -> None:
    """A warning with what an error says. `message` is a literal."""
    about = {
        "application": str(application),
        "reason": error.reason,
        "cause": error.message,
        "facts": {name: cut(str(fact), _FACT) for name, fact in error.facts.items()},
    }
    LOG.warning(message, extra=about | ({"hint": error.hint} if error.hint else {}))
