"""What is known of live objects: facts by Application, found by object and by kind, and what each Application's record says of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.engine.live import Departed, LiveFact
    from agent.engine.record import ObjectRecord
    from agent.values.ids import ClusterId, ObjectId

    Place: TypeAlias = tuple[ClusterId, ObjectId]
    Kind: TypeAlias = tuple[ClusterId, str, str]

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Held:
    """One Application: the cluster that its objects are in, what is recorded of them, and what is known of them."""

    cluster: ClusterId
    recorded: Mapping[ObjectId, ObjectRecord]
    live: dict[ObjectId, LiveFact] = field(default_factory=dict["ObjectId", "LiveFact"])
    departed: dict[ObjectId, Departed] = field(default_factory=dict["ObjectId", "Departed"])


class LiveFacts:
    """Facts and records are found in the cluster that they are of. What belongs to no Application held here waits as unclaimed."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._holders: dict[Place, dict[str, None]] = {}
        self._recorders: dict[Place, dict[str, None]] = {}
        self._kinds: dict[Kind, dict[ObjectId, None]] = {}
        self._unclaimed: dict[Place, LiveFact] = {}
        self._unclaimed_of: dict[str, dict[Place, None]] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._held

    def adopt(self, uid: str, cluster: ClusterId, recorded: Mapping[ObjectId, ObjectRecord]) -> None:
        """Hold an Application. Unclaimed facts become its own: proven so, or recorded where nothing proves another's."""
        self._held[uid] = _Held(cluster, {})
        self.record(uid, recorded)
        proven = [place for place in self._unclaimed_of.get(uid, {}) if place[0] == cluster]
        for place in (*proven, *((cluster, key) for key in recorded)):
            fact = self._unclaimed.get(place)
            if fact is not None and fact.owner in {uid, None}:
                self.claim(place)
                self.put(uid, place[1], fact)

    def release(self, uid: str) -> None:
        """Hold an Application no more: its facts are unclaimed."""
        held = self._held.get(uid)
        if held is None:
            return
        for key, fact in list(held.live.items()):
            self.drop(uid, key)
            self.leave((held.cluster, key), fact)
        self.record(uid, {})
        del self._held[uid]

    def record(self, uid: str, recorded: Mapping[ObjectId, ObjectRecord]) -> None:
        """What is recorded of an Application's objects from now on."""
        held = self._held[uid]
        for key in held.recorded.keys() - recorded.keys():
            _remove(self._recorders, (held.cluster, key), uid)
            held.departed.pop(key, None)
        for key in recorded.keys() - held.recorded.keys():
            self._recorders.setdefault((held.cluster, key), {})[uid] = None
        held.recorded = recorded

    def recorded(self, uid: str, key: ObjectId) -> ObjectRecord | None:
        """What is recorded of an object of an Application."""
        held = self._held.get(uid)
        return held.recorded.get(key) if held is not None else None

    def recorders(self, place: Place) -> Collection[str]:
        """The Applications whose record has an object."""
        return self._recorders.get(place, {}).keys()

    def holds_secret(self, place: Place) -> bool:
        """Whether any record says that an object holds a secret."""
        return any(self._held[uid].recorded[place[1]].holds_secret for uid in self.recorders(place))

    def get(self, uid: str, key: ObjectId) -> LiveFact | None:
        """What is known of an object of an Application."""
        held = self._held.get(uid)
        return held.live.get(key) if held is not None else None

    def snapshot(self, uid: str) -> Mapping[ObjectId, LiveFact]:
        """What is known of an Application's objects now, as it stays."""
        held = self._held.get(uid)
        return MappingProxyType(dict(held.live) if held is not None else {})

    def departed(self, uid: str) -> Mapping[ObjectId, Departed]:
        """Recorded objects of an Application that were seen to go, as it stays."""
        held = self._held.get(uid)
        return MappingProxyType(dict(held.departed) if held is not None else {})

    def departure(self, uid: str, key: ObjectId) -> Departed | None:
        """How a recorded object was seen to go."""
        held = self._held.get(uid)
        return held.departed.get(key) if held is not None else None

    def depart(self, uid: str, key: ObjectId, departed: Departed) -> None:
        """A recorded object was seen to go."""
        held = self._held.get(uid)
        if held is not None and key in held.recorded:
            held.departed[key] = departed

    def put(self, uid: str, key: ObjectId, fact: LiveFact) -> None:
        """Know this of an object of an Application."""
        held = self._held[uid]
        held.live[key] = fact
        held.departed.pop(key, None)
        self._holders.setdefault((held.cluster, key), {})[uid] = None
        self._kinds.setdefault((held.cluster, key.group, key.kind), {})[key] = None

    def drop(self, uid: str, key: ObjectId) -> bool:
        """Know of no such object of an Application any more; whether one was known."""
        held = self._held.get(uid)
        if held is None or held.live.pop(key, None) is None:
            return False
        place = (held.cluster, key)
        _remove(self._holders, place, uid)
        if place not in self._holders:
            _remove(self._kinds, (held.cluster, key.group, key.kind), key)
        return True

    def holders(self, place: Place) -> Collection[str]:
        """The Applications of which an object is known."""
        return self._holders.get(place, {}).keys()

    def of_kind(self, kind: Kind) -> Collection[ObjectId]:
        """The known objects of a kind, whatever Application they are of."""
        return self._kinds.get(kind, {}).keys()

    def leave(self, place: Place, fact: LiveFact) -> None:
        """Keep a fact for an Application that is not held yet."""
        self.claim(place)
        self._unclaimed[place] = replace(fact, object=None)
        if fact.owner is not None:
            self._unclaimed_of.setdefault(fact.owner, {})[place] = None

    def claim(self, place: Place) -> None:
        """Wait for an Application with this object no more."""
        fact = self._unclaimed.pop(place, None)
        if fact is not None and fact.owner is not None:
            _remove(self._unclaimed_of, fact.owner, place)


def _remove(index: dict[K, dict[V, None]], key: K, value: V) -> None:
    """From an index that keeps no empty entry."""
    found = index.get(key)
    if found is not None:
        found.pop(value, None)
        if not found:
            del index[key]
