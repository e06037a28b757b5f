"""From opened to finished: substitute, encode, stamp. The finished object is what the API request carries.

Nothing here keeps a value: finished objects live from here to the request and its outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.engine.ports import Resolved
from agent.engine.record import ObjectRecord
from agent.manifests import order, ownership, references, resolve
from agent.values import derive
from agent.values.errors import LimitError, StoreNotFoundError
from agent.values.tree import format_path, secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.manifests.layers import Desired
    from agent.manifests.ownership import Owner
    from agent.manifests.references import Reference
    from agent.values.errors import AgentError
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId
    from agent.values.secret import Secret
    from agent.values.tree import Object


@dataclass(frozen=True, slots=True)
class Finished:
    """An object ready for its API request, and what its record will say once it is applied."""

    id: ObjectId
    tree: Object
    record: ObjectRecord


@dataclass(frozen=True, slots=True)
class Finisher:
    """What finishing needs to know of the Application. `applied` fingerprints for the purpose `applied`."""

    owner: Owner
    owners: Fingerprinter
    applied: Fingerprinter

    def finish(
        self,
        desired: Desired,
        opened: Object,
        answers: Mapping[Reference, Resolved | AgentError],
        *,
        recipe: str,
        roll: str,
    ) -> Finished:
        """Finish one object whose sealed leaves are opened. Raises the AgentError that holds it."""
        key = desired.id
        wanted = references.find(opened)
        values: dict[Reference, Secret] = {}
        versions: dict[str, int] = {}
        size = 0
        for reference, paths in wanted.items():
            answer = answers[reference]
            if isinstance(answer, Resolved):
                size += derive.size(answer.secret) * len(paths)
                if size > derive.LONGEST:
                    raise LimitError(
                        "the values that the object takes are larger than an API server takes",
                        hint="name shorter values, or fewer",
                        object=key,
                        limit=derive.LONGEST,
                    )
                values[reference] = answer.secret
                versions[str(reference)] = answer.version
            elif not (reference.optional and isinstance(answer, StoreNotFoundError)):
                raise answer.with_facts(object=key, field=format_path(paths[0]))
        tree = resolve.finish(opened, values)
        order.wave_of(key, tree)
        if roll:
            tree = order.set_roll_token(tree, roll)
        tree = ownership.stamp(tree, key, self.owner, self.owners)
        record = ObjectRecord(
            desired.api_version,
            recipe=recipe,
            applied=self.applied.tree(self.owner.application.uid, key.key, tree),
            roll=roll,
            holds_secret=next(secrets(tree), None) is not None,
            stores=versions,
            files=desired.files,
        )
        return Finished(key, tree, record)

    def roll_token(self, desired: Desired, contents: Mapping[ObjectId, str]) -> str:
        """The token of a workload: a fingerprint of what the secret objects it names hold; empty where it names none."""
        if not rolls(desired.id):
            return ""
        parts = [
            f"{need.key}={contents[need]}" for need in sorted(order.depends_on(desired.tree)) if contents.get(need)
        ]
        return self.applied.text(self.owner.application.uid, *parts) if parts else ""


def rolls(key: ObjectId) -> bool:
    """Whether an object is a workload that a changed secret rolls out."""
    return order.pod_template_path(key.group, key.kind) is not None


def applied_as(finished: Finished, *, uid: str, projection: str) -> ObjectRecord:
    """The record of an object that was applied."""
    return replace(finished.record, uid=uid, projection=projection)
