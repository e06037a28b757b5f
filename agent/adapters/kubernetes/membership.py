"""Membership: each agent holds a Lease of its own, and those that are renewed are the live agents.

An agent may write only while its Lease is surely valid, by its own boot-time clock, which goes on while the process is
paused. Others count it as live until they have seen no renewal for the whole duration, by their clock, and since their own Lease
last lapsed; the times inside the Leases are for people. A watch shows renewals, newcomers and Leases that were given back; that
an agent is dead is only believed after a list.

What this does not promise: that no two agents count an Application as theirs. `agent.engine.fence` decides that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agent.adapters.kubernetes.leases import identity_of, spec_of
from agent.values import tree
from agent.values.errors import AgentError, ClusterError, ClusterUnavailableError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from agent.adapters.kubernetes.leases import Leases
    from agent.values.tree import Object

LOG = logging.getLogger(__name__)
_ATTEMPTS = 4
_SOON = 0.5
"""Seconds until the next attempt to learn whether an agent is dead, where the last one failed."""


def boot_time() -> float:
    """Seconds since boot, time asleep included where the system counts it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class Terms:
    """In seconds: a Lease counts for `duration`, is renewed every `renew`, allows writes for `safe` from a renewal."""

    duration: int = 12
    renew: float = 4.0
    safe: float = 8.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A Lease, and when this agent saw it change. `holder` is empty where it is not held."""

    uid: str
    version: str
    holder: str
    at: float


def _taken(identity: str) -> LeaseLostError:
    return LeaseLostError(
        "another process has this agent's identity",
        hint="give each agent its own name, with --name or SIGNET_AGENT_NAME",
        identity=identity,
    )


class Membership:
    """`identity` must be unique among running agents (the Pod's name); `token` unique to this process.

    A later process of the same identity, such as a container that was restarted in place, takes the Lease over once it was not renewed
    for its whole duration. Where it was renewed, two processes run under one identity, and the later one is refused.

    `term` grows with each time that the Lease is taken, and with each renewal that came after it had lapsed: what was
    decided in an earlier term counts no more. `changed` is set where `members` or `term` did. `trouble` is why the last renewal failed.
    """

    def __init__(
        self,
        leases: Leases,
        identity: str,
        *,
        token: str,
        now: Callable[[], float],
        clock: Callable[[], float] = boot_time,
        terms: Terms = Terms(),
    ) -> None:
        self._leases: Leases = leases
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
        self._watched: set[str] = set()
        self._looked_at: float = float("-inf")
        self._look_again_at: float = float("-inf")
        self._nudge: asyncio.Event = asyncio.Event()
        self.term: int = 0
        self.trouble: AgentError | None = None
        self.changed: asyncio.Event = asyncio.Event()

    def check(self) -> None:
        """The session's guard. Raises LeaseLostError where this agent may no longer write."""
        if not self.held:
            raise LeaseLostError(
                "this agent's Lease is not renewed, so it may not write",
                hint="it continues when the API server answers",
            )

    @property
    def held(self) -> bool:
        """Whether this agent may write."""
        return self._clock() < self._valid_until

    @property
    def members(self) -> tuple[str, ...]:
        """The identities of the live agents, sorted, this one among them while it may write."""
        return self._members

    async def acquire(self) -> None:
        """Take the Lease of this identity. Raises ClusterError, and LeaseLostError where another process renews it."""
        await self._take(await self._outlast())

    async def _outlast(self) -> str:
        """Wait until a Lease that an earlier process left has run out; gives who had it. Only its renewals show whether that one lives."""
        first = found = await self._leases.get(self.identity)
        until = self._clock() + self._terms.duration
        if found is not None and not self._holds(found):
            LOG.info("waiting for the Lease of an earlier process to expire", extra={"identity": self.identity})
        while found is not None and not self._holds(found):
            if first is not None and found["spec"] != first["spec"]:
                raise _taken(self.identity)
            if (left := until - self._clock()) <= 0:
                return str(found["spec"].get("holderIdentity", ""))
            await asyncio.sleep(min(left, self._terms.renew / 4))
            found = await self._leases.get(self.identity)
        return ""

    async def _take(self, former: str) -> None:
        """Write the Lease where there is none, or where it is this process's or the `former` one's. Raises as `acquire`."""
        for _ in range(_ATTEMPTS):
            sent = self._clock()
            found = await self._leases.get(self.identity)
            if found is not None and not self._holds(found) and found["spec"].get("holderIdentity", "") != former:
                raise _taken(self.identity)
            # one of an agent that died may be removed at the same moment
            answer = await (
                self._leases.create(self.identity, self._spec())
                if found is None
                else self._update(found["metadata"]["uid"], found["metadata"]["resourceVersion"])
            )
            if answer is not None:
                self._renewed(answer, sent)
                await self._look()
                return
        raise ClusterError("the Lease was taken by another process in the meantime", identity=self.identity)

    def recheck(self) -> None:
        """Renew and look at once: a write was refused, so another agent may be there."""
        self._nudge.set()

    async def run(self) -> None:
        """Renew for ever. Raises LeaseLostError when another process took this identity over; all else is outlasted."""
        watching = asyncio.create_task(self._follow(), name="leases")
        try:
            due = self._clock() + self._terms.renew
            while True:
                rechecked = await self._wait(min(due, self._next_look()))
                if watching.done():
                    watching.result()
                if rechecked or self._clock() >= due:
                    due = self._clock() + self._terms.renew
                    await self._in_time(self._renew())
                if rechecked or self._clock() >= self._next_look():
                    self._look_again_at = self._clock() + _SOON
                    await self._in_time(self._look(), due - self._clock())
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _wait(self, until: float) -> bool:
        """Whether `recheck` was called before the boot-time clock says `until`; not right after the last look."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._nudge.wait(), max(0.0, until - self._clock()))
            await asyncio.sleep(max(0.0, self._look_again_at - self._clock()))
        asked = self._nudge.is_set()
        self._nudge.clear()
        return asked

    def _next_look(self) -> float:
        """When a list is due: one of the members may be dead, or a watch that has broken may have missed one."""
        if not self._members:
            return self._look_again_at
        others = [seen.at for name, seen in self._seen.items() if name != self.identity and name in self._members]
        return max(min(others, default=self._looked_at) + self._terms.duration, self._look_again_at)

    async def _in_time(self, work: Awaitable[None], seconds: float = 0.0) -> None:
        """Within `seconds`, which keeps a slow list from costing the Lease, or while the Lease is safe."""
        try:
            async with asyncio.timeout(max(seconds, _SOON) if seconds else self._terms.safe):
                await work
        except LeaseLostError:
            self._valid_until = float("-inf")
            self._set_members(())
            raise
        except TimeoutError:
            self._missed(ClusterUnavailableError("the API server did not answer in time"))
        except AgentError as error:
            self._missed(error)

    async def _follow(self) -> None:
        """Keep what is known of the Leases as new as a watch can."""
        async for event in self._leases.watch().events():
            name = identity_of(event.object)
            now = self._clock()
            self._watched.add(name)
            if event.type == "present":
                self._seen[name] = self._see(name, event.object, now)
            elif event.type == "gone":
                self._seen.pop(name, None)
            self._judge({name for name in self._members if name in self._seen and self._seen[name].holder}, now)

    async def release(self) -> None:
        """Delete the Lease, so that others take over at once, unless it is another's by now. Raises ClusterError."""
        self._valid_until = float("-inf")
        self._set_members(())
        uid, self._uid = self._uid, ""
        for _ in range(3):
            if not uid or not await self._leases.delete(self.identity, uid, self._version):
                return
            # a renewal that was cut short may have landed
            found = await self._leases.get(self.identity)
            uid = found["metadata"]["uid"] if found is not None and self._holds(found) else ""
            self._version = found["metadata"]["resourceVersion"] if found is not None else ""

    def _holds(self, found: dict[str, Any]) -> bool:
        return found["spec"].get("holderIdentity") == self._holder

    async def _renew(self) -> None:
        sent = self._clock()
        answer = await self._update(self._uid, self._version)
        if answer is not None:
            self._renewed(answer, sent)
            return
        found = await self._leases.get(self.identity)
        if found is None:
            # others may have taken it for given back
            self._valid_until = float("-inf")
            await self._take("")
        elif not self._holds(found):
            raise _taken(self.identity)
        else:
            # an earlier renewal landed though its answer was lost, or another client annotated the Lease
            self._version = found["metadata"]["resourceVersion"]
            await self._renew()

    async def _look(self) -> None:
        """Who else is there, by a list; Leases of dead agents are removed. An agent is dead where its Lease did not change for `duration`."""
        now = self._clock()
        self._watched.clear()
        listed = await self._leases.list()
        watched = {name: seen for name, seen in self._seen.items() if name in self._watched}
        self._looked_at = now
        # what the watch said meanwhile may be newer than the list
        self._seen = {
            name: self._see(name, item, now) for name, item in listed.items() if name not in self._watched
        } | watched
        self._judge((), now)
        dead = [name for name, seen in self._seen.items() if name != self.identity and not self._is_live(seen, now)]
        # one of the living does it; where two do, the preconditions decide
        if self._members[:1] == (self.identity,):
            for name, seen in [(name, self._seen.pop(name)) for name in dead]:
                await self._remove(name, seen)

    async def _remove(self, name: str, seen: _Seen) -> None:
        """Remove the Lease of a dead agent, so that no later one waits for it."""
        try:
            if not await self._leases.delete(name, seen.uid, seen.version):
                LOG.info("the Lease of an agent that is gone was removed", extra={"identity": name})
        except AgentError as error:
            LOG.warning("the Lease of an agent that is gone was not removed", extra={"cause": error.message})

    def _see(self, name: str, item: Object, now: float) -> _Seen:
        before = self._seen.get(name)
        version = tree.get_text(item, "metadata", "resourceVersion")
        if before is not None and before.version == version:
            return before
        holder = tree.get_text(item, "spec", "holderIdentity")
        return _Seen(tree.get_text(item, "metadata", "uid"), version, holder, now)

    def _is_live(self, seen: _Seen, now: float) -> bool:
        return bool(seen.holder) and now - seen.at < self._terms.duration

    def _judge(self, believed: Collection[str], now: float) -> None:
        """Count the members: those whose Lease is renewed, and those that are `believed` to live until a list says otherwise."""
        if now < self._valid_until:
            live = {name for name, seen in self._seen.items() if self._is_live(seen, now)}
            self._set_members(tuple(sorted({*live, *believed, self.identity})))

    def _set_members(self, members: tuple[str, ...]) -> None:
        if members != self._members:
            self._members = members
            self.changed.set()

    def _missed(self, error: AgentError) -> None:
        """`check` refuses writes once `safe` is over; the next renewal allows them again."""
        self.trouble = error
        if not self.held:
            self._set_members(())
        LOG.warning("the Lease was not renewed", extra={"cause": error.message})

    def _renewed(self, answer: dict[str, Any], sent: float) -> None:
        self._uid, self._version = answer["metadata"]["uid"], answer["metadata"]["resourceVersion"]
        self.trouble = None
        if not self.held:
            # it had lapsed, whether that was noticed or not: another agent may have written since, and others may have come
            self.term += 1
            # while this agent slept or the API server was away, others could not be seen to renew
            self._seen = {name: replace(seen, at=self._clock()) for name, seen in self._seen.items()}
            self._set_members(())
            self.changed.set()
        self._valid_until = sent + self._terms.safe

    async def _update(self, uid: str, version: str) -> dict[str, Any] | None:
        return await self._leases.update(self.identity, self._spec(), uid, version)

    def _spec(self) -> Object:
        return spec_of(self._holder, self._terms.duration, self._now())
