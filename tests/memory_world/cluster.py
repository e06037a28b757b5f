"""HomePort and TargetPort over the server in memory, for one agent: what it sends is listed, and others may come in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.controllers.deletion import APPLICATIONS
from agent.engine.ports import WatchEvent
from agent.manifests import definitions, known_kinds
from agent.manifests.kinds import Kinds, Resource
from agent.values.errors import AgentError, ClusterUnavailableError, ForbiddenError
from agent.values.ids import IN_CLUSTER, ObjectId
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from agent.engine.ports import Deletion, Identity
    from agent.values.ids import ApplicationId
    from agent.values.tree import Object
    from memory_world.server import Server

CONFIG_MAPS: Final = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
_DEFINITION: Final = ("apiextensions.k8s.io", "CustomResourceDefinition")


def name_of(key: ObjectId) -> str:
    """As tests write it: `ConfigMap/settings`."""
    return f"{key.kind}/{key.name}"


def is_selected(tree: Object, selector: str) -> bool:
    """Whether an object has a label, `name=value`."""
    label, _, value = selector.partition("=")
    return not selector or get(tree, "metadata", "labels", label) == value


def news(server: Server, resource: Resource, selector: str, since: int) -> list[WatchEvent]:
    """What a watch reports of the log behind `since`."""
    events: list[WatchEvent] = []
    for change in server.log[since:]:
        if (change.key.group, change.key.kind) == (resource.group, resource.kind):
            if change.tree is not None and is_selected(change.tree, selector):
                events.append(WatchEvent("present", change.tree, resource))
            elif change.before is not None and is_selected(change.before, selector):
                events.append(WatchEvent("gone", change.before, resource))
    return events


@dataclass(slots=True)
class Traffic:
    """What an agent's requests came to.

    `writes` are as `apply ConfigMap/a`, with the reason behind it where one was refused; `identities` are those that were acted as, `readers` those that
    read, by such a text.
    `between` holds, by such a text, what others do right before that request lands. `unwatched` kinds may not be listed or
    watched by the agent, `unreadable` ones not be read by an Application either, `away` says that the server does not answer. `untried`
    holds, by such a text, why a dry run is refused.
    """

    writes: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    identities: set[Identity | None] = field(default_factory=set)
    readers: dict[str, set[Identity | None]] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)
    statuses: list[Object] = field(default_factory=list)
    between: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    unwatched: set[tuple[str, str]] = field(default_factory=set)
    unreadable: set[tuple[str, str]] = field(default_factory=set)
    untried: dict[str, AgentError] = field(default_factory=dict)
    away: bool = False
    discoveries: int = 0
    version: str = "v1.36.3"


def _metadata(item: Object) -> Object:
    return {name: item[name] for name in ("apiVersion", "kind", "metadata")}


class Cluster:
    """`checks` are asked before each attempt to write."""

    cluster = IN_CLUSTER

    def __init__(self, server: Server, traffic: Traffic, *checks: Callable[[], None]) -> None:
        self._server = server
        self._traffic = traffic
        self._checks = checks
        self._kinds: list[Kinds] = []

    def fenced(self, check: Callable[[], None]) -> Cluster:
        other = Cluster(self._server, self._traffic, *self._checks, check)
        other._kinds = self._kinds
        return other

    async def kinds(self, *, fresh: bool = False) -> Kinds:
        if fresh or not self._kinds:
            self._reach()
            self._traffic.discoveries += 1
            self._kinds[:] = [kinds_of(self._server)]
        return self._kinds[0]

    async def version(self) -> str:
        self._reach()
        return self._traffic.version

    async def has_conditions(self, resource: Resource) -> bool:
        found = self._server.get(ObjectId(*_DEFINITION, "", f"{resource.plural}.{resource.group}"))
        return found is not None and definitions.has_conditions(found, resource.version)

    async def get(
        self, resource: Resource, namespace: str, name: str, *, identity: Identity | None = None
    ) -> Object | None:
        self._read("get", resource, name, identity)
        return self._server.get(ObjectId(resource.group, resource.kind, namespace, name))

    async def get_metadata(self, resource: Resource, namespace: str, name: str) -> Object | None:
        found = await self.get(resource, namespace, name)
        return _metadata(found) if found is not None else None

    async def list(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        self._read("list", resource, "", None)
        return [item for item in self._server.of_kind(resource, namespace) if is_selected(item, selector)]

    async def list_metadata(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        found = await self.list(resource, namespace=namespace, selector=selector)
        return [_metadata(item) for item in found]

    async def apply(
        self,
        resource: Resource,
        desired: Object,
        *,
        identity: Identity | None = None,
        force: bool = True,
        manager: str = "signet",
        dry_run: bool = False,
    ) -> Object:
        key = _identify(resource, desired)
        with self._trying("apply", key, identity) if dry_run else self._sending("apply", key, identity):
            return self._server.apply(key, desired, manager, force=force, dry_run=dry_run)

    async def try_create(self, resource: Resource, desired: Object, *, identity: Identity | None = None) -> None:
        key = _identify(resource, desired)
        with self._trying("create", key, identity):
            self._server.try_create(key, desired)

    async def json_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Sequence[Object],
        *,
        identity: Identity | None = None,
        dry_run: bool = False,
    ) -> Object:
        key = ObjectId(resource.group, resource.kind, namespace, name)
        with self._trying("patch", key, identity) if dry_run else self._sending("patch", key, identity):
            return self._server.patch(key, list(patch), "signet", dry_run=dry_run)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str,
        identity: Identity | None,
        orphan: bool = False,
    ) -> Deletion:
        key = ObjectId(resource.group, resource.kind, namespace, name)
        with self._sending("delete", key, identity):
            stood = self._server.delete(key, uid, resource_version, orphan=orphan)
        return "gone" if not stood else "deleting" if self._server.get(key) is not None else "deleted"

    async def watch(self, resource: Resource, *, namespace: str = "", selector: str = "") -> AsyncGenerator[WatchEvent]:
        if (resource.group, resource.kind) in self._traffic.unwatched:
            yield WatchEvent("refused", {}, resource)
            while (resource.group, resource.kind) in self._traffic.unwatched:
                await self._change()
        since = len(self._server.log)
        for item in self._server.of_kind(resource, namespace):
            if is_selected(item, selector):
                yield WatchEvent("present", item, resource)
        yield WatchEvent("synced", {}, resource)
        while True:
            if since == len(self._server.log):
                await self._change()
                continue
            events, since = news(self._server, resource, selector, since), len(self._server.log)
            for event in events:
                yield event

    async def update_status(self, application: ApplicationId, status: Object) -> None:
        self._traffic.statuses.append(status)

    async def event(self, application: ApplicationId, *, kind: str, reason: str, message: str) -> None:
        self._traffic.events.append((reason, message))

    async def _change(self) -> None:
        import asyncio

        waiting = asyncio.get_running_loop().create_future()
        self._server.waiting.append(waiting)
        await waiting

    def _reach(self) -> None:
        if self._traffic.away:
            raise ClusterUnavailableError("the API server does not answer")

    def _read(self, verb: str, resource: Resource, name: str, identity: Identity | None) -> None:
        self._reach()
        self._traffic.reads.append(f"{verb} {resource.kind}/{name}")
        self._traffic.readers.setdefault(self._traffic.reads[-1], set()).add(identity)
        kind = (resource.group, resource.kind)
        if kind in self._traffic.unreadable or (identity is None and kind in self._traffic.unwatched):
            raise ForbiddenError("RBAC does not allow it")

    def _trying(self, verb: str, key: ObjectId, identity: Identity | None) -> _Sending:
        """A dry run, which no fence is asked for."""
        self._reach()
        self._traffic.identities.add(identity)
        refusal = self._traffic.untried.get(f"{verb} {name_of(key)}")
        if refusal is not None:
            raise refusal
        return _Sending(self._traffic, "")

    def _sending(self, verb: str, key: ObjectId, identity: Identity | None) -> _Sending:
        for check in self._checks:
            check()
        text = f"{verb} {name_of(key)}"
        waiting = self._traffic.between.get(text, [])
        if waiting:
            waiting.pop(0)()
        self._reach()
        self._traffic.identities.add(identity)
        return _Sending(self._traffic, text)


@dataclass(slots=True)
class _Sending:
    """Lists a request as it is answered; a dry run has no text and is not listed."""

    traffic: Traffic
    text: str

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not self.text:
            return
        refused = f": {error.reason}" if isinstance(error, AgentError) else ""
        self.traffic.writes.append(self.text + refused)


def _identify(resource: Resource, tree: Object) -> ObjectId:
    namespace, name = get_text(tree, "metadata", "namespace"), get_text(tree, "metadata", "name")
    return ObjectId(resource.group, resource.kind, namespace, name)


def kinds_of(server: Server) -> Kinds:
    """Discovery: the built-in kinds, and those whose definitions are established."""
    found = [*known_kinds.BUILT_IN, APPLICATIONS]
    for key, stored in server.objects.items():
        conditions = get(stored.tree, "status", "conditions")
        if (key.group, key.kind) == _DEFINITION and isinstance(conditions, list):
            spec = get(stored.tree, "spec")
            found.append(
                Resource(
                    get_text(spec, "group"),
                    get_text(spec, "versions", 0, "name"),
                    get_text(spec, "names", "kind"),
                    get_text(spec, "names", "plural"),
                    namespaced=get_text(spec, "scope") == "Namespaced",
                )
            )
    return Kinds(found)
