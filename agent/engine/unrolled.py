"""Workloads that stand with another token, or none: taking one over restarts nothing while the Secrets that it names hold what they held.

Other tools write no token into pod templates, an earlier Application wrote one of its own, and writing another restarts the pods. So a
workload goes on with what it is met with, and the record knows the token that it would have: it is written when that is another one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.engine import pace, polling, rollouts
from agent.manifests import order, suffixes
from agent.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.engine.assembling import Assembled
    from agent.engine.context import Run
    from agent.engine.record import ObjectRecord
    from agent.manifests.kinds import Kinds
    from agent.manifests.layers import Desired
    from agent.values.ids import ObjectId
    from agent.values.tree import Object


@dataclass(frozen=True, slots=True)
class Standing:
    """What is met for the first time: fingerprints of what Secrets hold, by their ids, and the tokens of workloads, empty for none."""

    contents: Mapping[ObjectId, str]
    workloads: Mapping[ObjectId, str]


async def read(run: Run, met: Mapping[ObjectId, Object], objects: Mapping[ObjectId, Desired], kinds: Kinds) -> Standing:
    """What stands of Secrets and of workloads that name some, of objects that are `met`: whole, or their metadata alone.

    What cannot be read is as if it were another one.
    """
    wanted = [item for item in (objects[key] for key in met) if _is_secret(item) or _names_secret(item)]

    async def one(item: Desired) -> tuple[Desired, str | None]:
        live: Object | None = met[item.id]
        if "data" not in live and "spec" not in live:
            resource = kinds.served(item.api_version, item.id.kind)
            try:
                live = await polling.get(run, resource, item.id.namespace, item.id.name) if resource else None
            except AgentError:
                return item, None
        if live is None:
            return item, None
        if rollouts.rolls(item.id):
            return item, order.restart_token(live)
        content = item.ignored.resolving(item.tree).without(live)
        return item, await pace.beside(run, content, lambda: _print(run, item.id, content))

    found = await run.ports.tasks.all([one(item) for item in wanted])
    known = {item.id: text for item, text in found if text is not None}
    workloads = {key: text for key, text in known.items() if rollouts.rolls(key)}
    return Standing({key: text for key, text in known.items() if key not in workloads}, workloads)


def _is_secret(item: Desired) -> bool:
    return (item.id.group, item.id.kind) == ("", "Secret") and not item.hashed


def _names_secret(item: Desired) -> bool:
    return rollouts.rolls(item.id) and any(need.kind == "Secret" for need in order.depends_on(item.tree))


def _print(run: Run, key: ObjectId, tree: Object) -> str:
    return run.fingerprints.applied.tree(run.application_id.uid, f"content {key.key}", suffixes.content(tree))


@dataclass(slots=True)
class Stood:
    """Which objects stand as they were met, while a run assembles them: Secrets with what they held, workloads with their token or none."""

    run: Run
    standing: Standing
    secrets: set[ObjectId]

    @classmethod
    def of(cls, run: Run, standing: Standing) -> Stood:
        recorded = run.ledger.record.objects
        return cls(run, standing, {key for key, item in recorded.items() if item.stood and not rollouts.rolls(key)})

    def kept(self, item: Desired, token: str, contents: Mapping[ObjectId, str]) -> str | None:
        """What a workload goes on with, which may be nothing, instead of the token that it would have; None for the latter.

        It is decided once, and recorded before anything is sent: after that the Secrets hold what they are to hold.
        """
        if not rollouts.rolls(item.id):
            return None
        known = self.run.ledger.record.objects.get(item.id)
        if known is not None and (known.uid or known.roll or known.stood):
            return known.token if known.stood and known.roll == token else None
        there = self.standing.workloads.get(item.id)
        named = {need for need in order.depends_on(item.tree) if contents.get(need)}
        return there if there != token and named <= self.secrets else None

    def note(self, done: Assembled) -> Assembled:
        """An assembled Secret, and whether it holds what it held when it was met."""
        if done.id.kind != "Secret":
            return done
        known = self.run.ledger.record.objects.get(done.id)
        if self._holds_the_same(done, known):
            self.secrets.add(done.id)
            return replace(done, record=replace(done.record, stood=True))
        self.secrets.discard(done.id)
        return done

    def _holds_the_same(self, done: Assembled, known: ObjectRecord | None) -> bool:
        if known is not None and known.uid:
            return known.stood and known.applied == done.record.applied
        there = self.standing.contents.get(done.id)
        return there is not None and there == _print(self.run, done.id, done.tree)
