"""What must hold in every order: judged from what landed at the API server, not from what an agent says of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.values.tree import get, get_text
from handover_model import sources

if TYPE_CHECKING:
    from agent.engine.ports import AuditEntry
    from agent.engine.record import ApplicationRecord
    from agent.values.ids import ObjectId
    from handover_model.agents import Agent
    from handover_model.world import World

IN_FLIGHT_SECONDS = 1.0
"""For as long an epoch that was shown counts as shown: what is sent meanwhile counts as being in flight."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on its way: `commit` is the one that its agent announced for the object."""

    agent: Agent
    action: str
    key: ObjectId | None
    commit: int
    at: float
    step: int


@dataclass(slots=True)
class Journal:
    """Everything that landed, and what was wrong with it."""

    world: World
    landed_writes: list[Sent] = field(default_factory=list)
    trail: list[tuple[Agent, AuditEntry]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    newest: int = 0
    newest_of: dict[ObjectId, int] = field(default_factory=dict)
    takes: list[tuple[Agent, float, int, int]] = field(default_factory=list)
    """Who took the Application, when, at which step, and what Git's newest commit was then."""
    recorded_commit: int = 0
    epoch: int = 0

    def begin(self, other: Journal) -> None:
        """Begin with what was applied before."""
        self.newest, self.newest_of = other.newest, dict(other.newest_of)
        self.recorded_commit, self.epoch = other.recorded_commit, other.epoch

    def sending(self, agent: Agent, action: str, key: ObjectId | None) -> Sent:
        if not agent.mine:
            self.wrong.append(
                f"{agent.name} sends {action} {key.name if key else ''} though the application is not its own"
            )
        commit = agent.intents.get(key, 0) if key is not None else 0
        return Sent(agent, action, key, commit, self.world.loop.now, self.world.steps)

    def landed(self, sent: Sent, *, changed: bool) -> None:
        key = sent.key
        if key is None:
            return
        if not changed:
            return
        self.landed_writes.append(sent)
        what = f"{sent.agent.name}: {sent.action} {key.name} of commit {sent.commit}"
        if sent.commit < self.newest_of.get(key, 0):
            self.wrong.append(f"{what} lands after one of commit {self.newest_of[key]}")
        elif sent.commit < self.newest and not self._in_flight(sent):
            self.wrong.append(f"{what} lands though commit {self.newest} was applied")
        declared = key.name in self.world.commits[max(self.newest, sent.commit)]
        if sent.action == "delete" and declared and not self._in_flight(sent):
            self.wrong.append(f"{what} lands though commit {max(self.newest, sent.commit)} declares the object")
        self.newest_of[key] = max(self.newest_of.get(key, 0), sent.commit)
        self.newest = max(self.newest, sent.commit)

    def recorded(self, sent: Sent, record: ApplicationRecord) -> None:
        """The head of a record was stored."""
        epoch = getattr(record, "epoch", 0)
        if epoch != self.epoch:
            self.takes.append((sent.agent, self.world.loop.now, self.world.steps, self.world.head))
        if epoch < self.epoch:
            self.wrong.append(f"{sent.agent.name}: the epoch goes back from {self.epoch} to {epoch}")
        self.epoch = epoch
        commit = sources.number_of(record.revision) if record.revision else 0
        if commit < self.recorded_commit:
            self.wrong.append(f"{sent.agent.name}: records commit {commit} after {self.recorded_commit}")
        self.recorded_commit = commit
        self.newest = max(self.newest, commit)

    def _in_flight(self, sent: Sent) -> bool:
        """Whether it was sent before another agent took the Application, or so soon afterwards that its sender could not know."""
        later = [(at, step) for agent, at, step, _ in self.takes if agent is not sent.agent]
        return bool(later) and (sent.step <= later[-1][1] or sent.at < later[-1][0] + IN_FLIGHT_SECONDS)


def at_rest(world: World, *, needed: int) -> None:
    """Once all is quiet: one owner, whose word the status is, and the cluster as commit `needed` or a newer one says."""
    wrong = world.journal.wrong
    commit = max(world.journal.newest, needed)
    for name in sorted(set().union(*world.commits)):
        live, declared = world.live_value(name), world.commits[commit].get(name)
        if live != declared:
            wrong.append(f"{name} is {live} at the end, and {declared} in commit {commit}")
    owners = [agent for agent in world.agents.values() if not agent.gone and not agent.stopped and agent.mine]
    if len(owners) != 1:
        wrong.append(f"{len(owners)} owners at the end")
        return
    owner = owners[0]
    for agent in world.agents.values():
        if not agent.gone and bool(agent.counted) != (agent is owner):
            wrong.append(f"{agent.name} counts the application's objects, the owner is {owner.name}")
    _status(world, owner, commit)
    _trail(world)


def _status(world: World, owner: Agent, commit: int) -> None:
    status = world.application().get("status") or {}
    conditions = get(status, "conditions")
    ready = [get_text(each, "status") for each in conditions or [] if get(each, "type") == "Ready"]
    if ready != ["True"]:
        world.journal.wrong.append(f"Ready is {ready} at the end")
    if not get_text(status, "revision").endswith(sources.commit_of(commit)[:12]):
        world.journal.wrong.append(f"the status names {get_text(status, 'revision')} at the end, not commit {commit}")
    if "agent" in status and status["agent"] != owner.identity:
        world.journal.wrong.append(f"the status is the word of {status['agent']}, the owner is {owner.identity}")


def _trail(world: World) -> None:
    """Each intent has one outcome, each write an intent and an outcome, and what is called done was done."""
    open_intents: Counter[tuple[str, str, ObjectId]] = Counter()
    done: Counter[tuple[str, ObjectId]] = Counter()
    for agent, entry in world.journal.trail:
        if entry.object is not None and not agent.killed:
            open_intents[agent.name, entry.run, entry.object] += {"intent": 1, "outcome": -1, "event": 0}[entry.phase]
            if entry.phase == "outcome" and entry.result == "ok" and entry.action != "leave":
                done[agent.name, entry.object] += 1
    wrong = world.journal.wrong
    wrong += [
        f"{name}: {count} more intents than outcomes for {key.name}"
        for (name, _, key), count in open_intents.items()
        if count
    ]
    landed = Counter((sent.agent.name, sent.key) for sent in world.journal.landed_writes if not sent.agent.killed)
    for name, key in landed.keys() | done.keys():
        if landed[name, key] != done[name, key]:
            wrong.append(f"{name}: {done[name, key]} outcomes for {landed[name, key]} writes of {key.name}")
