"""Objects that say that an Application owns them, though none of the living ones applied them: what a recovery is about.

What proves an owner is under the agent's key. Here an owner is believed where the agent's record has the object; all others are listed, with
the Application that carries on for the earlier one: it has the same uid, or the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from agent.adapters.kubernetes import records
from agent.adapters.kubernetes.resources import APPLICATION
from agent.cli.cluster.reports import Report
from agent.controllers.tasks import AsyncTasks
from agent.engine import recovering
from agent.engine.shards import RecordDamagedError, unverified
from agent.manifests import ownership
from agent.values.dataclass import dataclass
from agent.values.errors import AgentError, ForbiddenError
from agent.values.ids import ApplicationId, ObjectId
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.applications.applied import Applied
    from agent.cli.applications.comparison import Difference
    from agent.desired.compiler import DesiredState
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

Action: TypeAlias = Literal["hand over", "leave"]


@dataclass(frozen=True, slots=True)
class Survivor:
    """A live object. `before` is the name and uid of the Application that it says owns it, `heir` the living one that carries on, if any."""

    id: ObjectId
    resource: Resource
    uid: str
    before: str
    before_uid: str
    heir: Report | None
    action: Action
    why: str

    @property
    def owner(self) -> str:
        """Namespace and name of the heir."""
        return f"{self.heir.namespace}/{self.heir.name}" if self.heir is not None else ""

    def as_json(self) -> dict[str, object]:
        return {
            "object": str(self.id),
            "uid": self.uid,
            "before": {"name": self.before, "uid": self.before_uid},
            "owner": self.owner,
            "action": self.action,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """`survivors` by object, `waiting` the Applications that the agent holds until objects are handed over, `unseen` those that no agent looked at.

    `unread` says what could not be read.
    """

    survivors: tuple[Survivor, ...]
    waiting: tuple[Report, ...]
    unseen: tuple[Report, ...]
    unread: tuple[AgentError, ...]


async def look(cluster: Cluster, agent_namespace: str, only: tuple[str, str] | None) -> Found:
    """What stands, of all Applications or, by namespace and name, of one: then also what it asks for and another one owned before."""
    reports = [Report(each) for each in await cluster.list(APPLICATION)]
    recorded = await AsyncTasks().all([_recorded(cluster, agent_namespace, each) for each in reports])
    owned = {key: uid for record in recorded for key, uid in (record or {}).items()}
    unseen = [each for each, record in zip(reports, recorded, strict=True) if record is None and not each.suspended]
    objects, unread = await _labelled(cluster)
    living = _Living(reports, unseen, only)
    survivors = [
        _survivor(key, resource, live, living)
        for key, (resource, live) in sorted(objects.items())
        if ownership.claimed(live) and owned.get(key) != get_text(live, "metadata", "uid")
    ]
    meant = [each for each in reports if only in {None, (each.namespace, each.name)}]
    return Found(
        tuple(each for each in survivors if each.heir in meant or (only is None and each.heir is None)),
        tuple(each for each in meant if each.waits_for_recovery),
        tuple(each for each in meant if each in unseen),
        tuple(unread),
    )


def expected(
    state: DesiredState, found: Sequence[Difference], applied: Applied
) -> tuple[dict[ObjectId, AgentError], tuple[ObjectId, ...]]:
    """What the agent will hold since objects of an earlier Application stand; or those objects, where its key alone says whether it will."""
    if not applied.known or applied.record.newest is not None or (applied.uid and not applied.recorded):
        return {}, ()
    namespace, name = applied.name.split("/")
    living = {"", applied.uid, *applied.applications}
    stands = tuple(
        each.id
        for each in found
        if each.live is not None
        and ownership.claimed(each.live) not in living
        and ownership.new_owner(each.live) != (namespace, name)
        and not recovering.is_left(each.tree)
    )
    if stands and (applied.waits or any(key.namespace != namespace for key in stands)):
        return {key: recovering.held(key, stands=key in stands) for key in state.everything}, ()
    return {}, stands


async def _recorded(cluster: Cluster, namespace: str, report: Report) -> Mapping[ObjectId, str] | None:
    """The uids of what the agent applied for an Application; None where no agent took it yet."""
    application = ApplicationId(report.namespace, report.name, get_text(report.tree, "metadata", "uid"))
    shards = await records.read(cluster, namespace, application)
    if not shards:
        return None
    try:
        record = unverified(shards)
    except RecordDamagedError:
        return {}
    return {key: each.uid for key, each in record.objects.items() if each.uid}


async def _labelled(cluster: Cluster) -> tuple[Mapping[ObjectId, tuple[Resource, Object]], Sequence[AgentError]]:
    """Metadata of all objects that carry the label of an Application, and why some kinds could not be listed."""
    asked = [each for each in (await cluster.kinds()).preferred() if {"list", "patch"} <= each.verbs]
    unread: list[AgentError] = []

    async def of(resource: Resource) -> Sequence[Object]:
        try:
            return await cluster.list_metadata(resource, selector=ownership.LABEL_APPLICATION)
        except ForbiddenError as error:
            unread.append(error.with_facts(kind=resource.plural))
            return ()

    lists = await AsyncTasks().all([of(resource) for resource in asked])
    return {
        ObjectId(resource.group, resource.kind, *(get_text(item, "metadata", at) for at in ("namespace", "name"))): (
            resource,
            item,
        )
        for resource, items in zip(asked, lists, strict=True)
        for item in items
    }, unread


@dataclass(frozen=True, slots=True)
class _Living:
    """The Applications; those that no agent looked at; and the one that is meant, by namespace and name, if it is one."""

    reports: Sequence[Report]
    unseen: Sequence[Report]
    only: tuple[str, str] | None


def _survivor(key: ObjectId, resource: Resource, live: Object, living: _Living) -> Survivor:
    claimed = ownership.claimed(live)
    name = get_text(live, "metadata", "labels", ownership.LABEL_APPLICATION).removesuffix(claimed).removesuffix("-")
    heir = _heir(key, name, claimed, living)
    action, why = _fate(key, heir, living)
    return Survivor(key, resource, get_text(live, "metadata", "uid"), name, claimed, heir, action, why)


def _heir(key: ObjectId, name: str, claimed: str, living: _Living) -> Report | None:
    """The one that is meant, if it asks for the object; that with the same uid; that of the name in its namespace; or another that asks for it."""
    for each in living.reports:
        if (each.namespace, each.name) == living.only and each.waits_for_recovery and _asks_for(each, key) is True:
            return each
    for each in living.reports:
        if get_text(each.tree, "metadata", "uid") == claimed:
            return each
    named = [each for each in living.reports if _label_name(each.name, claimed) == name]
    near = [each for each in named if each.namespace == key.namespace]
    found = near or [each for each in named if each.waits_for_recovery and _may_ask_for(each, key)]
    return found[0] if len(found) == 1 else None


def _may_ask_for(report: Report, key: ObjectId) -> bool:
    """Whether an Application of another namespace has an object in Git; of one without a namespace, also where that is not known."""
    asks = _asks_for(report, key)
    return asks is True or (asks is None and not key.namespace)


def _label_name(name: str, uid: str) -> str:
    """As much of a name as its label has."""
    return ownership.application_label(ApplicationId("", name, uid)).removesuffix(uid).removesuffix("-")


def _fate(key: ObjectId, heir: Report | None, living: _Living) -> tuple[Action, str]:
    if heir is None:
        return "leave", "no Application of this name"
    if heir in living.unseen:
        return "leave", "no agent has looked at this Application yet"
    if not heir.waits_for_recovery:
        return "leave", "this Application did not apply it"
    asks = _asks_for(heir, key)
    if asks is False:
        return "leave", "not in Git"
    return "hand over", "in Git" if asks else "as its label says"


def _asks_for(report: Report, key: ObjectId) -> bool | None:
    """Whether the commit of an Application that waits has an object; None where its status has no room to say."""
    listed = report.items("objects")
    if any(get_text(each, "object") == str(key) for each in listed):
        return True
    total = get(report.status, "counts", "total")
    return None if isinstance(total, int) and total > len(listed) else False
