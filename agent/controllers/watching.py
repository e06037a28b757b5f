"""Live objects as watches bring them: one watch per kind for the whole installation, facts sorted by the Application they belong to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.controllers.resting import Resting
from agent.engine import judge
from agent.engine.live import Departed, is_newer, reports
from agent.manifests.ownership import LABEL_INSTALLATION
from agent.values.errors import AgentError
from agent.values.ids import ObjectId
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.controllers.live_facts import LiveFacts
    from agent.engine.ledger import Ledger
    from agent.engine.live import LiveFact, Observer
    from agent.engine.ports import TargetPort, WatchEvent
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

_FIRST_LIST_SECONDS = 15.0
_KEPT = 50
"""Whole live objects of one Application that drifted; the others are healed without the fields that changed and their writer."""


class Watching:
    """LivePort: owns one task per followed kind, and writes the facts.

    `drifted` is called with an Application and an object of it that does not stand as applied, `changed` when an object comes, goes, or
    its health changes, `ended` when something ran to its end that is not recorded as ended.
    """

    drifted: Callable[[str, ObjectId], None]
    changed: Callable[[str], None]
    ended: Callable[[str], None]

    def __init__(
        self,
        target: TargetPort,
        observer: Observer,
        facts: LiveFacts,
        processor: Callable[[], float] = time.thread_time,
    ) -> None:
        self._target = target
        self._observer = observer
        self._facts = facts
        self._processor = processor
        self._resting = Resting(self._look)
        self._ledgers: dict[str, Ledger] = {}
        self._tasks: dict[Resource, asyncio.Task[None]] = {}
        self._synced: dict[Resource, asyncio.Event] = {}
        self._settled: dict[Resource, asyncio.Event] = {}
        self._awaited: set[Resource] = set()
        self._running: set[str] = set()
        self._touched: dict[str, set[ObjectId]] = {}
        self._kept: dict[str, set[ObjectId]] = {}
        self.ended = lambda _: None

    async def follow(self, resources: Collection[Resource]) -> frozenset[Resource]:
        """Watch these kinds too, and wait until the first list of each is observed; once, and not for long, where one is refused."""
        for resource in resources:
            known = self._tasks.get(resource)
            if known is None or known.done():
                # one that ended met a defect of the agent, which the event loop reports; its kind is still watched
                self._awaited.discard(resource)
                self._synced[resource] = asyncio.Event()
                self._settled[resource] = asyncio.Event()
                self._tasks[resource] = asyncio.create_task(self._watch(resource), name=f"watch {resource.plural}")
        waiting = [resource for resource in resources if resource not in self._awaited]
        if waiting:
            tasks = [asyncio.create_task(self._settled[resource].wait()) for resource in waiting]
            _, late = await asyncio.wait(tasks, timeout=_FIRST_LIST_SECONDS)
            for task in late:
                task.cancel()
            self._awaited.update(waiting)
        return frozenset(resource for resource in resources if self._synced[resource].is_set())

    def refused(self) -> frozenset[Resource]:
        """The kinds that the API server refuses to list or watch, as it said last."""
        return frozenset(
            resource
            for resource, settled in self._settled.items()
            if settled.is_set() and not self._synced[resource].is_set()
        )

    def snapshot(self, application: str) -> Mapping[ObjectId, LiveFact]:
        return self._facts.snapshot(application)

    def departed(self, application: str) -> Mapping[ObjectId, Departed]:
        return self._facts.departed(application)

    def observed(self, application: str, key: ObjectId, fact: LiveFact | None) -> None:
        if application in self._facts:
            self._learn(application, key, fact)

    def adopt(self, uid: str, ledger: Ledger) -> None:
        """Hold an Application: facts that came before its record was read become its own."""
        self._facts.adopt(uid, ledger.cluster, ledger.record.objects)
        self._ledgers[uid] = ledger
        ledger.recorded = lambda record: self._facts.record(uid, record.objects)

    def release(self, uid: str) -> None:
        """Forget an Application that is gone or has moved to another agent."""
        self._running.discard(uid)
        self._touched.pop(uid, None)
        self._kept.pop(uid, None)
        ledger = self._ledgers.pop(uid, None)
        if ledger is not None:
            ledger.recorded = None
        self._facts.release(uid)

    def begin(self, uid: str) -> None:
        """A run begins: what its own requests cause is not drift."""
        self._running.add(uid)
        self._touched[uid] = set()

    def end(self, uid: str) -> None:
        """A run ended: what changed meanwhile and does not stand as applied has drifted."""
        self._running.discard(uid)
        for key in self._touched.pop(uid, set()):
            self._judge(uid, key)

    async def close(self) -> None:
        """End all watches."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._resting.close()

    async def _watch(self, resource: Resource) -> None:
        selector = f"{LABEL_INSTALLATION}={self._observer.installation}"
        listed: set[ObjectId] = set()
        async for event in self._target.watch(resource, selector=selector):
            if event.type == "synced":
                await self._miss(resource, listed)
                listed.clear()
                self._synced[resource].set()
                self._settled[resource].set()
            elif event.type == "refused":
                self._synced[resource].clear()
                self._settled[resource].set()
            else:
                key = _identify(event)
                listed.add(key)
                if self._synced[resource].is_set() and self._resting.postpones(resource, key):
                    continue
                gone = event.type == "gone"
                await self._take(resource, key, None if gone else event.object, last=event.object)

    async def _miss(self, resource: Resource, listed: Collection[ObjectId]) -> None:
        """Look for what is believed to be there and no list or watch has shown: it was applied while the watch was broken."""
        known = self._facts.of_kind((self._target.cluster, resource.group, resource.kind))
        for key in [key for key in known if key not in listed]:
            await self._take(resource, key, None)

    async def _take(
        self, resource: Resource, key: ObjectId, found: Object | None, *, last: Object | None = None
    ) -> None:
        if found is None:
            # a changed label looks like a deletion too
            try:
                found = await self._target.get(resource, key.namespace, key.name)
            except AgentError:
                found = None
        self._resting.charge(key.namespace, await self._take_in(resource, key, found, last))

    async def _look(self, resource: Resource, key: ObjectId) -> float:
        """Take in what stands now. Raises AgentError."""
        found = await self._target.get(resource, key.namespace, key.name)
        return await self._take_in(resource, key, found, None)

    async def _take_in(self, resource: Resource, key: ObjectId, found: Object | None, last: Object | None) -> float:
        """Take in a live object, or that there is none. Gives the seconds of processor time that it cost."""
        has_conditions = await reports(self._target, resource)
        began = self._processor()
        fact = self._observer.observe(found, reports=has_conditions) if found is not None else None
        uid = self._belongs_to(key, fact)
        self._lose(key, uid)
        if uid is not None:
            if fact is None:
                self._see_off(uid, key, last or {})
            self._note(uid, key, fact)
        elif fact is not None:
            self._facts.leave((self._target.cluster, key), fact)
        else:
            self._facts.claim((self._target.cluster, key))
        return self._processor() - began

    def _see_off(self, uid: str, key: ObjectId, last: Object) -> None:
        """Keep how an object had ended that is gone. One that went while no watch looked is known by what was seen of it before."""
        known = self._facts.get(uid, key)
        seen = bool(get_text(last, "metadata", "resourceVersion"))
        left = self._observer.observe(last) if seen else known
        if left is None:
            return
        before = known.ended if known is not None and known.uid == left.uid else ""
        if seen or before:
            self._facts.depart(uid, key, Departed(left.uid, left.ended or before))

    def _lose(self, key: ObjectId, uid: str | None) -> None:
        """An object that turns out to belong to another owner is not there for those who had it."""
        for other in [each for each in self._facts.holders((self._target.cluster, key)) if each != uid]:
            self._facts.drop(other, key)
            self._judge(other, key)

    def _belongs_to(self, key: ObjectId, fact: LiveFact | None) -> str | None:
        if fact is not None and fact.owner is not None:
            return fact.owner if fact.owner in self._facts else None
        return next(iter(self._facts.recorders((self._target.cluster, key))), None)

    def _note(self, uid: str, key: ObjectId, fact: LiveFact | None) -> None:
        known = self._facts.get(uid, key)
        if not self._learn(uid, key, fact):
            return
        if uid in self._running:
            self._touched[uid].add(key)
        else:
            self._judge(uid, key)
            if known is None or fact is None or known.health != fact.health:
                self.changed(uid)

    def _learn(self, uid: str, key: ObjectId, fact: LiveFact | None) -> bool:
        """Whether it is news."""
        known, departed = self._facts.get(uid, key), self._facts.departure(uid, key)
        if fact is None:
            self._facts.drop(uid, key)
        elif departed is not None and departed.uid == fact.uid:
            return False
        elif known is None or is_newer(fact.resource_version, known.resource_version):
            if known is not None and known.uid == fact.uid and known.ended:
                fact = replace(fact, ended=known.ended)
            record = self._facts.recorded(uid, key)
            drifted = fact.object is not None and record is not None and judge.drifted(record, fact)
            self._facts.put(uid, key, fact if drifted and self._has_room(uid, key) else replace(fact, object=None))
        else:
            return False
        return True

    def _has_room(self, uid: str, key: ObjectId) -> bool:
        """Whether another whole object may be kept of an Application: what drifts and is not healed is as much as a tenant likes."""
        kept = self._kept.setdefault(uid, set())
        if key not in kept and len(kept) >= _KEPT:
            known = {each: self._facts.get(uid, each) for each in kept}
            kept.intersection_update([each for each, fact in known.items() if fact is not None and fact.object])
            if len(kept) >= _KEPT:
                return False
        kept.add(key)
        return True

    def _judge(self, uid: str, key: ObjectId) -> None:
        record, fact = self._facts.recorded(uid, key), self._facts.get(uid, key)
        if record is None or not record.uid:
            return
        if judge.drifted(record, fact):
            self.drifted(uid, key)
        elif fact is not None and fact.ended and fact.uid == record.uid and not record.ended:
            self.ended(uid)


def _identify(event: WatchEvent) -> ObjectId:
    """By the watch's own kind: items of a list carry none."""
    metadata = get_object(event.object, "metadata")
    namespace, name = get_text(metadata, "namespace"), get_text(metadata, "name")
    return ObjectId(event.resource.group, event.resource.kind, namespace, name)
