"""HomePort and TargetPort over the model's API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_world.cluster import CONFIG_MAPS, is_selected, news

from agent.api import names
from agent.controllers.deletion import APPLICATIONS
from agent.engine.ports import WatchEvent
from agent.manifests.kinds import Kinds, Resource
from agent.values.errors import AgentError, StaleObjectError
from agent.values.ids import IN_CLUSTER, ObjectId
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from agent.engine.ports import Deletion
    from agent.values.ids import ApplicationId
    from agent.values.tree import Object
    from handover_model.agents import Agent

GADGETS = Resource("example.com", "v1", "Gadget", "gadgets", namespaced=True)
KINDS = Kinds([CONFIG_MAPS, GADGETS, APPLICATIONS])


def application_key(namespace: str, name: str) -> ObjectId:
    return ObjectId(names.GROUP, names.KIND, namespace, name)


class Cluster:
    """One agent's way to the API server. `checks` are asked before each attempt to write."""

    cluster = IN_CLUSTER

    def __init__(self, agent: Agent, *checks: Callable[[], None]) -> None:
        self._agent = agent
        self._server = agent.world.server
        self._checks = (agent.guard, *checks)

    def fenced(self, check: Callable[[], None]) -> Cluster:
        return Cluster(self._agent, *self._checks[1:], check)

    async def kinds(self, *, fresh: bool = False) -> Kinds:
        if fresh:
            self._agent.reach()
        return KINDS

    async def has_conditions(self, resource: Resource) -> bool:
        return False

    async def get(self, resource: Resource, namespace: str, name: str, *, identity: object = None) -> Object | None:
        await self._agent.ask(f"get {name}")
        found = self._server.get(ObjectId(resource.group, resource.kind, namespace, name))
        self._agent.remember("got", _version(found))
        return found

    async def list(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        await self._agent.ask(f"list {resource.plural}")
        found = [item for item in self._server.of_kind(resource) if is_selected(item, selector)]
        self._agent.remember("listed", *map(_version, found))
        return found

    async def list_metadata(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        return await self.list(resource, namespace=namespace, selector=selector)

    async def apply(
        self,
        resource: Resource,
        desired: Object,
        *,
        identity: object = None,
        force: bool = True,
        manager: str = "signet",
        dry_run: bool = False,
    ) -> Object:
        key = ObjectId(
            resource.group,
            resource.kind,
            get_text(desired, "metadata", "namespace"),
            get_text(desired, "metadata", "name"),
        )
        self._may_write()
        sent = await self._agent.send("apply", key)
        before = self._server.get(key)
        try:
            answer = self._server.apply(key, desired, manager)
        except StaleObjectError:
            self._agent.remember("conflict")
            raise
        self._agent.remember("applied", _version(answer))
        self._agent.world.journal.landed(sent, changed=answer is not before)
        return answer

    async def json_patch(
        self, resource: Resource, namespace: str, name: str, patch: Sequence[Object], *, identity: object = None
    ) -> Object:
        raise NotImplementedError

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str,
        identity: object,
        orphan: bool = False,
    ) -> Deletion:
        key = ObjectId(resource.group, resource.kind, namespace, name)
        self._may_write()
        sent = await self._agent.send("delete", key)
        try:
            deleted = self._server.delete(key, uid, resource_version)
        except StaleObjectError:
            self._agent.remember("conflict")
            raise
        self._agent.remember("deleted", deleted)
        self._agent.world.journal.landed(sent, changed=deleted)
        return "deleted" if deleted else "gone"

    async def watch(self, resource: Resource, *, namespace: str = "", selector: str = "") -> AsyncGenerator[WatchEvent]:
        slow = self._agent.world.slow_watches
        await self._agent.gate(f"watch {resource.plural}", eager=resource == APPLICATIONS)
        at = len(self._server.log)
        listed = [item for item in self._server.of_kind(resource) if is_selected(item, selector)]
        self._agent.remember("watching", *map(_version, listed))
        for item in listed:
            yield WatchEvent("present", item, resource)
        yield WatchEvent("synced", {}, resource)
        while True:
            if not news(self._server, resource, selector, at):
                waiting = self._agent.world.loop.create_future()
                self._server.waiting.append(waiting)
                await waiting
                continue
            await self._agent.gate(f"see {resource.plural}", eager=not slow, apart=slow)
            events = news(self._server, resource, selector, at)
            at = len(self._server.log)
            self._agent.remember("saw", *((event.type, _version(event.object)) for event in events))
            for event in events:
                yield event

    async def update_status(self, application: ApplicationId, status: Object) -> None:
        self._may_write()
        sent = await self._agent.send("status", None)
        key = application_key(application.namespace, application.name)
        found = self._server.get(key)
        if found is None or get_text(found, "metadata", "uid") != application.uid:
            raise StaleObjectError("the application is another one")
        if found.get("status") != status:
            self._server.put(key, {**found, "status": status})
        self._agent.remember("reported")
        self._agent.world.journal.landed(sent, changed=True)

    async def event(self, application: ApplicationId, *, kind: str, reason: str, message: str) -> None:
        self._may_write()
        self._agent.reach()
        self._agent.world.journal.events.append((self._agent.name, reason))

    def _may_write(self) -> None:
        try:
            for check in self._checks:
                check()
        except AgentError as error:
            self._agent.remember("refused", error.reason)
            raise


def _version(tree: Object | None) -> str:
    return "" if tree is None else get_text(tree, "metadata", "resourceVersion")
