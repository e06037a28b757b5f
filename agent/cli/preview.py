"""What the agent's next run would do with a work tree: the engine's own plan, made of what a user may read.

A user has no key of the installation. So a difference is what a server-side dry run answers, and ownership is believed where it cannot be
proven. What the user may not read is named in `unknown`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.adapters.kubernetes import records
from agent.adapters.kubernetes.resources import APPLICATION, SERVICE_ACCOUNT
from agent.api import names
from agent.controllers.tasks import AsyncTasks
from agent.engine import adopting, endings, plan, prune, rollouts
from agent.engine.causes import Cause
from agent.engine.finishing import Finished
from agent.engine.live import LiveFact
from agent.engine.record import ApplicationRecord, ObjectRecord, RecordDamagedError, unverified
from agent.manifests import health, ownership
from agent.values.dataclass import dataclass, field
from agent.values.errors import ForbiddenError, NotFoundError
from agent.values.ids import ApplicationId, ObjectId
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.api.application import Application
    from agent.cli.comparison import Difference
    from agent.desired.compiler import DesiredState
    from agent.engine.changes import ChangeSet
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

_NOT_FINISHED = "preview"


@dataclass(frozen=True, slots=True)
class Applied:
    """What the cluster has of an Application: `uid` is empty where it has none, or where none was named.

    `live` are the objects that carry its label, `kinds` the groups and kinds of which all are known, `applications` every Application's
    name by uid, `annotations` its own.
    """

    uid: str = ""
    annotations: Mapping[str, object] = field(default_factory=dict[str, object])
    record: ApplicationRecord = field(default_factory=ApplicationRecord)
    live: Mapping[ObjectId, LiveFact] = field(default_factory=dict["ObjectId", "LiveFact"])
    kinds: frozenset[tuple[str, str]] = frozenset()
    applications: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: tuple[str, ...] = ()


async def look(cluster: Cluster, application: Application, namespace: str, agent_namespace: str) -> Applied:
    """`namespace` is where its objects go, `agent_namespace` where the agent keeps its records. Raises ClusterError."""
    try:
        found = await cluster.get(APPLICATION, application.id.namespace, application.id.name)
    except NotFoundError:
        return Applied(unknown=("the cluster does not serve Applications yet",))
    except ForbiddenError:
        return Applied(
            unknown=("you may not read the Application, so what it owns, prunes and conflicts with is not known",)
        )
    if found is None:
        return Applied(unknown=("the cluster has no such Application yet",))
    uid = get_text(found, "metadata", "uid")
    identity = ApplicationId(application.id.namespace, application.id.name, uid)
    unknown: list[str] = []
    live, kinds = await _objects(cluster, identity, namespace, unknown)
    return Applied(
        uid,
        get_object(found, "metadata", "annotations"),
        await _record(cluster, identity, agent_namespace, live, unknown),
        live,
        kinds,
        await _applications(cluster, identity, unknown),
        tuple(unknown),
    )


async def missing_account(cluster: Cluster, application: Application, namespace: str) -> str:
    """A warning where the ServiceAccount does not exist that the agent acts as, and without which it applies nothing."""
    account = application.spec.destination.service_account
    try:
        found = await cluster.get_metadata(SERVICE_ACCOUNT, namespace, account)
    except ForbiddenError:
        return ""
    if found is not None:
        return ""
    return (
        f"the ServiceAccount {namespace}/{account} does not exist, and the agent applies nothing without it:"
        " create it, as deploy/tenant.yaml does"
    )


def changes(state: DesiredState, found: Sequence[Difference], applied: Applied, *, prunes: bool) -> ChangeSet:
    """What the next run would do. `found` are the objects as far as they could be compared."""
    recorded = applied.record.objects
    causes: dict[ObjectId, Cause] = {each.id: cause for each in found if (cause := _cause(each, applied)) is not None}
    by_id = {each.id: each for each in found}
    rolled = {
        key: need
        for key, need in rollouts.of(state.objects, causes).items()
        if key not in causes and key in by_id and (not applied.uid or key in recorded)
    }
    causes.update(dict.fromkeys(rolled, Cause.ROLL))
    met = {key: each.live for key, each in by_id.items() if each.live is not None and causes.get(key) == Cause.NEW}
    name, known = applied.applications.get(applied.uid, "/"), applied.applications
    owned = (
        (key, adopting.refusal(key, live, ownership.claimed(live), application=applied.uid, name=name, known=known))
        for key, live in met.items()
    )
    basis = plan.Basis(
        applied.record,
        applied.uid,
        prune.Policy(prunes and bool(applied.uid), str(applied.annotations.get(names.ANNOTATION_CONFIRM_PRUNE, ""))),
        live=applied.live,
        observed=applied.kinds,
        met=met,
        refusals={
            **{key: error for key, error in owned if error is not None},
            **{key: endings.lost(key) for key in causes if _is_lost(key, applied)},
        },
    )
    finished = {
        key: Finished(key, by_id[key].tree, ObjectRecord(state.objects[key].api_version, applied=_NOT_FINISHED))
        for key in causes
    }
    return plan.compute(state, finished, causes, basis)


def finished(found: Sequence[Difference], applied: Applied) -> tuple[str, ...]:
    """What is said of objects that ran to their end and are gone: the digest of what ran is keyed, so a user cannot compare it."""
    gone = [each.id for each in found if each.live is None and each.action != "left" and _cause(each, applied) is None]
    return tuple(f"{key} has run and is gone: whether the tree changes it, and so runs it again" for key in gone)


def _is_lost(key: ObjectId, applied: Applied) -> bool:
    known = applied.record.objects.get(key)
    return known is not None and known.ended == endings.LOST and key not in applied.live


def _cause(each: Difference, applied: Applied) -> Cause | None:
    """Why the agent would apply an object; None where it would not. Which commit changed it is not known here: it counts as the newest."""
    known = applied.record.objects.get(each.id)
    before = known is not None and bool(known.uid)
    if each.action == "left":
        return None
    if each.live is None:
        ended = known is not None and known.ended not in {"", endings.LOST}
        return None if ended else Cause.DELETION if before else Cause.NEW
    if applied.uid and not before and ownership.claimed(each.live) != applied.uid:
        return Cause.NEW
    return Cause.COMMIT if each.action in {"change", "replace"} or (applied.uid and each.owned) else None


async def _objects(
    cluster: Cluster, application: ApplicationId, namespace: str, unknown: list[str]
) -> tuple[dict[ObjectId, LiveFact], frozenset[tuple[str, str]]]:
    """The objects with the Application's label, and the kinds that may be listed."""
    label = f"{ownership.LABEL_APPLICATION}={ownership.application_label(application)}"
    asked = [each for each in (await cluster.kinds()).preferred() if {"list", "delete"} <= each.verbs]
    unlisted: list[str] = []

    async def of(resource: Resource) -> Iterable[Object]:
        try:
            return await cluster.list_metadata(
                resource, namespace=namespace if resource.namespaced else "", selector=label
            )
        except ForbiddenError:
            unlisted.append(resource.plural)
            return ()

    lists = await AsyncTasks().all([of(resource) for resource in asked])
    if unlisted:
        unknown.append(
            f"you may not list these, so what would be deleted of them is not known: {', '.join(sorted(unlisted))}"
        )
    facts = {
        ObjectId(
            resource.group, resource.kind, get_text(item, "metadata", "namespace"), get_text(item, "metadata", "name")
        ): _fact(item)
        for resource, items in zip(asked, lists, strict=True)
        for item in items
    }
    kinds = frozenset((each.group, each.kind) for each in asked if each.plural not in unlisted)
    return {key: fact for key, fact in facts.items() if fact.owner == application.uid}, kinds


def _fact(item: Object) -> LiveFact:
    return LiveFact(
        get_text(item, "metadata", "uid"),
        get_text(item, "metadata", "resourceVersion"),
        ownership.claimed(item),
        "",
        health.compute(item),
        keep=ownership.is_prune_disabled(item) or ownership.is_reconcile_disabled(item),
    )


async def _record(
    cluster: Cluster,
    application: ApplicationId,
    agent_namespace: str,
    live: Mapping[ObjectId, LiveFact],
    unknown: list[str],
) -> ApplicationRecord:
    """What the agent recorded, as far as the user may read it; else what stands there."""
    try:
        return unverified(await records.read(cluster, agent_namespace, application))
    except (ForbiddenError, RecordDamagedError):
        unknown.append(
            f"you may not read the agent's records in {agent_namespace}, so objects that are gone by now do not count where it"
            " decides how much may be deleted"
        )
    return ApplicationRecord(objects={key: ObjectRecord("", uid=fact.uid) for key, fact in live.items()})


async def _applications(cluster: Cluster, application: ApplicationId, unknown: list[str]) -> dict[str, str]:
    for namespace in ("", application.namespace):
        try:
            found = await cluster.list_metadata(APPLICATION, namespace=namespace)
        except ForbiddenError:
            unknown.append(
                "you may not list the Applications of other namespaces, so conflicts with them are not known"
            )
            continue
        return {
            get_text(
                each, "metadata", "uid"
            ): f"{get_text(each, 'metadata', 'namespace')}/{get_text(each, 'metadata', 'name')}"
            for each in found
        }
    return {}
