"""What a hand-over must not do, found in the calls that the API server wrote down and in what each commit declares. Pure."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agent.values.tree import get

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agent.values.tree import Object
    from bench.handover.calls import Call

Declared: TypeAlias = "Mapping[str, int]"
"""What a commit declares: `<resource>/<name>` → the number of the commit that last changed it."""
Commits: TypeAlias = "Sequence[Declared]"
"""By number; number 0 is the empty commit before the first."""

Kind: TypeAlias = Literal[
    "older write", "wrong delete", "lost commit", "owner", "status", "audit", "record", "lease", "slow", "stuck"
]


@dataclass(frozen=True, slots=True)
class Fault:
    """`where` is a namespace, with the object. `at` is in Unix seconds, 0 for what is there at the end."""

    kind: Kind
    where: str
    text: str
    at: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.text}"


def is_write(call: Call) -> bool:
    """Whether a call of an agent stored an object of an Application."""
    return bool(call.agent and call.succeeded and call.number and call.verb in {"create", "update", "patch"})


def is_delete(call: Call) -> bool:
    """Whether a call of an agent deleted an object."""
    return bool(call.agent and call.succeeded and call.verb == "delete")


def is_status(call: Call) -> bool:
    """Whether a call of an agent wrote the status of an Application."""
    return bool(call.agent and call.succeeded and call.resource == "applications/status")


def writers(calls: Iterable[Call]) -> dict[str, str]:
    """Namespace → the agent that wrote there last: an object, a deletion, a status."""
    return {call.namespace: call.agent for call in calls if is_write(call) or is_delete(call) or is_status(call)}


class Applied:
    """Which commit was the newest that any agent had applied to any object of a namespace, by when."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._times: list[float] = []
        self._numbers: list[int] = []
        newest = 0
        for call in sorted((call for call in calls if is_write(call)), key=lambda call: call.completed):
            if call.number > newest:
                newest = call.number
                self._times.append(call.completed)
                self._numbers.append(newest)

    @property
    def newest(self) -> int:
        return self._numbers[-1] if self._numbers else 0

    def at(self, time: float) -> int:
        """The newest commit of which a write was answered before `time`; 0 for none."""
        index = bisect.bisect_left(self._times, time)
        return self._numbers[index - 1] if index else 0


def judge(calls: Sequence[Call], commits: Mapping[str, Commits], *, since: float = 0.0) -> list[Fault]:
    """Older writes and wrong deletes that were received `since` then, of the namespaces that have `commits`."""
    faults: list[Fault] = []
    for namespace, declared in commits.items():
        mine = [call for call in calls if call.namespace == namespace]
        applied = Applied(mine)
        objects: defaultdict[str, list[Call]] = defaultdict(list)
        for call in mine:
            if call.succeeded and "/" not in call.resource and call.verb in {"create", "update", "patch", "delete"}:
                objects[call.object].append(call)
        for history in objects.values():
            faults += _judge_object(namespace, in_order(history), declared, applied)
    return sorted((fault for fault in faults if fault.at >= since), key=lambda fault: fault.at)


def in_order(history: Iterable[Call]) -> list[Call]:
    """The calls that changed one object as etcd took them: by resourceVersion, each deletion after the last write of its uid.

    A write that left the resourceVersion as it was changed nothing, and is left out.
    """
    lives: dict[str, list[Call]] = {}
    ends: dict[str, Call] = {}
    for call in history:
        if call.verb == "delete":
            ends.setdefault(call.uid, call)
        else:
            lives.setdefault(call.uid, []).append(call)
    ordered: list[Call] = []
    for uid in sorted(lives, key=lambda uid: min(call.version for call in lives[uid])):
        known = 0
        for call in sorted(lives[uid], key=lambda call: (call.version, call.completed)):
            if call.version > known:
                ordered.append(call)
            known = call.version
        if uid in ends:
            ordered.append(ends.pop(uid))
    for call in sorted(ends.values(), key=lambda call: call.completed):  # of lives that began before the log
        place = next((index for index, each in enumerate(ordered) if each.completed > call.completed), len(ordered))
        ordered.insert(place, call)
    return ordered


def _judge_object(namespace: str, history: Iterable[Call], commits: Commits, applied: Applied) -> Iterator[Fault]:
    newest, gone = 0, False
    for call in history:
        now = min(applied.at(call.received), len(commits) - 1)
        declared = commits[now].get(call.object, 0)
        where = f"{namespace}/{call.object}"
        if is_delete(call):
            if declared:
                text = f"{call.agent} deleted it while commit {now} was applied, which declares it"
                yield Fault("wrong delete", where, text, call.received)
            gone = not declared
        elif is_write(call):
            if call.number < newest:
                text = f"{call.agent} wrote it as of commit {call.number} after commit {newest}"
                yield Fault("older write", where, text, call.received)
            elif gone and not declared and call.number <= now:
                text = f"{call.agent} wrote it as of commit {call.number} after commit {now} had taken it away"
                yield Fault("older write", where, text, call.received)
            newest, gone = max(newest, call.number), False


def late_writes(calls: Sequence[Call], commits: Mapping[str, Commits], *, since: float = 0.0) -> int:
    """Writes of what another commit had replaced, though not at that object yet: no fault, if few.

    They are what an earlier owner had in flight, and the owner puts them right in the run that it races with.
    """
    found = 0
    for namespace, declared in commits.items():
        mine = [call for call in calls if call.namespace == namespace]
        applied = Applied(mine)
        for call in mine:
            if is_write(call) and call.received >= since:
                now = min(applied.at(call.received), len(declared) - 1)
                found += call.number <= now and declared[now].get(call.object, 0) != call.number
    return found


def lost(namespace: str, live: Declared, declared: Declared) -> list[Fault]:
    """How live objects differ from the newest commit."""
    differences = [
        *((name, "is not there") for name in declared.keys() - live.keys()),
        *((name, "is there still") for name in live.keys() - declared.keys()),
        *(
            (name, f"stands as of commit {live[name]} instead of {declared[name]}")
            for name in live.keys() & declared.keys()
            if live[name] != declared[name]
        ),
    ]
    return [Fault("lost commit", f"{namespace}/{name}", text) for name, text in sorted(differences)]


def owners(namespaces: Iterable[str], holding: Mapping[str, Iterable[str]]) -> tuple[dict[str, str], list[Fault]]:
    """Namespace → the one agent that shows it in its metrics. `holding` is what each running agent shows."""
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for agent, held in holding.items():
        for namespace in held:
            holders[namespace].append(agent)
    faults = [
        Fault("owner", namespace, f"shown by {' and '.join(sorted(holders[namespace])) or 'no agent'}")
        for namespace in namespaces
        if len(holders[namespace]) != 1
    ]
    return {namespace: found[0] for namespace, found in holders.items() if len(found) == 1}, faults


def other_writers(calls: Iterable[Call], owner: Mapping[str, str], *, since: float) -> list[Fault]:
    """Writes and deletes that were received `since` then from another agent than the owner of their namespace."""
    others = {
        (call.namespace, call.agent)
        for call in calls
        if call.received >= since
        and (is_write(call) or is_delete(call) or is_status(call))
        and call.namespace in owner
        and call.agent != owner[call.namespace]
    }
    return [
        Fault("owner", namespace, f"written by {agent}, is {owner[namespace]}'s") for namespace, agent in sorted(others)
    ]


def stale_status(namespace: str, status: Mapping[str, Any], commit: str, *, owner: str = "") -> list[Fault]:
    """What a status says that is not so. `commit` is the newest one's hash; with `owner`, the fields about the agent are judged as well."""
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    revision = str(status.get("checkedRevision") or status.get("revision") or "")
    said: list[str] = []
    if ready.get("status") != "True":
        said.append(f"Ready is {ready.get('status', 'missing')}, {ready.get('reason', '')}")
    if f"@{commit[:12]}" not in revision:
        said.append(f"at {revision or 'no revision'}, not at {commit[:12]}")
    if owner:
        if status.get("agent") != owner:
            said.append(f"by agent {status.get('agent', 'missing')}, not {owner}")
        if not isinstance(status.get("epoch"), int) or not status.get("since"):
            said.append("without epoch and since")
    return [Fault("status", namespace, text) for text in said]


def says(status: Object, kind: str) -> bool:
    """Whether a condition of a status is True."""
    conditions = get(status, "conditions")
    return isinstance(conditions, list) and any(
        get(each, "type") == kind and get(each, "status") == "True" for each in conditions
    )


def taken_over(calls: Iterable[Call], lost_by: Mapping[str, str], *, since: float) -> dict[str, float]:
    """Namespace → seconds from `since` to the first write, delete or status of another agent than `lost_by` has it."""
    found: dict[str, float] = {}
    for call in sorted(calls, key=lambda call: call.completed):
        ours = is_write(call) or is_delete(call) or is_status(call)
        before = lost_by.get(call.namespace)
        if ours and before is not None and call.agent != before and call.received >= since:
            _ = found.setdefault(call.namespace, call.completed - since)
    return found
