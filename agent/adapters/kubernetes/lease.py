"""Membership: each agent holds a Lease of its own, and those that are renewed are the live agents.

An agent may write only while its Lease is surely valid, by its own boot-time clock, which goes on while the process is
paused. Others count it as live until they have seen no renewal for the whole duration, by their clock; the times inside
the Leases are for people. What this does not promise: a request in flight when the process is paused may still land.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.adapters.kubernetes import paths, wire
from agent.adapters.kubernetes.objects import Objects, call
from agent.adapters.kubernetes.resources import LEASE
from agent.adapters.kubernetes.session import Request
from agent.adapters.kubernetes.status import micro_time
from agent.values import tree
from agent.values.errors import AgentError, ClusterError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.kubernetes.session import Session
    from agent.values.tree import Object

LOG = logging.getLogger(__name__)
LABEL_MEMBER = "signet-gitops.dev/agent-lease"


def boot_time() -> float:
    """Seconds since boot, time asleep included where the system counts it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class Terms:
    """In seconds: a Lease counts for `duration`, is renewed every `renew`, allows writes for `safe` from a renewal."""

    duration: int = 15
    renew: float = 5.0
    safe: float = 10.0


@dataclass(slots=True)
class _Seen:
    version: str
    at: float


class Membership:
    """`identity` must be unique among running agents (the Pod's name); `token` unique to this process.

    A later process of the same identity takes the Lease over at once: the platform ended the earlier one, and if it did
    not, the earlier one finds out at its next renewal, at the latest when `safe` is over.
    """

    def __init__(
        self,
        session: Session,
        namespace: str,
        identity: str,
        *,
        token: str,
        now: Callable[[], float],
        clock: Callable[[], float] = boot_time,
        terms: Terms = Terms(),
    ) -> None:
        self._session: Session = session
        self._objects: Objects = Objects(session, lambda _: False)
        self._namespace: str = namespace
        self.identity: str = identity
        self._holder: str = f"{identity}_{token}"
        self._now: Callable[[], float] = now
        self._clock: Callable[[], float] = clock
        self._terms: Terms = terms
        self._valid_until: float = float("-inf")
        self._version: str = ""
        self._uid: str = ""
        self._seen: dict[str, _Seen] = {}
        self._members: tuple[str, ...] = ()

    def check(self) -> None:
        """The session's guard. Raises LeaseLostError where this agent may no longer write."""
        if self._clock() >= self._valid_until:
            raise LeaseLostError(
                "this agent's Lease is not renewed, so it may not write", hint="it goes on when the apiserver answers"
            )

    @property
    def members(self) -> tuple[str, ...]:
        """The identities of the live agents, sorted, this one among them while it may write."""
        return self._members

    async def acquire(self) -> None:
        """Take the Lease of this identity. Raises ClusterError."""
        sent = self._clock()
        found = await self._get()
        if found is None:
            answer = await self._send("POST", self._body("", ""), allow=(409,))
            if answer is None:
                found = await self._get()
            else:
                self._renewed(answer, sent)
        if found is not None:
            metadata = found["metadata"]
            answer = await self._send("PUT", self._body(metadata["uid"], metadata["resourceVersion"]))
            self._renewed(answer, sent)
        await self._look()

    async def run(self) -> None:
        """Renew for ever. Raises LeaseLostError when another process took this identity over; all else is outlasted."""
        while True:
            await asyncio.sleep(self._terms.renew)
            try:
                async with asyncio.timeout(self._terms.safe):
                    await self._renew()
                    await self._look()
            except LeaseLostError:
                self._valid_until = float("-inf")
                self._members = ()
                raise
            except TimeoutError:
                self._missed("the apiserver did not answer in time")
            except AgentError as error:
                self._missed(error.message)

    async def release(self) -> None:
        """Delete the Lease, so that others take over at once, unless it is another's by now. Raises ClusterError."""
        self._valid_until = float("-inf")
        self._members = ()
        uid, self._uid = self._uid, ""
        for _ in range(3):
            if not uid or not await self._delete(uid):
                return
            # a renewal that was cut short may have landed
            found = await self._get()
            uid = found["metadata"]["uid"] if found is not None and self._holds(found) else ""
            self._version = found["metadata"]["resourceVersion"] if found is not None else ""

    async def _delete(self, uid: str) -> bool:
        """Delete the Lease as it was seen last; whether it changed meanwhile and still stands."""
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid, "resourceVersion": self._version},
        }
        request = Request(
            call("DELETE", "delete", LEASE, self._namespace, self._name),
            paths.item(LEASE, self._namespace, self._name),
            body=wire.encode(options),
            allow=(404, 409),
            urgent=True,
        )
        return (await self._session.request(request)).code == 409

    def _holds(self, found: dict[str, Any]) -> bool:
        return found["spec"].get("holderIdentity") == self._holder

    @property
    def _name(self) -> str:
        return f"signet-agent-{self.identity}"

    async def _renew(self) -> None:
        sent = self._clock()
        answer = await self._send("PUT", self._body(self._uid, self._version), allow=(404, 409))
        if answer is not None:
            self._renewed(answer, sent)
            return
        found = await self._get()
        if found is None:
            await self.acquire()
        elif not self._holds(found):
            raise LeaseLostError("another process runs under this agent's identity", identity=self.identity)
        else:
            # an earlier renewal landed though its answer was lost, or somebody annotated the Lease
            self._version = found["metadata"]["resourceVersion"]
            await self._renew()

    async def _look(self) -> None:
        """Who else is there. A Lease is live for `duration` after this agent saw it change."""
        now = self._clock()
        listed = await self._objects.list(LEASE, namespace=self._namespace, selector=f"{LABEL_MEMBER}=true")
        live: set[str] = set()
        seen: dict[str, _Seen] = {}
        for item in listed:
            name = tree.get_text(item, "metadata", "name").removeprefix("signet-agent-")
            version = tree.get_text(item, "metadata", "resourceVersion")
            before = self._seen.get(name)
            seen[name] = before if before is not None and before.version == version else _Seen(version, now)
            if tree.get_text(item, "spec", "holderIdentity") and now - seen[name].at < self._terms.duration:
                live.add(name)
        self._seen = seen
        self._members = tuple(sorted(live | {self.identity}))

    def _missed(self, cause: str) -> None:
        """`check` refuses writes once `safe` is over; the next renewal allows them again."""
        if self._clock() >= self._valid_until:
            self._members = ()
        LOG.warning("the Lease was not renewed", extra={"cause": cause})

    def _renewed(self, answer: dict[str, Any] | None, sent: float) -> None:
        if answer is None:
            raise ClusterError("the Lease was taken in between", identity=self.identity)
        self._uid, self._version = answer["metadata"]["uid"], answer["metadata"]["resourceVersion"]
        self._valid_until = sent + self._terms.safe

    async def _get(self) -> dict[str, Any] | None:
        asked = call("GET", "get", LEASE, self._namespace, self._name)
        path = paths.item(LEASE, self._namespace, self._name)
        answer = await self._session.request(Request(asked, path, allow=(404,), urgent=True))
        return None if answer.code == 404 else dict(wire.decode(answer.body))

    async def _send(self, method: str, body: Object, allow: tuple[int, ...] = ()) -> dict[str, Any] | None:
        """The Lease as stored; None for one of the allowed refusals."""
        verb = "create" if method == "POST" else "update"
        path = (
            paths.collection(LEASE, self._namespace)
            if method == "POST"
            else paths.item(LEASE, self._namespace, self._name)
        )
        asked = call(method, verb, LEASE, self._namespace, self._name)
        answer = await self._session.request(
            Request(asked, path, {"fieldManager": "signet"}, wire.encode(body), allow=allow, urgent=True)
        )
        return dict(wire.decode(answer.body)) if answer.code < 300 else None

    def _body(self, uid: str, version: str) -> Object:
        renewed = micro_time(self._now())
        metadata: Object = {"name": self._name, "namespace": self._namespace, "labels": {LABEL_MEMBER: "true"}}
        if uid:
            metadata["uid"], metadata["resourceVersion"] = uid, version
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": self._terms.duration,
                "acquireTime": renewed,
                "renewTime": renewed,
            },
        }
