"""A real API server and the one in memory, asked by the same calls, with answers that can be compared.

What each makes of its own is put aside: uids and versions are numbered as they appear, times left out, and fields that a real server
defaults looked at by name only.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memory_world import cluster as memory
from memory_world.server import REMOVED, Server

from agent.api import names
from agent.manifests.people import Takeover
from agent.values.errors import AgentError, StaleObjectError
from agent.values.ids import ObjectId
from agent.values.tree import get, get_object, get_text, map_leaves

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.engine.ports import TargetPort
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object
    from testbed.controlplane import ControlPlane

EDITOR = "kubectl-edit"
_OF_CONTROLLERS = re.compile(r"^(deployment|batch)\.kubernetes\.io/|^controller-uid$|^job-name$")


@dataclass
class Side:
    """One of the two. `edit` is a merge patch by another manager, `make` a POST, `replace` a PUT of the object as it is changed."""

    cluster: TargetPort
    namespace: str
    edit: Callable[[Resource, str, Object], None]
    make: Callable[[Resource, Object, str], None]
    replace: Callable[[Resource, str, Callable[[Any], object]], None]
    answers: list[object] = field(default_factory=list)
    _numbers: dict[str, dict[str, int]] = field(default_factory=dict)

    async def do(self, call: Awaitable[object]) -> Object:
        """The answer, which is compared; what was refused is compared by its reason and fields, and is an empty one."""
        try:
            answer = await call
        except AgentError as error:
            facts = {name: error.facts.get(name) for name in ("fields", "managers") if name in error.facts}
            self.answers.append((error.reason, facts))
            return {}
        self.answers.append(self._plain(answer) if isinstance(answer, dict) else answer)
        return answer if isinstance(answer, dict) else {}

    async def apply(self, resource: Resource, name: str, tree: Object, **how: object) -> Object:
        return await self.do(self.cluster.apply(resource, self.object(resource, name, tree), **how))

    async def look(self, resource: Resource, name: str) -> Object:
        return await self.do(self.cluster.get(resource, self.namespace, name))

    async def delete(
        self, resource: Resource, name: str, *, uid: str = "", version: str = "", orphan: bool = False
    ) -> None:
        await self.do(
            self.cluster.delete(
                resource, self.namespace, name, uid=uid, resource_version=version, identity=None, orphan=orphan
            )
        )

    async def patch(self, resource: Resource, name: str, patch: list[Object], *, dry_run: bool = False) -> Object:
        return await self.do(self.cluster.json_patch(resource, self.namespace, name, patch, dry_run=dry_run))

    async def attempt(self, resource: Resource, name: str, tree: Object) -> None:
        await self.do(self.cluster.try_create(resource, self.object(resource, name, tree)))

    async def take(self, resource: Resource, name: str, tree: Object) -> None:
        """What the agent takes over before it applies `tree`, until no controller writes in between."""
        for _ in range(20):
            live = await self.cluster.get(resource, self.namespace, name) or {}
            patch = Takeover(tree, names.PEOPLE).patch(live)
            assert patch is not None
            try:
                await self.cluster.json_patch(resource, self.namespace, name, patch)
            except StaleObjectError:
                continue
            break

    async def until(self, what: Callable[[Object], bool], resource: Resource, name: str) -> None:
        """What garbage collection does takes a moment."""
        async with asyncio.timeout(60):
            while not what(await self.cluster.get(resource, self.namespace, name) or {}):  # noqa: ASYNC110  # another process's
                await asyncio.sleep(0.05)
        await self.look(resource, name)

    def object(self, resource: Resource, name: str, tree: Object) -> Object:
        metadata = {"name": name, "namespace": self.namespace, **get_object(tree, "metadata")}
        return {**tree, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}

    def _plain(self, tree: Object) -> object:
        metadata = get_object(tree, "metadata")
        finalizers = metadata.get("finalizers")
        shown: Object = {
            "name": metadata["name"],
            "finalizers": [name for name in (finalizers or []) if name != "kubernetes.io/pvc-protection"],
        }
        shown |= {
            marks: {
                name: text for name, text in get_object(metadata, marks).items() if not _OF_CONTROLLERS.search(name)
            }
            for marks in ("labels", "annotations")
        }
        shown["deleting"] = "deletionTimestamp" in metadata
        shown["uid"] = self._number("uid", get_text(metadata, "uid"))
        if "spec" not in tree:  # controllers write to what has one
            shown["version"] = self._number("version", get_text(metadata, "resourceVersion"))
        owners = metadata.get("ownerReferences")
        shown["owners"] = [get_text(each, "name") for each in owners] if isinstance(owners, list) else []
        listed = metadata.get("managedFields")
        shown["managers"] = sorted(
            (
                get_text(each, "manager"),
                get_text(each, "operation"),
                sorted(self._numbered(path) for path in _owned(get_object(each, "fieldsV1"), "")),
            )
            for each in (listed if isinstance(listed, list) else [])
            if isinstance(each, dict) and not get_text(each, "manager").startswith("kube-controller-manager")
        )
        return shown | _content(tree)

    def _numbered(self, path: str) -> str:
        """Without the uids of owners."""
        for uid, number in self._numbers.get("uid", {}).items():
            path = path.replace(f'"{uid}"', str(number))
        return path

    def _number(self, what: str, value: str) -> int:
        known = self._numbers.setdefault(what, {})
        return known.setdefault(value, len(known))


def _owned(node: Object, at: str) -> list[str]:
    """The paths that are owned. That a map is there is an update's too in a real server, and nothing of ours asks for it."""
    found: list[str] = []
    for step, below in node.items():
        if step == "." and not at.endswith("}"):
            continue
        assert isinstance(below, dict)
        found += _owned(below, f"{at}/{step}") or [f"{at}/{step}"]
    return found


def _content(tree: Object) -> Object:
    if "spec" not in tree:
        return {name: tree[name] for name in ("data", "immutable") if tree.get(name)}
    template = get_object(tree, "spec", "template")
    containers = get(template, "spec", "containers")
    return {
        "replicas": get(tree, "spec", "replicas"),
        "annotations of pods": get(template, "metadata", "annotations"),
        # where an item goes that others put between is the real server's own
        "containers": sorted(
            [get(each, "name"), get(each, "image"), get(each, "env"), get(each, "args")]
            for each in (containers if isinstance(containers, list) else [])
        ),
    }


def real_side(cluster: TargetPort, controlplane: ControlPlane, namespace: str) -> Side:
    def path(resource: Resource) -> str:
        group = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
        return f"{group}/namespaces/{namespace}/{resource.plural}"

    def replace(resource: Resource, name: str, change: Callable[[Any], object]) -> None:
        while True:
            live = controlplane.get(f"{path(resource)}/{name}")
            change(live)
            code, answer = controlplane.request("PUT", f"{path(resource)}/{name}?fieldManager={EDITOR}", live)
            if code != 409:  # a controller wrote in between
                assert code == 200, answer
                return

    return Side(
        cluster,
        namespace,
        lambda resource, name, change: controlplane.merge(f"{path(resource)}/{name}", change),
        lambda resource, tree, by: controlplane.create(f"{path(resource)}?fieldManager={by}", tree),
        replace,
    )


def memory_side(namespace: str) -> Side:
    server = Server()

    def edit(resource: Resource, name: str, change: Object) -> None:
        server.update(ObjectId(resource.group, resource.kind, namespace, name), dict(_changed(change, ())), EDITOR)

    def replace(resource: Resource, name: str, change: Callable[[Any], object]) -> None:
        live = server.get(ObjectId(resource.group, resource.kind, namespace, name))
        copy = map_leaves(live, lambda _, leaf: leaf)
        assert isinstance(copy, dict)
        change(copy)
        server.replace(copy, EDITOR)

    cluster = memory.Cluster(server, memory.Traffic())
    return Side(cluster, namespace, edit, lambda _, tree, by: server.create(tree, by), replace)


def _changed(change: Object, at: tuple[str, ...]) -> list[tuple[tuple[str, ...], object]]:
    found: list[tuple[tuple[str, ...], object]] = []
    for name, value in change.items():
        if isinstance(value, dict):
            found += _changed(value, (*at, name))
        else:
            found.append(((*at, name), REMOVED if value is None else value))
    return found
