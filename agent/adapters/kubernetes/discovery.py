"""Which kinds the cluster serves, by aggregated discovery (KEP-3352): two requests, and 304 while nothing changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes import wire
from agent.adapters.kubernetes.errors import Call
from agent.adapters.kubernetes.session import Request
from agent.manifests.kinds import Kinds, Resource
from agent.values import tree
from agent.values.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.adapters.kubernetes.session import Session
    from agent.values.tree import Object

_ACCEPT = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)

_LONGEST_VERSION: Final = 128
"""Characters."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one of the two paths answered last."""

    etag: str
    resources: tuple[Resource, ...]
    unavailable: frozenset[str]


class Discovery:
    """A snapshot that is rebuilt only when the server says that it changed."""

    def __init__(self, session: Session) -> None:
        self._session: Session = session
        self._parts: dict[str, _Part] = {}
        self._kinds: Kinds | None = None
        self._lock: asyncio.Lock = asyncio.Lock()

    async def kinds(self, *, fresh: bool = False) -> Kinds:
        """The last snapshot; `fresh` asks the server whether it still holds.

        Raises ClusterError where the server has no aggregated discovery, ClusterUnavailableError where it does not
        answer.
        """
        async with self._lock:
            if self._kinds is not None and not fresh:
                return self._kinds
            changed = [await self._refresh(path) for path in ("/api", "/apis")]
            if self._kinds is None or any(changed):
                parts = self._parts.values()
                self._kinds = Kinds(
                    (resource for part in parts for resource in part.resources),
                    (group for part in parts for group in part.unavailable),
                )
            return self._kinds

    async def version(self) -> str:
        """`gitVersion` of the apiserver. Raises ClusterError where it says none, ClusterUnavailableError where it does not answer."""
        answer = await self._session.request(Request(Call("GET", "discover"), "/version"))
        found = tree.get_text(wire.decode(answer.body), "gitVersion")
        if not found or len(found) > _LONGEST_VERSION:
            raise ClusterError("the apiserver does not say what version it is")
        return found

    async def _refresh(self, path: str) -> bool:
        known = self._parts.get(path)
        headers = {"If-None-Match": known.etag} if known is not None and known.etag else {}
        request = Request(Call("GET", "discover"), path, accept=_ACCEPT, headers=headers, allow=(304, 406))
        answer = await self._session.request(request)
        if answer.code == 304:
            return False
        found = wire.decode(answer.body) if answer.code == 200 else {}
        if found.get("kind") != "APIGroupDiscoveryList":
            raise ClusterError("the API server has no aggregated discovery", hint="Kubernetes 1.27 or newer is needed")
        groups = wire.maps(found, "items")
        self._parts[path] = _Part(
            answer.etag,
            tuple(resource for group in groups for resource in _resources(group)),
            frozenset(_group(group) for group in groups if _stale(group)),
        )
        return True


def _group(group: Object) -> str:
    return tree.get_text(group, "metadata", "name")


def _stale(group: Object) -> bool:
    """An aggregated apiserver that does not answer now: its resources may be missing or old."""
    return any(version.get("freshness", "Current") != "Current" for version in wire.maps(group, "versions"))


def _resources(group: Object) -> Iterator[Resource]:
    for position, version in enumerate(wire.maps(group, "versions")):
        for served in wire.maps(version, "resources"):
            kind, verbs = tree.get_text(served, "responseKind", "kind"), served.get("verbs")
            if kind:
                yield Resource(
                    _group(group),
                    tree.get_text(version, "version"),
                    kind,
                    tree.get_text(served, "resource"),
                    served.get("scope") == "Namespaced",
                    frozenset(str(verb) for verb in verbs) if isinstance(verbs, list) else frozenset(),
                    position == 0,
                )
