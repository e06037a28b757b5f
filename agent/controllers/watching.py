"""Live objects as watches bring them: one watch per kind for the whole installation, facts sorted by the Application they belong to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.engine import judge
from agent.engine.live import is_newer
from agent.manifests.ownership import LABEL_INSTALLATION
from agent.values.errors import AgentError
from agent.values.ids import ObjectId
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.engine.ledger import Ledger
    from agent.engine.live import LiveFact, Observer
    from agent.engine.ports import ClusterPort, WatchEvent
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

_FIRST_LIST_SECONDS = 15.0
_KEPT = 50
"""Whole live objects of one Application that drifted; the others are healed without the fields that changed and their writer."""


class Watching:
    """LivePort: owns one task per followed kind, and the facts of every Application that this agent runs, by uid. `ledgers` has their records.

    `drifted` is called with an Application and an object of it that does not stand as applied, `changed` when an object's health does.
    """

    drifted: Callable[[str, ObjectId], None]
    changed: Callable[[str], None]

    def __init__(self, cluster: ClusterPort, observer: Observer, ledgers: dict[str, Ledger]) -> None:
        self._cluster = cluster
        self._observer = observer
        self._ledgers = ledgers
        self._live: dict[str, dict[ObjectId, LiveFact]] = {}
        self._tasks: dict[Resource, asyncio.Task[None]] = {}
        self._synced: dict[Resource, asyncio.Event] = {}
        self._settled: dict[Resource, asyncio.Event] = {}
        self._awaited: set[Resource] = set()
        self._unclaimed: dict[ObjectId, LiveFact] = {}
        self._running: set[str] = set()
        self._touched: dict[str, set[ObjectId]] = {}
        self._kept: dict[str, set[ObjectId]] = {}

    async def follow(self, resources: Collection[Resource]) -> frozenset[Resource]:
        """Watch these kinds too, and wait until the first list of each is observed; once, and not for long, where one is refused."""
        for resource in resources:
            known = self._tasks.get(resource)
            if known is None or known.done():
                # one that ended met a defect of the agent, which the event loop tells of; its kind is not given up for that
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
        return dict(self._live.get(application, {}))

    def observed(self, application: str, key: ObjectId, fact: LiveFact | None) -> None:
        live = self._live.get(application)
        if live is None:
            return
        known = live.get(key)
        if fact is None:
            live.pop(key, None)
        elif known is None or is_newer(fact.resource_version, known.resource_version):
            live[key] = fact

    def adopt(self, uid: str, ledger: Ledger) -> None:
        """Take in an Application: facts that came before its record was read are handed over."""
        self._ledgers[uid] = ledger
        live: dict[ObjectId, LiveFact] = {}
        self._live[uid] = live
        for key in [key for key, fact in self._unclaimed.items() if _belongs(fact, key, uid, ledger)]:
            live[key] = self._unclaimed.pop(key)

    def release(self, uid: str) -> None:
        """Forget an Application that is gone or has moved to another agent."""
        self._running.discard(uid)
        self._touched.pop(uid, None)
        self._ledgers.pop(uid, None)
        self._kept.pop(uid, None)
        self._unclaimed.update({key: replace(fact, object=None) for key, fact in self._live.pop(uid, {}).items()})

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

    async def _watch(self, resource: Resource) -> None:
        selector = f"{LABEL_INSTALLATION}={self._observer.installation}"
        told: set[ObjectId] = set()
        async for event in self._cluster.watch(resource, selector=selector):
            if event.type == "synced":
                await self._miss(resource, told)
                told.clear()
                self._synced[resource].set()
                self._settled[resource].set()
            elif event.type == "refused":
                self._synced[resource].clear()
                self._settled[resource].set()
            else:
                key = _identify(event)
                told.add(key)
                await self._take(resource, key, None if event.type == "gone" else event.object)

    async def _miss(self, resource: Resource, told: Collection[ObjectId]) -> None:
        """Look for what is believed to be there and no list or watch has told of: it was applied while the watch was broken."""
        kind = (resource.group, resource.kind)
        for key in {key for live in self._live.values() for key in live} - set(told):
            if (key.group, key.kind) == kind:
                await self._take(resource, key, None)

    async def _take(self, resource: Resource, key: ObjectId, found: Object | None) -> None:
        if found is None:
            # a changed label looks like a deletion too
            try:
                found = await self._cluster.get(resource, key.namespace, key.name)
            except AgentError:
                found = None
        fact = self._observer.observe(found) if found is not None else None
        uid = self._belongs_to(key, fact)
        self._lose(key, uid)
        if uid is None:
            if fact is not None:
                self._unclaimed[key] = replace(fact, object=None)
            else:
                self._unclaimed.pop(key, None)
            return
        self._note(uid, key, fact)

    def _lose(self, key: ObjectId, uid: str | None) -> None:
        """An object that turns out to be somebody else's is not there for those who had it."""
        for other, live in self._live.items():
            if other != uid and live.pop(key, None) is not None:
                self._judge(other, key)

    def _belongs_to(self, key: ObjectId, fact: LiveFact | None) -> str | None:
        if fact is not None and fact.owner is not None:
            return fact.owner if fact.owner in self._live else None
        return next((uid for uid, ledger in self._ledgers.items() if key in ledger.record.objects), None)

    def _note(self, uid: str, key: ObjectId, fact: LiveFact | None) -> None:
        live = self._live[uid]
        known = live.get(key)
        if fact is None:
            live.pop(key, None)
        elif known is None or is_newer(fact.resource_version, known.resource_version):
            record = self._ledgers[uid].record.objects.get(key)
            keep = record is not None and judge.drifted(record, fact) and self._has_room(uid, key)
            live[key] = fact if keep else replace(fact, object=None)
        else:
            return
        if uid in self._running:
            self._touched[uid].add(key)
        else:
            self._judge(uid, key)
            if known is not None and fact is not None and known.health != fact.health:
                self.changed(uid)

    def _has_room(self, uid: str, key: ObjectId) -> bool:
        """Whether another whole object may be kept of an Application: what drifts and is not healed is as much as a tenant likes."""
        kept, live = self._kept.setdefault(uid, set()), self._live[uid]
        if key not in kept and len(kept) >= _KEPT:
            kept.intersection_update([each for each in kept if each in live and live[each].object is not None])
            if len(kept) >= _KEPT:
                return False
        kept.add(key)
        return True

    def _judge(self, uid: str, key: ObjectId) -> None:
        ledger = self._ledgers.get(uid)
        record = ledger.record.objects.get(key) if ledger else None
        if record and record.uid and judge.drifted(record, self._live[uid].get(key)):
            self.drifted(uid, key)


def _identify(event: WatchEvent) -> ObjectId:
    """By the watch's own kind: items of a list carry none."""
    metadata = get_object(event.object, "metadata")
    namespace, name = get_text(metadata, "namespace"), get_text(metadata, "name")
    return ObjectId(event.resource.group, event.resource.kind, namespace, name)


def _belongs(fact: LiveFact, key: ObjectId, uid: str, ledger: Ledger) -> bool:
    """Whether an object is this Application's: proven, or recorded where nothing proves another's."""
    return fact.owner == uid or (fact.owner is None and key in ledger.record.objects)
