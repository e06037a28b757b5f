"""Rollouts: a workload restarts when what a Secret that it names holds changes. The token in its pod template is a fingerprint of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine.causes import Cause, Trigger
from agent.manifests import order
from agent.manifests.ownership import is_apply_if_absent, is_reconcile_disabled

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.engine.context import Run
    from agent.engine.record import ObjectRecord
    from agent.manifests.layers import Desired
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId


def touched(run: Run, objects: Mapping[ObjectId, Desired], stale: Mapping[ObjectId, Cause]) -> dict[ObjectId, Cause]:
    """The stale objects, and the workloads that a Secret rolls out: whether its content changed shows when it is assembled.

    A workload whose rollout failed or was held when its Secret was applied is still to be rolled, though nothing else of it is stale.
    """
    causes: dict[ObjectId, Cause] = dict(stale)
    recorded = run.ledger.record.objects
    heals = run.triggers <= {Trigger.LIVE}
    causes.update(dict.fromkeys((key for key in of(objects, stale) if key not in causes), Cause.ROLL))
    contents = secret_contents(recorded, objects)
    for key, item in () if heals else objects.items():
        known = recorded.get(key)
        if key not in causes and known is not None and known.owned_digest and may_roll(item):
            token = token_of(item, contents, run.fingerprints.applied, run.application_id.uid)
            if token and token != known.roll:
                causes[key] = Cause.ROLL
    return causes


def of(objects: Mapping[ObjectId, Desired], changed: Collection[ObjectId]) -> dict[ObjectId, ObjectId]:
    """The workloads that name one of the changed Secrets, with the first that they name."""
    secrets = {key for key in changed if key.kind == "Secret" and not _is_hashed(key, objects)}
    found: dict[ObjectId, ObjectId] = {}
    for key, item in objects.items() if secrets else ():
        need = (
            next((each for each in sorted(order.depends_on(item.tree)) if each in secrets), None)
            if may_roll(item)
            else None
        )
        if need is not None:
            found[key] = need
    return found


def may_roll(item: Desired) -> bool:
    """Whether an object is a workload that a changed Secret rolls out, and does not ask to be left alone."""
    return rolls(item.id) and not is_reconcile_disabled(item.tree) and not is_apply_if_absent(item.tree)


def rolls(key: ObjectId) -> bool:
    """Whether an object is of a kind that a changed Secret rolls out."""
    return order.pod_template_path(key.group, key.kind) is not None


def secret_contents(
    recorded: Mapping[ObjectId, ObjectRecord], objects: Mapping[ObjectId, Desired]
) -> dict[ObjectId, str]:
    """What the recorded Secrets hold, as fingerprints: without those whose name rolls what names them."""
    return {
        key: item.applied for key, item in recorded.items() if key.kind == "Secret" and not _is_hashed(key, objects)
    }


def _is_hashed(key: ObjectId, objects: Mapping[ObjectId, Desired]) -> bool:
    return key in objects and objects[key].hashed


def token_of(item: Desired, contents: Mapping[ObjectId, str], applied: Fingerprinter, application: str) -> str:
    """The token of a workload: a fingerprint of what the Secrets that it names hold; empty where it names none."""
    if not rolls(item.id):
        return ""
    parts = [f"{need.key}={contents[need]}" for need in sorted(order.depends_on(item.tree)) if contents.get(need)]
    return applied.text(application, *parts) if parts else ""
