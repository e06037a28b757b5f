"""What is known of the objects in the cluster: facts that watches and answers bring, kept without any full object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.api import names
from agent.manifests import autoscaling, contents, endings, fields, health, ownership, people
from agent.manifests.builtin import GROUPS
from agent.manifests.managers import RELEASED
from agent.values.ids import ObjectId
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from agent.engine.ports import TargetPort
    from agent.manifests.endings import Ending
    from agent.manifests.health import Health
    from agent.manifests.kinds import Resource
    from agent.manifests.people import Addition
    from agent.values.fingerprint import Fingerprinter
    from agent.values.tree import Object


@dataclass(frozen=True, slots=True)
class LiveFact:
    """One live object at one version. `owner` is the uid of the Application that the owner annotation proves, or None.

    `object` is the wrapped live object, kept only while a drift waits to be healed. `keep` says that it asks not to be pruned, `created`
    when it was made, in RFC 3339. `ended` is how something that runs to an end did. `released` says that fields of ours were left to others,
    `replicas` that its replicas are ours, and `scalers` who scaled it.
    `additions` are what people's field managers own and we do not, which the object may ask to be `kept`; `shared`: they own something
    that we own too.
    """

    uid: str
    resource_version: str
    owner: str | None
    owned_digest: str
    health: Health
    object: Object | None = None
    terminating: bool = False
    keep: bool = False
    created: str = ""
    shared: bool = False
    additions: tuple[Addition, ...] = ()
    kept: bool = False
    ended: Ending = ""
    released: bool = False
    replicas: bool = False
    scalers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Departed:
    """An object that a watch saw go: its uid, and how it had ended, if it had."""

    uid: str
    ended: Ending


@dataclass(frozen=True, slots=True)
class Observer:
    """Turns live objects into facts, for one installation. `owned` fingerprints for the purpose `projection`.

    `people` are the field managers of people.
    """

    installation: str
    owners: Fingerprinter
    owned: Fingerprinter
    people: tuple[str, ...] = names.PEOPLE

    def identify(self, live: Object) -> ObjectId:
        """The identity of a live object."""
        group = get_text(live, "apiVersion").rpartition("/")[0]
        return ObjectId(
            group, get_text(live, "kind"), get_text(live, "metadata", "namespace"), get_text(live, "metadata", "name")
        )

    def is_clear(self, live: Object, key: ObjectId) -> bool:
        """Whether the values of a live ConfigMap are clear text."""
        return contents.is_clear(live, key, self.installation, self.owners)

    def observe(self, live: Object, *, manager: str = names.FIELD_MANAGER, reports: bool = False) -> LiveFact:
        """The facts of a live object, the object itself included. `reports` as `health.compute` has it."""
        key = self.identify(live)
        owner = ownership.prove(live, key, self.installation, self.owners)
        beside = people.beside(live, self.people)
        return LiveFact(
            uid=get_text(live, "metadata", "uid"),
            resource_version=get_text(live, "metadata", "resourceVersion"),
            owner=owner,
            owned_digest=self.owned.tree(owner or "", key.key, fields.owned_values(live, manager)),
            health=health.compute(live, reports=reports),
            object=live,
            terminating=get(live, "metadata", "deletionTimestamp") is not None,
            keep=ownership.is_prune_disabled(live) or ownership.is_reconcile_disabled(live),
            created=get_text(live, "metadata", "creationTimestamp"),
            shared=beside.shared,
            additions=beside.additions,
            kept=ownership.is_additions_kept(live),
            ended=endings.ended(live),
            released=any(fields.is_apply_of(entry, RELEASED) for entry in fields.entries(live)),
            replicas=autoscaling.owns_replicas(live, manager),
            scalers=autoscaling.scalers(live),
        )


async def reports(target: TargetPort, resource: Resource) -> bool:
    """Whether a controller says in conditions what it makes of an object of a kind that is not built in."""
    return resource.group not in GROUPS and await target.has_conditions(resource)


def is_newer(version: str, than: str) -> bool:
    """Whether a resourceVersion is newer: they compare as decimal numbers (KEP-5504); unknown forms count as newer."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than
