"""What is done to the agents of a fleet, and when: faults that take a while, each to be played beside others."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from bench.handover import judge
from bench.handover.commits import CORE, GATE
from testbed.agent import Agent
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from bench.handover.calls import Call
    from bench.handover.commits import Commits
    from bench.handover.fleet import Fleet

LOST = 15.0
"""Seconds until others serve the Applications of an agent that is lost: 12 for its Lease, and what it takes to look and to run."""
AT_ONCE = 27.0
"""The same where several are lost at about the same time: the heir of one may be another that is not known to be lost yet."""
LEFT = 5.0
"""The same where it said that it stops."""
TAKEN_OVER = 19.0
"""Seconds after which others have surely taken over and are at work."""
MANY = 150

Event: TypeAlias = "tuple[float, Callable[[], None]]"
"""Seconds from the beginning, and what happens then."""


def together(*events: Event) -> None:
    """Each at its time, beside the others; returns when all have ended. Raises what the first of them raised."""

    def happen(event: Event) -> None:
        time.sleep(event[0])
        event[1]()

    with ThreadPoolExecutor(len(events)) as pool:
        for each in [pool.submit(happen, event) for event in events]:
            each.result()


@contextlib.contextmanager
def mixed_commits(fleet: Fleet, commits: Sequence[Commits]) -> Generator[None]:
    """Within it commits go on: of every three repositories, two are asked to be applied, and one is not."""
    with fleet.committing([*commits[::3], *commits[1::3]]), fleet.committing(commits[2::3], ask=False):
        yield


def under_commits(fleet: Fleet, *events: Event, end: float) -> None:
    """Play events while commits go on. `end` is when the last fault is over.

    An agent that comes back meets Applications that are asked for again soon, others whose commits end shortly before, and others that
    are never asked for.
    """
    began = time.monotonic()
    with fleet.committing(fleet.commits[1::3]), ThreadPoolExecutor(1) as pool:
        with fleet.committing(fleet.commits[::3]), fleet.committing(fleet.commits[2::3], ask=False):
            playing = pool.submit(together, *events)
            time.sleep(max(1.0, end - 3 - (time.monotonic() - began)))
        playing.result()
        time.sleep(4)


def pause(fleet: Fleet, agent: Agent, seconds: float, *, limit: float = LOST) -> Callable[[], None]:
    """SIGSTOP, and SIGCONT after `seconds`."""

    def happen() -> None:
        if seconds > LOST:
            fleet.lose(agent, limit, Agent.pause)
        else:
            agent.pause()
        time.sleep(seconds)
        agent.resume()

    return happen


def cut_off(fleet: Fleet, agent: Agent, seconds: float, *, limit: float = LOST) -> Callable[[], None]:
    """Nothing passes between the agent behind the relay and the API server."""

    def happen() -> None:
        fleet.lose(agent, limit, lambda _: fleet.relay.drop())
        time.sleep(seconds)
        fleet.relay.resume()

    return happen


def kill(fleet: Fleet, agent: Agent) -> Callable[[], None]:
    return lambda: fleet.lose(agent, LOST, Agent.kill)


def scale(fleet: Fleet, *agents: Agent) -> Callable[[], None]:
    """Exactly these agents run."""

    def happen() -> None:
        leaving = [agent for agent in fleet.running if agent not in agents]
        if leaving:
            with ThreadPoolExecutor(len(leaving)) as pool:
                for stopped in [pool.submit(fleet.lose, agent, LEFT, Agent.stop) for agent in leaving]:
                    stopped.result()
        fleet.start(*agents)

    return happen


def stopped_in_a_wave(fleet: Fleet, commits: Commits) -> Callable[[], None]:
    """The owner waits for the gate of one commit, and is stopped until another has applied the next one."""

    def happen() -> None:
        owner = _owner(fleet, commits)
        blocked(commits)
        _stop(fleet, owner, commits, lambda: _unblock(commits))
        commits.open_gate()  # whatever waits for it still goes on now

    return happen


def stopped_in_a_prune(fleet: Fleet, commits: Commits) -> Callable[[], None]:
    """The owner is stopped between deletions, and the next commit declares what it deletes."""

    def happen() -> None:
        names = _many(fleet, commits)
        owner = _owner(fleet, commits)
        going = names[: MANY // 2 - 5]
        before = len(fleet.log.read())
        _ = commits.commit(change=["configmaps/core-0"], remove=going)
        commits.request()
        _seen(fleet, commits, before, judge.is_delete)
        _stop(fleet, owner, commits, lambda: commits.commit(change=[*going, "configmaps/core-0"]))

    return happen


def stopped_in_a_heal(fleet: Fleet, commits: Commits) -> Callable[[], None]:
    """The owner is stopped while it puts live edits right, and the next commit changes what it heals."""

    def happen() -> None:
        names = _many(fleet, commits)
        owner = _owner(fleet, commits)
        before = len(fleet.log.read())

        def edit(name: str) -> None:
            resource, _, plain = name.partition("/")
            _ = fleet.controlplane.merge(commits.tenant.path(resource, plain), {"data": {"commit": "edited"}})

        with ThreadPoolExecutor(8) as pool:
            edited = [pool.submit(edit, name) for name in names]
            _seen(fleet, commits, before, judge.is_write)
            _stop(fleet, owner, commits, lambda: commits.commit(change=names))
            for each in edited:
                each.result()

    return happen


def blocked(commits: Commits) -> None:
    """A commit whose gate does not become healthy: it changes half of what comes after, and takes something away."""
    number = commits.commit(
        change=[GATE, *(f"configmaps/core-{each}" for each in range(CORE // 2))], remove=_passing(commits), ready=False
    )
    commits.request()

    def waits() -> bool:
        found = commits.tenant.get("apps/deployments", "gate")
        return found is not None and found["metadata"]["annotations"].get("handover/commit") == str(number)

    _ = wait_until(waits, 60, "the gate is applied")


def _unblock(commits: Commits) -> None:
    """The next commit repairs the gate, and brings back what the one before took away."""
    _ = commits.commit(change=[GATE, *(f"configmaps/core-{each}" for each in range(CORE)), "configmaps/passing-0"])


def taken_over_in_a_wave(fleet: Fleet, commits: list[Commits], newcomers: list[Agent]) -> Callable[[], None]:
    """Owners wait for the gates of one commit; then others come, take some of them over, and apply the next one."""

    def happen() -> None:
        for each in commits:
            blocked(each)
        fleet.start(*newcomers)
        for each in commits:
            _unblock(each)
            each.request()
        time.sleep(8)
        for each in commits:  # those that stayed where they are wait still
            each.open_gate()

    return happen


def _passing(commits: Commits) -> list[str]:
    return [name for name in commits.newest if "passing" in name]


def _owner(fleet: Fleet, commits: Commits) -> Agent:
    return wait_until(lambda: fleet.owner(commits), 60, f"{commits.tenant.namespace} has an owner", interval=0.2)


def _stop(fleet: Fleet, owner: Agent, commits: Commits, then: Callable[[], object]) -> None:
    fleet.lose(owner, AT_ONCE, Agent.pause, known=[commits.tenant.namespace])
    _ = then()
    commits.request()
    time.sleep(TAKEN_OVER)
    owner.resume()


def _many(fleet: Fleet, commits: Commits) -> list[str]:
    """The names of many objects of an Application, applied."""
    names = [f"configmaps/many-{number}" for number in range(MANY)]
    _ = commits.commit(change=names)
    commits.request()
    namespace = commits.tenant.namespace
    _ = wait_until(
        lambda: not judge.lost(namespace, fleet.live()[namespace], commits.newest), 60, f"{namespace} is applied"
    )
    return names


def _seen(fleet: Fleet, commits: Commits, before: int, what: Callable[[Call], bool]) -> None:
    """Returns as soon as the audit log has such a call in the namespace, after the first `before` ones."""

    def seen() -> bool:
        return any(what(call) for call in fleet.log.read()[before:] if call.namespace == commits.tenant.namespace)

    _ = wait_until(seen, 60, "the agent is at work", interval=0.002)
