"""Applying a plan: wave by wave, each wave at once, intent before and outcome after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from agent.manifests import diff, fields, health, order, ownership
from agent.reconcile.finish import applied_as
from agent.reconcile.live import LiveFact
from agent.reconcile.ports import AuditEntry
from agent.values.errors import (
    AgentError,
    ClusterUnavailableError,
    HeldError,
    LeaseLostError,
    OwnershipConflictError,
    StaleObjectError,
    UnknownKindError,
)
from agent.values.fingerprint import shown
from agent.values.tree import format_path, get_object, secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.manifests.fields import Writer
    from agent.manifests.kinds import Kinds, Resource
    from agent.reconcile.context import Run
    from agent.reconcile.plan import Plan, Step
    from agent.reconcile.record import ObjectRecord
    from agent.values.errors import Fact
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_ATTEMPTS = 4
_ESTABLISHED_SECONDS = 60.0
_HEALTHY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one step or prune: an error, or the fact and record of the object as it stands now."""

    id: ObjectId
    action: str
    error: AgentError | None = None
    fact: LiveFact | None = None
    record: ObjectRecord | None = None
    fields: tuple[str, ...] = ()
    writer: Writer | None = None


async def apply(run: Run, plan: Plan, live: Mapping[ObjectId, LiveFact]) -> list[Result]:
    """Apply the waves of a plan. A failed step is a result; AuditError and LeaseLostError end the run."""
    results: dict[ObjectId, Result] = {}
    kinds = await run.ports.cluster.kinds()
    for index, wave in enumerate(plan.waves):
        existing = await _existing(run, wave, kinds)
        await run.ports.audit.write([_entry(run, step, "intent") for step in wave])
        outage = _Outage()

        async def one(
            step: Step,
            kinds: Kinds = kinds,
            existing: Mapping[ObjectId, Object | AgentError] = existing,
            outage: _Outage = outage,
        ) -> Result:
            try:
                outage.check()
                _check_needs(step, results)
                return await _apply_step(run, step, kinds, existing.get(step.finished.id), live.get(step.finished.id))
            except LeaseLostError:
                raise
            except AgentError as error:
                outage.note(error)
                return Result(step.finished.id, step.action, error.with_facts(object=step.finished.id))

        done = await run.ports.tasks.all([one(step) for step in wave])
        results.update({result.id: result for result in done})
        await run.ports.audit.write(
            [_entry(run, step, "outcome", result) for step, result in zip(wave, done, strict=True)]
        )
        if index + 1 < len(plan.waves):
            results.update(await _settle(run, kinds, wave, results))
        if any(step.finished.id.kind == "CustomResourceDefinition" for step in wave):
            kinds = await run.ports.cluster.kinds(fresh=True)
    return list(results.values())


class _Outage:
    """Once the apiserver is away, the rest of a wave need not each find out."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: AgentError | None = None

    def check(self) -> None:
        if self.error is not None:
            raise ClusterUnavailableError("not tried, since the apiserver does not answer")

    def note(self, error: AgentError) -> None:
        if isinstance(error, ClusterUnavailableError):
            self.error = error


def _check_needs(step: Step, results: Mapping[ObjectId, Result]) -> None:
    for need in sorted(order.depends_on(step.finished.tree)):
        if need in results and results[need].error is not None:
            raise HeldError("waits for an object that failed", hint="mend that object first", needs=need)


async def _existing(run: Run, wave: Sequence[Step], kinds: Kinds) -> dict[ObjectId, Object | AgentError]:
    """Metadata of what already stands where something is applied for the first time: one list per kind and namespace."""
    groups: dict[tuple[Resource, str], list[ObjectId]] = {}
    for step in wave:
        key = step.finished.id
        resource = kinds.served(step.finished.record.api_version, key.kind)
        if step.cause == "new" and resource is not None:
            groups.setdefault((resource, key.namespace), []).append(key)

    async def look(
        resource: Resource, namespace: str, wanted: Sequence[ObjectId]
    ) -> dict[ObjectId, Object | AgentError]:
        try:
            if len(wanted) <= 2:
                found = [await run.ports.cluster.get(resource, namespace, key.name) for key in wanted]
                return {key: item for key, item in zip(wanted, found, strict=True) if item is not None}
            names = {key.name: key for key in wanted}
            listed = await run.ports.cluster.list_metadata(resource, namespace=namespace)
            by_name = {str(get_object(item, "metadata").get("name")): item for item in listed}
            return {names[name]: item for name, item in by_name.items() if name in names}
        except AgentError as error:
            return dict.fromkeys(wanted, error)

    found = await run.ports.tasks.all([look(*group, wanted) for group, wanted in groups.items()])
    return {key: item for part in found for key, item in part.items()}


async def _apply_step(
    run: Run, step: Step, kinds: Kinds, existing: Object | AgentError | None, fact: LiveFact | None
) -> Result:
    key = step.finished.id
    resource = kinds.served(step.finished.record.api_version, key.kind)
    if resource is None:
        raise UnknownKindError(
            "the cluster does not serve this kind at this version", hint="apply its CRD first", object=key
        )
    if isinstance(existing, AgentError):
        raise existing
    if fact is None and step.cause != "new":
        existing = await run.ports.cluster.get(resource, key.namespace, key.name)
    if existing is not None:
        fact = await _adopt(run, resource, key, existing)
    for _ in range(_ATTEMPTS):
        if (
            fact is not None
            and fact.owner
            and fact.owner != run.application_id.uid
            and fact.owner in run.known_applications
        ):
            raise OwnershipConflictError(
                "another Application owns this object",
                hint="remove it from one of them, or annotate the live object with signet-gitops.dev/new-owner",
                object=key,
                owner=run.known_applications[fact.owner],
            )
        try:
            answer = await run.ports.cluster.apply(
                resource,
                _guarded(step.finished.tree, fact),
                identity=run.grants.identity,
                force=run.application.spec.sync.force,
            )
        except StaleObjectError:
            newer = await run.ports.cluster.get(resource, key.namespace, key.name)
            fact = run.observer.observe(newer) if newer is not None else None
            continue
        now = run.observer.observe(answer)
        record = applied_as(step.finished, uid=now.uid, projection=now.projection)
        done = Result(key, step.action, None, now, record)
        return _explain(done, fact.object, answer) if fact is not None and step.cause == "live" else done
    raise StaleObjectError("the object keeps changing while it is applied", hint="see who else writes it", object=key)


def _explain(done: Result, before: Object | None, after: Object) -> Result:
    """What a heal put right, and whose doing it was."""
    changed = [change.path for change in diff.compare(before, after)]
    writer = fields.last_writer(before, changed, besides=ownership.FIELD_MANAGER) if before else None
    return replace(done, fields=tuple(format_path(path) for path in changed), writer=writer)


async def _adopt(run: Run, resource: Resource, key: ObjectId, existing: Object) -> LiveFact:
    """Take over the fields of known tools, so that a field deleted in Git is deleted in the cluster."""
    owner = ownership.prove(existing, key, run.observer.installation, run.observer.owners)
    if owner in {None, run.application_id.uid}:
        existing = await _take_fields(run, resource, key, existing)
    elif ownership.new_owner(existing) == (run.application_id.namespace, run.application_id.name):
        owner = None
    fact = run.observer.observe(existing)
    return LiveFact(fact.uid, fact.resource_version, owner, "", fact.health)


async def _take_fields(run: Run, resource: Resource, key: ObjectId, existing: Object) -> Object:
    """Controllers write status at any moment, so a patch that lost the race is made again from what stands there now."""
    for _ in range(_ATTEMPTS):
        patch = fields.adoption(existing, ownership.FIELD_MANAGER)
        if not patch:
            return existing
        try:
            return await run.ports.cluster.json_patch(
                resource, key.namespace, key.name, patch, identity=run.grants.identity
            )
        except StaleObjectError:
            newer = await run.ports.cluster.get(resource, key.namespace, key.name)
            if newer is None:
                return existing
            existing = newer
    raise StaleObjectError("the object keeps changing while it is adopted", hint="see who else writes it", object=key)


def _guarded(tree: Object, fact: LiveFact | None) -> Object:
    """The object with uid and resourceVersion as preconditions, where they are known."""
    if fact is None:
        return tree
    metadata = {**get_object(tree, "metadata"), "uid": fact.uid, "resourceVersion": fact.resource_version}
    return {**tree, "metadata": metadata}


async def _settle(
    run: Run, kinds: Kinds, wave: Sequence[Step], results: Mapping[ObjectId, Result]
) -> dict[ObjectId, Result]:
    """Wait for what the next wave needs: definitions established, namespaces active, and healthy objects where waves are explicit."""
    waiting: dict[ObjectId, float] = {}
    for step in wave:
        key = step.finished.id
        if results[key].error is None:
            if order.wave_of(key, step.finished.tree) == order.DEFINITIONS:
                waiting[key] = _ESTABLISHED_SECONDS
            elif order.is_explicit(step.finished.tree):
                waiting[key] = _HEALTHY_SECONDS
    late: dict[ObjectId, Result] = {}
    start = run.ports.clock.monotonic()
    pause = 0.1
    while waiting:
        for key, limit in list(waiting.items()):
            resource = kinds.of(key)
            live = await run.ports.cluster.get(resource, key.namespace, key.name) if resource else None
            if live is not None and health.compute(live).status == "Healthy":
                del waiting[key]
            elif run.ports.clock.monotonic() - start > limit:
                del waiting[key]
                late[key] = Result(
                    key, "wait", HeldError("not ready in time for the next wave", object=key, seconds=int(limit))
                )
        if waiting:
            await run.ports.tasks.sleep(pause)
            pause = min(pause * 2, 2.0)
    return late


async def prune(run: Run, plan: Plan, live: Mapping[ObjectId, LiveFact]) -> list[Result]:
    """Delete what the plan lets go. What is gone already, or proven not ours any more, is forgotten."""
    if not plan.pruned:
        return []
    kinds = await run.ports.cluster.kinds()
    await run.ports.audit.write([_prune_entry(run, key, "intent") for key in plan.pruned])

    async def one(key: ObjectId) -> Result:
        try:
            await _delete(run, kinds, key, live.get(key))
        except LeaseLostError:
            raise
        except AgentError as error:
            return Result(key, "prune", error.with_facts(object=key))
        return Result(key, "prune")

    results: list[Result] = []
    for wave in reversed(order.waves({key: {} for key in plan.pruned})):
        results += await run.ports.tasks.all([one(key) for key in wave])
    await run.ports.audit.write([_prune_entry(run, result.id, "outcome", result) for result in results])
    return results


async def _delete(run: Run, kinds: Kinds, key: ObjectId, fact: LiveFact | None) -> None:
    resource = kinds.of(key)
    if resource is None:
        raise UnknownKindError(
            "the cluster does not serve this kind now, which is not proof that the object is gone", object=key
        )
    if fact is None:
        found = await run.ports.cluster.get(resource, key.namespace, key.name)
        fact = run.observer.observe(found) if found is not None else None
    for _ in range(_ATTEMPTS):
        if fact is None or fact.owner != run.application_id.uid:
            return
        try:
            await run.ports.cluster.delete(
                resource,
                key.namespace,
                key.name,
                uid=fact.uid,
                resource_version=fact.resource_version,
                identity=run.grants.identity,
            )
        except StaleObjectError:
            newer = await run.ports.cluster.get(resource, key.namespace, key.name)
            fact = run.observer.observe(newer) if newer is not None else None
        else:
            return
    raise StaleObjectError("the object keeps changing while it is deleted", object=key)


def _entry(run: Run, step: Step, phase: Literal["intent", "outcome"], result: Result | None = None) -> AuditEntry:
    finished = step.finished
    uid = run.application_id.uid
    return AuditEntry(
        phase=phase,
        run=run.id,
        cause=step.cause,
        application=run.application_id,
        revision=run.revision,
        action=step.action,
        object=finished.id,
        fields=(result.fields if result else ()) or step.fields,
        fingerprints={
            format_path(path): shown(run.fingerprints.leaves.leaf(uid, finished.id.key, path, secret))
            for path, secret in secrets(finished.tree)
        },
        secrets=tuple(sorted({label for _, secret in secrets(finished.tree) for label in secret.labels})),
        result="" if result is None else result.error.reason if result.error else "ok",
        facts=_facts(result) if result else None,
    )


def _facts(result: Result) -> Mapping[str, Fact] | None:
    if result.error is not None:
        return result.error.facts
    if result.writer is not None:
        return {"manager": result.writer.manager, "operation": result.writer.operation, "written": result.writer.time}
    return None


def _prune_entry(
    run: Run, key: ObjectId, phase: Literal["intent", "outcome"], result: Result | None = None
) -> AuditEntry:
    return AuditEntry(
        phase=phase,
        run=run.id,
        cause="git",
        application=run.application_id,
        revision=run.revision,
        action="prune",
        object=key,
        result="" if result is None else result.error.reason if result.error else "ok",
    )
