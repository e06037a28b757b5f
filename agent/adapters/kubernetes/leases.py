"""The Leases of agents in one namespace, as the API server keeps them: one per identity, named after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agent.adapters.kubernetes import paths, wire
from agent.adapters.kubernetes.objects import Objects, call
from agent.adapters.kubernetes.resources import LEASE
from agent.adapters.kubernetes.session import Request
from agent.adapters.kubernetes.status import micro_time
from agent.adapters.kubernetes.watch import Watch
from agent.api import names
from agent.values import tree

if TYPE_CHECKING:
    from agent.adapters.kubernetes.session import Session
    from agent.values.tree import Object

LABEL_MEMBER: Final = "signet-gitops.dev/agent-lease"
_SELECTOR: Final = f"{LABEL_MEMBER}=true"
_PREFIX: Final = "signet-agent-"


class Leases:
    """All requests but those of the watch are urgent: they are sent before others that wait. Each raises ClusterError."""

    def __init__(self, session: Session, namespace: str) -> None:
        self._session: Final = session
        self._objects: Final = Objects(session, lambda _: False)
        self._namespace: Final = namespace

    async def get(self, identity: str) -> dict[str, Any] | None:
        """None where there is none."""
        asked = call("GET", "get", LEASE, self._namespace, _name(identity))
        path = paths.item(LEASE, self._namespace, _name(identity))
        answer = await self._session.request(Request(asked, path, allow=(404,), urgent=True))
        return None if answer.code == 404 else dict(wire.decode(answer.body))

    async def list(self) -> dict[str, Object]:
        """By identity."""
        listed = await self._objects.list(LEASE, namespace=self._namespace, selector=_SELECTOR)
        return {identity_of(item): item for item in listed}

    def watch(self) -> Watch:
        """Of all; `identity_of` says whose each is."""
        return Watch(self._session, LEASE, lambda _: False, namespace=self._namespace, selector=_SELECTOR)

    async def create(self, identity: str, spec: Object) -> dict[str, Any] | None:
        """The Lease as stored; None where there is one."""
        return await self._send("POST", "create", identity, self._body(identity, spec), (409,))

    async def update(self, identity: str, spec: Object, uid: str, version: str) -> dict[str, Any] | None:
        """The Lease as stored; None where it is gone, or is not the one of this uid and version."""
        body = self._body(identity, spec, uid=uid, resourceVersion=version)
        return await self._send("PUT", "update", identity, body, (404, 409))

    async def delete(self, identity: str, uid: str, version: str) -> bool:
        """Delete a Lease as it was seen last; whether it changed meanwhile and still stands."""
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid, "resourceVersion": version},
        }
        request = Request(
            call("DELETE", "delete", LEASE, self._namespace, _name(identity)),
            paths.item(LEASE, self._namespace, _name(identity)),
            body=wire.encode(options),
            allow=(404, 409),
            urgent=True,
        )
        return (await self._session.request(request)).code == 409

    async def _send(
        self, method: str, verb: str, identity: str, body: Object, allow: tuple[int, ...]
    ) -> dict[str, Any] | None:
        path = (
            paths.collection(LEASE, self._namespace)
            if method == "POST"
            else paths.item(LEASE, self._namespace, _name(identity))
        )
        asked = call(method, verb, LEASE, self._namespace, _name(identity))
        answer = await self._session.request(
            Request(asked, path, {"fieldManager": names.FIELD_MANAGER}, wire.encode(body), allow=allow, urgent=True)
        )
        return dict(wire.decode(answer.body)) if answer.code < 300 else None

    def _body(self, identity: str, spec: Object, **metadata: str) -> Object:
        named: Object = {"name": _name(identity), "namespace": self._namespace, "labels": {LABEL_MEMBER: "true"}}
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": {**named, **metadata}, "spec": spec}


def spec_of(holder: str, duration: int, now: float) -> Object:
    """Of a Lease that `holder` renews at `now`, in Unix seconds, for `duration` seconds."""
    renewed = micro_time(now)
    return {"holderIdentity": holder, "leaseDurationSeconds": duration, "acquireTime": renewed, "renewTime": renewed}


def identity_of(lease: Object) -> str:
    """Whose it is."""
    return tree.get_text(lease, "metadata", "name").removeprefix(_PREFIX)


def _name(identity: str) -> str:
    return f"{_PREFIX}{identity}"
