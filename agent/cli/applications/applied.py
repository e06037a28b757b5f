"""What the cluster has of an Application, as far as a user may read it: its objects, the agent's record, who else there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.adapters.kubernetes import records
from agent.adapters.kubernetes.resources import APPLICATION, SERVICE_ACCOUNT
from agent.api import application as applications
from agent.cli.cluster.reports import Report
from agent.controllers.tasks import AsyncTasks
from agent.engine.live import LiveFact
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.engine.shards import RecordDamagedError, unverified
from agent.manifests import health, ownership
from agent.values.dataclass import dataclass, field, replace
from agent.values.errors import AgentError, ForbiddenError, ManifestError, NotFoundError
from agent.values.ids import ApplicationId, ObjectId
from agent.values.problems import Problem
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.api.application import Application
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object


@dataclass(frozen=True, slots=True)
class Applied:
    """What is known of an Application. `known`: it could be looked up, though there may be none yet; its `uid` is empty then.

    `name` is its namespace and name, `label` what its objects carry, `application` as it stands there, if it is valid. `live` are the
    objects with its label, `kinds` the groups and kinds of which all are known, `applications` every Application's name by uid. `recorded`: the
    agent's record could be read; `waits`: the agent waits for a recovery. `unknown` says what could not, `problems` where that is an error.
    """

    name: str = ""
    known: bool = False
    uid: str = ""
    label: str = ""
    application: Application | None = None
    record: ApplicationRecord = field(default_factory=ApplicationRecord)
    recorded: bool = False
    live: Mapping[ObjectId, LiveFact] = field(default_factory=dict["ObjectId", "LiveFact"])
    kinds: frozenset[tuple[str, str]] = frozenset()
    applications: Mapping[str, str] = field(default_factory=dict[str, str])
    waits: bool = False
    unknown: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


async def look(cluster: Cluster, application: Application, agent_namespace: str) -> Applied:
    """What there is of the Application of a file. `agent_namespace` is where the agent keeps its records."""
    name = f"{application.id.namespace}/{application.id.name}"
    looking = _Looking(cluster, ApplicationId(application.id.namespace, application.id.name, ""))
    try:
        found = await cluster.get(APPLICATION, application.id.namespace, application.id.name)
    except NotFoundError:
        return Applied(name, known=True, unknown=("the cluster does not serve Applications yet",))
    except AgentError as error:
        looking.note(error, "the Application", "what it owns, prunes and conflicts with is")
        return Applied(name, unknown=tuple(looking.unknown), problems=tuple(looking.problems))
    applications = await looking.applications()
    if found is None:
        unknown = ("the cluster has no such Application yet", *looking.unknown)
        return Applied(name, known=True, applications=applications, unknown=unknown, problems=tuple(looking.problems))
    looking.application = replace(looking.application, uid=get_text(found, "metadata", "uid"))
    record = await looking.record(agent_namespace)
    live, kinds = await looking.objects(_namespaces(application, record))
    if record is not None:
        live = looking.without_copies(live, record)
    return Applied(
        name,
        known=True,
        uid=looking.application.uid,
        label=ownership.application_label(looking.application),
        application=_parsed(found),
        record=_by_what_stands(live) if record is None else record,
        recorded=record is not None,
        live=live,
        kinds=kinds,
        applications=applications,
        waits=Report(found).waits_for_recovery,
        unknown=tuple(looking.unknown),
        problems=tuple(looking.problems),
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


def _namespaces(application: Application, record: ApplicationRecord | None) -> tuple[str, ...]:
    """Where to look for objects; in all namespaces together where a pattern may be for any."""
    further = application.spec.destination.namespaces
    if any("*" in pattern for pattern in further):
        return ("",)
    recorded = {key.namespace for key in record.objects if key.namespace} if record is not None else set[str]()
    return tuple(sorted({application.namespace, *further, *recorded}))


def _parsed(found: Object) -> Application | None:
    try:
        return applications.parse(found)
    except ManifestError:
        return None  # the agent does nothing of it, until the file that is previewed takes its place


def _by_what_stands(live: Mapping[ObjectId, LiveFact]) -> ApplicationRecord:
    return ApplicationRecord(objects={key: ObjectRecord("", uid=fact.uid) for key, fact in live.items()})


class _Looking:
    """Reads, and notes what could not be read."""

    def __init__(self, cluster: Cluster, application: ApplicationId) -> None:
        self._cluster = cluster
        self.application = application
        self._proofs: dict[ObjectId, str] = {}
        self.unknown: list[str] = []
        self.problems: list[Problem] = []

    async def applications(self) -> dict[str, str]:
        """Every Application that may be listed, by uid."""
        found, failed = await self._listed("")
        if failed is not None:
            found, also = await self._listed(self.application.namespace)
            what = "Applications" if also is not None else "Applications of other namespaces"
            self.note(failed, what, "conflicts with them are")
        return {
            get_text(each, "metadata", "uid"): "/".join(get_text(each, "metadata", of) for of in ("namespace", "name"))
            for each in found
        }

    async def _listed(self, namespace: str) -> tuple[Sequence[Object], AgentError | None]:
        try:
            return await self._cluster.list_metadata(APPLICATION, namespace=namespace), None
        except AgentError as error:
            return (), error

    async def objects(self, namespaces: Sequence[str]) -> tuple[dict[ObjectId, LiveFact], frozenset[tuple[str, str]]]:
        """The objects with the Application's label, and the kinds of which all are known in these namespaces."""
        kinds = await self._cluster.kinds()
        asked = [each for each in kinds.preferred() if {"list", "delete"} <= each.verbs]
        selector = f"{ownership.LABEL_APPLICATION}={ownership.application_label(self.application)}"

        failed: dict[Resource, AgentError] = {}

        async def of(resource: Resource) -> Sequence[Object]:
            found: list[Object] = []
            for place in namespaces if resource.namespaced else ("",):
                try:
                    found += await self._cluster.list_metadata(resource, namespace=place, selector=selector)
                except AgentError as error:
                    failed[resource] = error.with_facts(kind=resource.plural)
            return found

        lists = await AsyncTasks().all([of(resource) for resource in asked])
        for reason in dict.fromkeys(error.reason for error in failed.values()):
            some = {each.plural: error for each, error in failed.items() if error.reason == reason}
            self.note(next(iter(some.values())), ", ".join(sorted(some)), "what would be deleted of them is")
        for group in sorted(kinds.unavailable):
            self.unknown.append(
                f"the cluster does not say what {group} has, so what would be deleted of it is not known"
            )
        facts: dict[ObjectId, LiveFact] = {}
        for resource, items in zip(asked, lists, strict=True):
            for item in items:
                place, name = (get_text(item, "metadata", of) for of in ("namespace", "name"))
                key = ObjectId(resource.group, resource.kind, place, name)
                facts[key] = _fact(item)
                self._proofs[key] = get_text(item, "metadata", "annotations", ownership.ANNOTATION_OWNER)
        listed = frozenset((each.group, each.kind) for each in asked if each not in failed)
        return {key: fact for key, fact in facts.items() if fact.owner == self.application.uid}, listed

    def without_copies(
        self, live: Mapping[ObjectId, LiveFact], record: ApplicationRecord
    ) -> Mapping[ObjectId, LiveFact]:
        """Without objects that carry the proof of one that is recorded: it proves that one alone."""
        recorded = {self._proofs[key] for key in record.objects if key in self._proofs}
        return {key: fact for key, fact in live.items() if key in record.objects or self._proofs[key] not in recorded}

    async def record(self, namespace: str) -> ApplicationRecord | None:
        """What the agent recorded; None where that is not known. One that is damaged counts for nothing, as for the agent."""
        try:
            return unverified(await records.read(self._cluster, namespace, self.application))
        except RecordDamagedError as error:
            self.problems.append(Problem(error))
            self.unknown.append("the agent's record is damaged: it counts as lost, and everything is applied again")
            return ApplicationRecord()
        except AgentError as error:
            self.note(
                error,
                f"the agent's records in {namespace}",
                "objects that are gone by now, and whether one was made once before, are",
            )
            return None

    def note(self, error: AgentError, what: str, so: str) -> None:
        """A refusal is the user's role; anything else is wrong."""
        if isinstance(error, ForbiddenError):
            self.unknown.append(f"you may not read {what}, so {so} not known")
        else:
            self.problems.append(Problem(error))
            self.unknown.append(f"{what} could not be read ({error.reason}: {error.message}), so {so} not known")


def _fact(item: Object) -> LiveFact:
    return LiveFact(
        get_text(item, "metadata", "uid"),
        get_text(item, "metadata", "resourceVersion"),
        ownership.claimed(item),
        "",
        health.compute(item),
        keep=ownership.is_prune_disabled(item) or ownership.is_reconcile_disabled(item),
    )
