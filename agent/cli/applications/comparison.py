"""One object of a work tree against the cluster: what would the API server make of it, and what of that is not so now?

The API server answers by a server-side dry run as the agent's field manager, so defaults and admission are in it. What the agent stamps
on its objects is taken over from the live object: it is no difference. A field whose reference was not resolved is not compared.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Literal

from agent.api import names
from agent.engine import additions, assembling, releasing, replacing
from agent.manifests import (
    autoscaling,
    builtin,
    contents,
    diff,
    elements,
    field_trees,
    leaving,
    order,
    ownership,
    people,
    references,
    resolve,
)
from agent.manifests.diff import Line
from agent.manifests.live import wrap
from agent.manifests.people import Takeover
from agent.values import derive
from agent.values.dataclass import dataclass, field, replace
from agent.values.errors import (
    AgentError,
    ClusterUnavailableError,
    ForbiddenError,
    ImmutableFieldError,
    NotFoundError,
    ObjectInvalidError,
)
from agent.values.secret import Secret
from agent.values.tree import format_path, get, get_object, get_text, map_leaves, walk
from agent.values.tree import secrets as secrets_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.engine.ports import Resolved
    from agent.engine.record import ApplicationRecord
    from agent.engine.replacing import Attempt
    from agent.manifests.diff import Change
    from agent.manifests.kinds import Kinds, Resource
    from agent.manifests.layers import Desired
    from agent.manifests.leaving import Leaving
    from agent.manifests.references import Reference
    from agent.manifests.sinks import AllowedSinks
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId
    from agent.values.tree import Leaf, Object, Path, Tree

Action = Literal["create", "change", "refused", "same", "left", "unknown"]
UNOPENED = Secret(base64.b64encode(secrets.token_bytes(24)).decode(), "not opened")
"""Stands where a value is not known. It is base64 as it is written, so that data of a Secret takes it."""
_MARKS = (UNOPENED, derive.base64_encode(UNOPENED))
_UNKNOWN = "(not known)"
_STAMPED = {
    "labels": (ownership.LABEL_INSTALLATION, ownership.LABEL_APPLICATION),
    "annotations": (ownership.ANNOTATION_OWNER, contents.ANNOTATION),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that is `left` asks to be left alone; `refused` and `unknown` have an `error`, of the API server and of the user's rights.

    `unknown`: fields that were not compared, with the references that stand there. `adopted`: another tool's fields go over to the
    agent, and those that are not in the tree go away. `owned`: what the agent owns of it changes, though what stands in the fields may
    not. `live` is the object as it stands, `tree` as it would be applied, with values of these `versions`, by reference;
    `ignored` are fields of it that are left to others.
    """

    id: ObjectId
    action: Action
    tree: Object
    live: Object | None = None
    lines: tuple[Line, ...] = ()
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    adopted: bool = False
    owned: bool = False
    versions: Mapping[str, int] = field(default_factory=dict[str, int])
    ignored: tuple[str, ...] = ()
    error: AgentError | None = None


class Comparison:
    """`answers` are those of the stores; a reference that is not among them was not asked for. `namespaces` are those of the tree.

    `force` says whether fields of other managers are taken over. `sealed` is the set that the cluster's `seals` asks: objects that hold
    secrets are added to it before they are read. `managers` are the field managers of people, and `record` says what they are left of
    what they added. `uid` is that of the Application, empty where there is none yet.
    """

    def __init__(
        self,
        cluster: Cluster,
        kinds: Kinds,
        *,
        answers: Mapping[Reference, Resolved | AgentError],
        fingerprints: Fingerprinter,
        sinks: AllowedSinks,
        namespaces: Collection[str],
        sealed: set[ObjectId],
        force: bool = True,
        managers: tuple[str, ...] = names.PEOPLE,
        record: ApplicationRecord | None = None,
        uid: str = "",
    ) -> None:
        self._cluster = cluster
        self._kinds = kinds
        self._answers = answers
        self._fingerprints = fingerprints
        self._sinks = sinks
        self._namespaces = namespaces
        self._sealed = sealed
        self._force = force
        self._people = managers
        self._record = record
        self._uid = uid

    async def of(self, item: Desired, opened: Object) -> Difference:
        """Raises the AgentError that holds the object, and ClusterUnavailableError where nothing answers."""
        key = item.id
        unknown = self._unknown(opened)
        tree, versions = self._finished(key, opened, unknown.keys())
        named = {format_path(path): found for path, found in unknown.items()}
        found = Difference(key, "left", tree, unknown=named, versions=versions)
        if ownership.is_reconcile_disabled(tree):
            return replace(found, unknown={})
        if self._may_hold_secrets(key, tree):
            self._sealed.add(key)
        resource = self._kinds.served(item.api_version, key.kind)
        # A kind that is not served and came so far is defined by the tree itself.
        if resource is None:
            return replace(found, action="create")
        try:
            live = await self._cluster.get(resource, key.namespace, key.name)
        except AgentError as error:
            return replace(found, action="unknown", error=_answered(error))
        try:
            return await self._against(resource, item, opened, replace(found, live=live))
        except ForbiddenError as error:
            # The agent may be allowed what the user is not.
            return replace(found, live=live, action="unknown", error=error)
        except AgentError as error:
            action = "unknown" if _answered(error).transient else "refused"
            return replace(found, live=live, action=action, error=error)

    async def _against(self, resource: Resource, item: Desired, opened: Object, found: Difference) -> Difference:
        """What the API server makes of an object over what stands there. Raises ClusterError."""
        key, live = found.id, found.live
        if live is None:
            if not found.unknown:
                await self._check_creation(resource, key, found.tree)
            return replace(found, action="create")
        if ownership.is_left_to_others(found.tree, ours=bool(self._uid) and ownership.claimed(live) == self._uid):
            return replace(found, unknown={})
        whole = _with_live_values(_stamped(found.tree, live, key), live, self._unknown(opened).keys())
        opened = item.ignored.without(opened) if item.ignored.pointers else opened
        unknown = self._unknown(opened)
        tree, versions = self._finished(key, opened, unknown.keys())
        left = await self._leaving(item, tree, live)
        # What is handed to another manager of the agent's stays as it is.
        staying = elements.with_values(left.kept, live, left.released)
        stamped, first = _with_live_values(_stamped(staying, live, key), live, unknown.keys()), not _owned(live)
        found = replace(
            found,
            tree=tree,
            versions=versions,
            unknown={format_path(path): of for path, of in unknown.items()},
            ignored=tuple(map(field_trees.show, sorted(item.ignored.fields(item.tree) | left.theirs))),
            adopted=first and Takeover(stamped, self._people, first=True).patch(live) is not None,
        )
        try:
            # What is adopted first is in conflict with no manager.
            answer = await self._cluster.apply(resource, stamped, force=self._force or found.adopted, dry_run=True)
        except ObjectInvalidError as error:
            attempt = replacing.Attempt(self._cluster, resource, key, whole)
            return await self._refused(item, found, stamped, attempt, error)
        changes = [_without_marks(change) for change in diff.compare(live, answer) if not _is_mark(change.after)]
        lines = tuple(diff.describe(changes, self._fingerprints, "", key))
        owned = not unknown and (_owned(live) != _owned(answer) or left.moves)
        if not first:
            lines = (*lines, *await self._removed(item, stamped, live, changed=bool(lines)))
        return replace(found, action="change" if lines else "same", lines=lines, owned=owned)

    async def _refused(
        self, item: Desired, found: Difference, stamped: Object, attempt: Attempt, error: ObjectInvalidError
    ) -> Difference:
        """What becomes of an object that cannot be changed as it stands. Raises the error that stays."""
        live = found.live or {}
        judged = await replacing.judge(attempt, error)
        removed = await self._removed(item, stamped, live, changed=True) if _owned(live) else ()
        if isinstance(judged, ImmutableFieldError) or not removed:
            raise judged from None
        # What people added is taken out first, and a dry run cannot do that.
        return replace(found, action="change", lines=removed)

    async def _leaving(self, item: Desired, kept: Object, live: Object) -> Leaving:
        """What of an object that stands is left to others."""
        scaled = await releasing.is_scaled(
            self._cluster,
            self._kinds,
            item.id,
            kept,
            ours=autoscaling.owns_replicas(live, names.FIELD_MANAGER),
            scalers=autoscaling.scalers(live),
            people=self._people,
        )
        kept = elements.without(kept, {elements.REPLICAS}) if scaled else kept
        return leaving.compute(kept, live, item.ignored.resolving(item.tree), replicas=scaled)

    async def _removed(self, item: Desired, tree: Object, live: Object, *, changed: bool) -> tuple[Line, ...]:
        """What people added to an object of the agent's and the next run takes out."""
        if not self._force:
            return ()
        key = item.id
        known = self._record.objects.get(key) if self._record is not None else None
        left = additions.left_by(known, changed=changed, seen=self._record is None or self._record.noted)
        left = {people.ALL} if people.keeps(live, tree) else left
        removed = Takeover(tree, self._people, left, ignored=item.ignored.resolving(item.tree).leaves).removed(live)
        if any(each.place == autoscaling.POINTER for each in removed) and await releasing.is_target(
            self._cluster, self._kinds, key
        ):
            removed = tuple(each for each in removed if each.place != autoscaling.POINTER)
        wrapped = wrap(live)
        changes = [diff.Change(each.place, get(wrapped, *each.place), None) for each in removed]
        lines = diff.describe(changes, self._fingerprints, "", key)
        return tuple(
            Line(path=each.path, before=line["before"], after=None, manager=each.manager)
            for each, line in zip(removed, lines, strict=True)
        )

    def _unknown(self, opened: Object) -> dict[Path, tuple[str, ...]]:
        """Where a value stands that is not known, and the references in it; none where an encrypted file was not opened."""
        found = references.find(opened)
        unknown: dict[Path, tuple[str, ...]] = {path: () for path, leaf in walk(opened) if leaf is UNOPENED}
        for reference, where in found.items():
            if reference not in self._answers:
                unknown.update(
                    {path: tuple(str(each) for each, paths in found.items() if path in paths) for path in where}
                )
        return unknown

    async def _check_creation(self, resource: Resource, key: ObjectId, tree: Object) -> None:
        try:
            await self._cluster.apply(resource, tree, dry_run=True)
        except NotFoundError:
            if key.namespace not in self._namespaces:
                raise

    def _finished(self, key: ObjectId, opened: Object, unknown: Collection[Path]) -> tuple[Object, Mapping[str, int]]:
        """The object as the agent would finish it, as far as its values are known, and their versions."""
        wanted = {reference: at for reference, at in references.find(opened).items() if reference in self._answers}
        values, versions = assembling.values_of(key, wanted, self._answers)

        def fill(path: Path, leaf: Leaf) -> Leaf:
            return UNOPENED if path in unknown else leaf

        filled = map_leaves(opened, fill)
        assert isinstance(filled, dict)
        return resolve.fill(filled, values), versions

    def _may_hold_secrets(self, key: ObjectId, tree: Object) -> bool:
        """Whether the live object is shown by fingerprints only: it holds a secret, or may have held one until now."""
        sinks = self._sinks
        return (
            any(True for _ in secrets_of(tree))
            or ((key.group, key.kind) == ("", "ConfigMap") and sinks.config_maps)
            or (builtin.pod_template(key.group, key.kind) is not None and (sinks.env or sinks.args))
            or any((group, kind) == (key.group, key.kind) for group, kind, _ in sinks.custom_fields)
        )


def _answered(error: AgentError) -> AgentError:
    """The error of one request; one that nothing answered is raised, since it is that of all."""
    if isinstance(error, ClusterUnavailableError) and "code" not in error.facts:
        raise error
    return error


def _owned(live: Object) -> list[Tree]:
    """The fields that the agent owns, without their values."""
    managed = get(live, "metadata", "managedFields")
    entries = managed if isinstance(managed, list) else []
    return [get(entry, "fieldsV1") for entry in entries if get(entry, "manager") == names.FIELD_MANAGER]


def _is_mark(tree: Tree) -> bool:
    if isinstance(tree, str):
        tree = Secret(tree, "answered")
    return isinstance(tree, Secret) and tree in _MARKS


def _without_marks(change: Change) -> Change:
    def show(_: Path, leaf: Leaf) -> Leaf:
        return _UNKNOWN if _is_mark(leaf) else leaf

    return replace(change, after=map_leaves(change.after, show))


def _stamped(tree: Object, live: Object, key: ObjectId) -> Object:
    """`tree` with what the agent has written on the live object."""
    metadata: Object = get_object(tree, "metadata")
    for place, marks in _STAMPED.items():
        there = get_object(live, "metadata", place)
        stamps = {name: there[name] for name in marks if name in there}
        if stamps:
            both: Object = {**get_object(metadata, place), **stamps}
            metadata = {**metadata, place: both}
    tree = {**tree, "metadata": metadata}
    template = order.pod_template_path(key.group, key.kind)
    token = get_text(live, *template, "metadata", "annotations", ownership.ANNOTATION_ROLL) if template else ""
    return order.set_restart_token(tree, token) if token else tree


def _with_live_values(tree: Object, live: Object, unknown: Collection[Path]) -> Object:
    """Where data of a Secret or ConfigMap is not known, it stays as it is: admission may judge what stands there."""
    if not unknown or get_text(tree, "kind") not in {"Secret", "ConfigMap"} or get_text(tree, "apiVersion") != "v1":
        return tree
    there = get_object(live, "data")
    kept = {str(path[-1]): there[str(path[-1])] for path in unknown if str(path[-1]) in there}
    return {**tree, "data": {**get_object(tree, "data"), **kept}}
