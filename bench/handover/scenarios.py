"""Hand-overs: each scenario plays faults on a fleet and gives the verdict. ACTS play several at once, for a short way through all."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from bench.handover import faults, judge
from bench.handover.fleet import Verdict, shown
from bench.handover.judge import Fault
from testbed.processes import NotReadyError, ProcessError, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from bench.handover.commits import Commits
    from bench.handover.faults import Event
    from bench.handover.fleet import Fleet
    from testbed.agent import Agent

APPLICATIONS = 9
GATES = 3
"""How many of them have a gate."""
_LEASE_GONE = 45.0
_STATUS_TRUE = 30.0
_RESTARTED = 6.0


def pauses(fleet: Fleet) -> Verdict:
    """SIGSTOP for 1, 12, 20 and 40 s, one of the agents with a clock two hours ahead, and one cut off for 25 s."""
    first, second, ahead, relayed = fleet.agents[:4]
    return _play(
        fleet,
        "pauses",
        (0, faults.pause(fleet, second, 40, limit=faults.AT_ONCE)),
        (2, faults.cut_off(fleet, relayed, 25, limit=faults.AT_ONCE)),
        (4, faults.pause(fleet, ahead, 20, limit=faults.AT_ONCE)),
        (25, faults.pause(fleet, first, 1)),
        (28, faults.pause(fleet, first, 12)),
        end=40,
    )


def midway(fleet: Fleet) -> Verdict:
    """Three agents stopped in the middle of a wave, of a prune and of a heal."""
    began = _all(fleet)
    wave, prune, heal = _apart(fleet)
    faults.together(
        (0, faults.stopped_in_a_wave(fleet, wave)),
        (0, faults.stopped_in_a_prune(fleet, prune)),
        (0, faults.stopped_in_a_heal(fleet, heal)),
    )
    time.sleep(5)
    return fleet.settle("midway", began)


def scaling(fleet: Fleet) -> Verdict:
    """1 → 3 → 1 → 3 agents under commits, while owners wait in a wave."""
    first, second, third = fleet.agents[:3]
    _rest(fleet, first)
    began = time.time()
    gates = fleet.commits[:GATES]
    with faults.mixed_commits(fleet, fleet.commits[GATES:]):
        faults.taken_over_in_a_wave(fleet, gates, [second, third])()
        faults.scale(fleet, first)()
        time.sleep(8)
        faults.scale(fleet, first, second, third)()
        time.sleep(8)
    return fleet.settle("scaling", began)


def twins(fleet: Fleet) -> Verdict:
    """A second process of an agent's name: refused while the first renews the Lease, and its heir once it stood still for long enough.

    The first wakes up beside its heir, as in a Pod that was deleted by force and runs on.
    """
    began = _all(fleet)
    original = max(fleet.agents[1:4], key=lambda each: len(fleet.held(each)))
    theirs = fleet.held(original)
    rest = [each for each in fleet.commits if each not in theirs]
    twin = fleet.installation.add_agent(original.name, label=f"{original.name}-twin-{len(fleet.agents)}")
    with fleet.committing(theirs, ask=False), fleet.committing(rest):
        found = _twin_refused(fleet, twin, original)
        original.pause()
        fleet.start(twin)
        original.resume()
        time.sleep(8)
    verdict = fleet.settle("twins", began)
    verdict.faults += found
    fleet.stop(twin, original)
    return verdict


def kills(fleet: Fleet) -> Verdict:
    """kill -9 of an agent that had reported a failure; the records of another Application of its are lost; then a restart of all.

    The other had applied the same commit before, and said so: that its last word is the same as its next one does not make it stand.
    """
    first, agent = fleet.agents[:2]
    _poll(fleet.commits, "10s")
    _rest(fleet, first)
    fleet.start(agent)
    time.sleep(faults.LEFT)
    while len(shown(agent)) < 2:  # whose an Application is follows from its uid
        fleet.begin(1)
        _poll(fleet.commits[-1:], "10s")
    began = time.time()
    broken, forgotten = [each for each in fleet.commits if each.tenant.namespace in shown(agent)][:2]
    rest = [each for each in fleet.commits if each not in (broken, forgotten)]
    with _source_away(broken):
        faults.kill(fleet, agent)()
    with faults.mixed_commits(fleet, rest):
        _forget_records(fleet, forgotten)
        found = _status_after(broken) + _record_lost(fleet, forgotten, since=began) + _lease_gone(fleet, agent)
    found += _restarted(fleet)
    verdict = fleet.settle("kills", began)
    verdict.faults += found
    _poll(fleet.commits, "5m")
    return verdict


def _poll(commits: Sequence[Commits], interval: str) -> None:
    """How often Git is asked: often, so that a failure of it is found without asking for a run, which the status would show."""
    for each in commits:
        each.tenant.configure(interval=interval)


ACTS: Mapping[str, Callable[[Fleet], Verdict]] = {
    each.__name__: each for each in (pauses, midway, scaling, twins, kills)
}
"""A pass through all that a hand-over can meet, in about four minutes."""


def play(fleet: Fleet, name: str) -> Verdict:
    """One of ACTS or SINGLE. What was waited for and did not come is a fault."""
    began = time.time()
    try:
        return {**ACTS, **SINGLE}[name](fleet)
    except NotReadyError as error:
        for agent in fleet.agents:
            agent.resume()
        fleet.relay.resume()
        return Verdict(name, [Fault("stuck", name, str(error))], seconds=time.time() - began)


def _single(name: str, fault: Callable[[Fleet], Event], end: float) -> Callable[[Fleet], Verdict]:
    def play(fleet: Fleet) -> Verdict:
        _ = _all(fleet)
        return _play(fleet, name, fault(fleet), end=end)

    return play


def _midway(name: str, fault: Callable[[Fleet, Commits], Callable[[], None]]) -> Callable[[Fleet], Verdict]:
    def play(fleet: Fleet) -> Verdict:
        began = _all(fleet)
        fault(fleet, fleet.commits[0])()
        time.sleep(5)
        return fleet.settle(name, began)

    return play


def _scale(name: str, *counts: int) -> Callable[[Fleet], Verdict]:
    def play(fleet: Fleet) -> Verdict:
        _rest(fleet, *fleet.agents[: counts[0]])
        stages = [
            (6.0 * number, faults.scale(fleet, *fleet.agents[:count])) for number, count in enumerate(counts[1:], 1)
        ]
        return _play(fleet, name, *stages, end=6.0 * len(counts), started=True)

    return play


SINGLE: Mapping[str, Callable[[Fleet], Verdict]] = {
    **{
        f"pause-{seconds}": _single(
            f"pause-{seconds}",
            lambda fleet, seconds=seconds: (2, faults.pause(fleet, fleet.agents[1], seconds)),
            2.0 + seconds,
        )
        for seconds in (1, 12, 20, 40)
    },
    "clock": _single("clock", lambda fleet: (2, faults.pause(fleet, fleet.agents[2], 20)), 22),
    "cut": _single("cut", lambda fleet: (2, faults.cut_off(fleet, fleet.agents[3], 25)), 27),
    "kill": _single("kill", lambda fleet: (2, faults.kill(fleet, fleet.agents[1])), 22),
    "wave": _midway("wave", faults.stopped_in_a_wave),
    "prune": _midway("prune", faults.stopped_in_a_prune),
    "heal": _midway("heal", faults.stopped_in_a_heal),
    "scale-1-3-1": _scale("scale-1-3-1", 1, 3, 1),
    "scale-3-1-3": _scale("scale-3-1-3", 3, 1, 3),
}
"""One fault each."""


def _all(fleet: Fleet) -> float:
    """Have the four agents of the fleet run, and everything applied; when that was, in Unix seconds."""
    _rest(fleet, *fleet.agents[:4])
    return time.time()


def _rest(fleet: Fleet, *agents: Agent) -> None:
    """Have these agents run and no others, and everything applied. What an earlier scenario left stuck is started again."""
    fleet.stop(*(agent for agent in fleet.running if agent not in agents))
    fleet.start(*agents)
    fleet.commit()
    if fleet.differs(30):
        fleet.stop(*agents)
        fleet.start(*agents)
        _ = wait_until(lambda: not fleet.differences(), 60, "everything is applied")


def _play(fleet: Fleet, name: str, *events: Event, end: float, started: bool = False) -> Verdict:
    began = time.time() if started else _all(fleet)
    faults.under_commits(fleet, *events, end=end)
    return fleet.settle(name, began)


def _apart(fleet: Fleet) -> tuple[Commits, Commits, Commits]:
    """Applications of three owners, the first of them with a gate; further ones are made until there are."""
    while True:
        found: dict[str, Commits] = {}
        for each in fleet.commits:
            owner = fleet.owner(each)
            if owner is not None and len(found) < 3:
                found.setdefault(owner.label, each)
        if len(found) == 3:
            first, second, third = found.values()
            return first, second, third
        fleet.begin(1)


@contextlib.contextmanager
def _source_away(commits: Commits) -> Generator[None]:
    """Within it the Git server does not know the repository, and the owner has said so."""
    tenant = commits.tenant
    path = tenant.repository.path
    away = path.rename(path.with_suffix(".away"))
    try:
        _ = wait_until(lambda: tenant.application.condition("Ready").get("status") == "False", 60, "Git refuses")
        yield
    finally:
        _ = away.rename(path)


def _status_after(commits: Commits) -> list[Fault]:
    """Whether the new owner, which has no trouble, says so without being asked."""
    try:
        _ = commits.tenant.application.wait("Ready", "True", revision=commits.hashes[-1], seconds=_STATUS_TRUE)
    except NotReadyError:
        reason = commits.tenant.application.condition("Ready").get("reason", "missing")
        text = f"Ready still says what the lost owner said {_STATUS_TRUE:g} s ago, {reason}"
        return [Fault("status", commits.tenant.namespace, text)]
    return []


def _forget_records(fleet: Fleet, commits: Commits) -> None:
    uid = fleet.controlplane.get(commits.tenant.application.path)["metadata"]["uid"]
    path = f"/api/v1/namespaces/{fleet.agents[0].namespace}/configmaps"
    selector = f"labelSelector=signet-gitops.dev/record-of={uid}"
    for item in fleet.controlplane.get(f"{path}?{selector}")["items"]:
        _ = fleet.controlplane.delete(f"{path}/{item['metadata']['name']}")


def _record_lost(fleet: Fleet, commits: Commits, *, since: float) -> list[Fault]:
    """Whether the new owner reported it, in an event and in a condition."""
    namespace = commits.tenant.namespace

    def reported() -> bool:
        calls = [call for call in fleet.log.read() if call.namespace == namespace and call.received >= since]
        event = any(reason == "RecordLost" for reason, _ in commits.tenant.events())
        return event and any(judge.says(call.status, "RecordLost") for call in calls if call.status is not None)

    try:
        _ = wait_until(reported, 60, "the loss of the record is reported", interval=0.2)
    except NotReadyError:
        return [Fault("record", namespace, "its records are gone, and no event or no condition says so")]
    return []


def _lease(fleet: Fleet, agent: Agent) -> str:
    """The resourceVersion of an agent's Lease; empty where there is none."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{agent.namespace}/leases/signet-agent-{agent.name}"
    code, found = fleet.controlplane.request("GET", path)
    return found["metadata"]["resourceVersion"] if code == 200 else ""


def _lease_gone(fleet: Fleet, agent: Agent) -> list[Fault]:
    try:
        _ = wait_until(lambda: not _lease(fleet, agent), _LEASE_GONE, "the Lease goes", 0.2)
    except NotReadyError:
        return [Fault("lease", agent.name, f"killed, and its Lease is there {_LEASE_GONE:g} s later")]
    return []


def _twin_refused(fleet: Fleet, twin: Agent, original: Agent) -> list[Fault]:
    """Whether a second process of a name ends by itself, and leaves the first at work."""
    try:
        fleet.start(twin)
    except ProcessError as error:
        refused = "another process has this agent's identity" in str(error)
        if refused and original.running:
            return []
    return [Fault("lease", original.name, "a second process of its name was not refused, or ended it")]


def _restarted(fleet: Fleet) -> list[Fault]:
    """All stop, and the first comes back alone: it has nothing to wait for."""
    fleet.stop(*fleet.running)
    fleet.commit()
    fleet.start(fleet.agents[0])
    began = time.monotonic()
    try:
        _ = wait_until(lambda: not fleet.differences(), 60, "all is served after a restart")
    except NotReadyError:
        return fleet.differences()
    seconds = time.monotonic() - began
    text = f"the last of its Applications served {seconds:.1f} s after a restart"
    return [Fault("slow", fleet.agents[0].label, text)] if seconds > _RESTARTED else []
