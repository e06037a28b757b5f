"""Several agents and many Applications on one control plane: what a hand-over is played on, and how its end is judged."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from agent.adapters.audit import anchor as anchors
from agent.adapters.audit import credential, verify
from bench.counters import samples
from bench.handover import judge
from bench.handover.calls import ANNOTATION_COMMIT, Log
from bench.handover.commits import Commits, beside
from bench.handover.judge import Fault
from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import NotReadyError, wait_until
from testbed.relay import Relay

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from bench.handover.calls import Call
    from testbed.agent import Agent

PACE = 2.0
"""Seconds between commits."""
AHEAD = 7200
"""Seconds by which one agent's clock is ahead."""
CONVERGED = 60.0
QUIET = 3.0
SAID = 30.0
_MANAGED = "labelSelector=signet-gitops.dev/application"
_COLLECTIONS = {"configmaps": "/api/v1/configmaps", "deployments": "/apis/apps/v1/deployments"}


@dataclass(frozen=True, slots=True)
class Loss:
    """An agent that was lost: when, and by namespace whose the Applications were. More than `limit` seconds until they are served is a fault."""

    at: float
    held: Mapping[str, str]
    limit: float


@dataclass(slots=True)
class Verdict:
    """How one scenario ended. `hand_over` are seconds by namespace, `late` are writes that raced with a hand-over and were put right."""

    name: str
    faults: list[Fault] = field(default_factory=list[Fault])
    hand_over: dict[str, float] = field(default_factory=dict[str, float])
    late: int = 0
    calls: int = 0
    seconds: float = 0.0

    def count(self, *kinds: judge.Kind) -> int:
        return sum(fault.kind in kinds for fault in self.faults)


class Fleet:
    """A context manager with servers of its own. `agent-2` has a clock that is ahead, `agent-3` reaches the API server by `relay`.

    With `agent_fields` a status must say by which agent, in which epoch and since when.
    """

    def __init__(self, *, seed: int = 0, agent_fields: bool = False) -> None:
        self.chance: random.Random = random.Random(seed)
        self.agent_fields: bool = agent_fields
        self.commits: list[Commits] = []
        self.losses: list[Loss] = []
        self._stack: contextlib.ExitStack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.controlplane: ControlPlane = stack.enter_context(ControlPlane(audit=True))
            servers = stack.enter_context(GitServer()), stack.enter_context(OpenBao())
            self.relay, server = stack.enter_context(self.relayed())
            self.installation: Installation = stack.enter_context(Installation(self.controlplane, *servers))
            assert self.controlplane.audit_file is not None
            self.log: Log = Log(self.controlplane.audit_file, self._credentials)
            self.installation.start()
            _ = self.installation.add_agent()
            _ = self.installation.add_agent(clock=AHEAD)
            _ = self.installation.add_agent(server=server)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def relayed(self) -> Generator[tuple[Relay, str]]:
        """A relay before the API server, and the address by which to reach that."""
        port = urlsplit(self.controlplane.url).port
        assert port is not None
        with Relay(port) as relay:
            yield relay, f"https://127.0.0.1:{relay.port}"

    @property
    def agents(self) -> list[Agent]:
        return self.installation.agents

    @property
    def running(self) -> list[Agent]:
        """The agents whose processes live."""
        return [agent for agent in self.agents if agent.running]

    def start(self, *agents: Agent) -> None:
        """All at once; returns when they are ready. Those that run already are left alone."""
        with ThreadPoolExecutor(8) as pool:
            for started in [pool.submit(agent.start) for agent in agents if not agent.running]:
                _ = started.result()

    def stop(self, *agents: Agent) -> None:
        """SIGTERM to all at once; returns when they have ended."""
        with ThreadPoolExecutor(8) as pool:
            for stopped in [pool.submit(agent.stop) for agent in agents]:
                stopped.result()

    def begin(self, applications: int, *, gates: int = 0) -> None:
        """Make tenants with an Application each, `gates` of them with a gate; returns when all are applied."""
        with ThreadPoolExecutor(4) as pool:
            made = [pool.submit(self.installation.tenant) for _ in range(applications)]
            tenants = [each.result() for each in made]
            fresh = [Commits(tenant, self.chance, gate=number < gates) for number, tenant in enumerate(tenants)]
            _ = list(pool.map(Commits.begin, fresh))
        self.commits += fresh
        _ = wait_until(lambda: not self.differences(), 90, "the first commits are applied")

    def commit(self, commits: Iterable[Commits] | None = None, *, ask: bool = True) -> None:
        """A commit to every repository, or to these, and `ask` for a run."""
        for each in self.commits if commits is None else commits:
            _ = each.any()
            if ask:
                each.request()

    @contextlib.contextmanager
    def committing(self, commits: Sequence[Commits], *, ask: bool = True) -> Generator[None]:
        """Within it a commit goes to every one of these repositories every two seconds.

        Unless one asks for runs, it is applied by an agent that takes an Application over and by no other: nothing but a fresh look at
        Git keeps a former owner from putting the commit back that it remembers.
        """

        def work(done: threading.Event) -> None:
            while not done.is_set():
                began = time.monotonic()
                self.commit(commits, ask=ask)
                _ = done.wait(max(0.0, PACE - (time.monotonic() - began)))

        with beside(work):
            yield

    # what there is

    def live(self) -> dict[str, dict[str, int]]:
        """Namespace → object → the number of its commit, of everything that the agents manage."""
        found: dict[str, dict[str, int]] = {each.tenant.namespace: {} for each in self.commits}
        for resource, path in _COLLECTIONS.items():
            for item in self.controlplane.get(f"{path}?{_MANAGED}")["items"]:
                metadata = item["metadata"]
                number = int(metadata.get("annotations", {}).get(ANNOTATION_COMMIT, 0))
                found.setdefault(metadata["namespace"], {})[f"{resource}/{metadata['name']}"] = number
        return found

    def due(self) -> list[tuple[Commits, int]]:
        """The number of the commit that has to stand of each: the newest that was asked for, or a newer one that any agent applied."""
        calls = self.log.read()
        applied = {
            each.tenant.namespace: judge.Applied(call for call in calls if call.namespace == each.tenant.namespace)
            for each in self.commits
        }
        return [(each, max(each.asked, applied[each.tenant.namespace].newest)) for each in self.commits]

    def differences(self) -> list[Fault]:
        """How the cluster differs from the commits that are due."""
        due, live = self.due(), self.live()
        return [
            fault
            for each, number in due
            for fault in judge.lost(each.tenant.namespace, live[each.tenant.namespace], each.declared[number])
        ]

    def differs(self, seconds: float) -> list[Fault]:
        """What still differs after so many seconds; nothing as soon as nothing does."""
        return _left(self.differences, seconds)

    def holding(self) -> dict[str, list[str]]:
        """Label → the namespaces of the Applications that a running agent shows in its metrics."""
        return {agent.label: shown(agent) for agent in self.running}

    def owner(self, commits: Commits) -> Agent | None:
        """The running agent that wrote last for an Application."""
        writer = judge.writers(self.log.read()).get(commits.tenant.namespace)
        return next((agent for agent in self.running if agent.label == writer), None)

    def held(self, agent: Agent) -> list[Commits]:
        """The Applications for which an agent wrote last."""
        writers = judge.writers(self.log.read())
        return [each for each in self.commits if writers.get(each.tenant.namespace) == agent.label]

    def lose(
        self, agent: Agent, limit: float, how: Callable[[Agent], None], *, known: Sequence[str] | None = None
    ) -> None:
        """Do something to an agent after which others have to serve its Applications within `limit` seconds.

        `known` are the namespaces that it has, where one did ask before and the moment counts.
        """
        theirs = [each.tenant.namespace for each in self.held(agent)] if known is None else known
        at = time.time()
        how(agent)
        self.losses.append(Loss(at, dict.fromkeys(theirs, agent.label), limit))

    def _credentials(self) -> dict[str, str]:
        return {credential: agent.label for agent in self.agents for credential in agent.credentials}

    def logs(self) -> str:
        """What every agent printed that is no news of a success."""
        lines = (f"{agent.label}: {line}" for agent in self.agents for line in agent.logs().splitlines())
        return "\n".join(line for line in lines if '"level": "info"' not in line)

    # how it ends

    def settle(self, name: str, since: float) -> Verdict:
        """Judge what happened since `since`, in Unix seconds, and what there is now that all is over.

        Nothing is asked for until it has become quiet: what an agent that came back put wrong must not be hidden by the next run. A
        last commit then shows who writes, and that it is served.
        """
        verdict = Verdict(name)
        namespaces = [each.tenant.namespace for each in self.commits]
        verdict.faults += self.differs(CONVERGED)
        quiet = time.monotonic() + QUIET
        while time.monotonic() < quiet and not verdict.faults:
            # what is applied between reading what is due and what there is, is no difference
            verdict.faults += self.differs(5.0)
        verdict.faults += _left(self._stale, SAID)
        owners: dict[str, str] = {}

        def disowned() -> list[Fault]:
            found, faults = judge.owners(namespaces, self.holding())
            owners.update(found)
            return faults

        verdict.faults += _left(disowned, SAID)
        last = time.time()
        self.commit()
        verdict.faults += self.differs(CONVERGED)
        verdict.faults += _left(lambda: self._stale(owners if self.agent_fields else {}), SAID)
        calls = self.log.read()
        verdict.faults += judge.other_writers(calls, owners, since=last)
        verdict.faults += self.broken_chains()
        commits = {each.tenant.namespace: each.declared for each in self.commits}
        verdict.faults += judge.judge(calls, commits, since=since)
        verdict.late = judge.late_writes(calls, commits, since=since)
        verdict.calls = sum(bool(call.agent) and call.received >= since for call in calls)
        self._measure(verdict, calls)
        verdict.seconds = time.time() - since
        return verdict

    def _measure(self, verdict: Verdict, calls: Sequence[Call]) -> None:
        for loss in self.losses:
            seconds = judge.taken_over(calls, loss.held, since=loss.at)
            verdict.hand_over |= seconds
            verdict.faults += [
                Fault("slow", namespace, f"served by another agent after {taken:.1f} s", loss.at)
                for namespace, taken in seconds.items()
                if taken > loss.limit
            ]
        self.losses.clear()

    def _stale(self, owners: Mapping[str, str] | None = None) -> list[Fault]:
        names = {agent.label: agent.name for agent in self.agents}
        return [
            fault
            for each, number in self.due()
            for fault in judge.stale_status(
                each.tenant.namespace,
                each.tenant.application.status(),
                each.hashes[number],
                owner=names.get((owners or {}).get(each.tenant.namespace, ""), ""),
            )
        ]

    def broken_chains(self) -> list[Fault]:
        """The audit trails that do not verify, each against the anchor of its agent's name.

        Two processes of one name share an anchor and each have half of the trail, so of theirs the records alone are judged.
        """
        faults: list[Fault] = []
        names = Counter(agent.name for agent in self.agents)
        for agent in self.agents:
            path = f"/api/v1/namespaces/{agent.namespace}/configmaps/{anchors.name(agent.name)}"
            code, stored = self.controlplane.request("GET", path)
            if code != 200 or not agent.audit_file.exists():
                continue
            anchor = anchors.parse(stored)
            with agent.audit_file.open("rb") as lines:
                report = verify.verify(lines, credential.public_keys(anchor.public_key), anchor)
            faults += [
                Fault("audit", agent.label, f"line {each.line}: {each.message}")
                for each in report.findings
                if names[agent.name] == 1 or each.kind not in {"cut", "removal"}
            ]
        return faults


def shown(agent: Agent) -> list[str]:
    """The namespaces of the Applications in an agent's metrics; none where it does not answer."""
    try:
        text = agent.metrics()
    except OSError:
        return []
    return sorted({labels["namespace"] for labels, _ in samples(text, "signet_objects")})


def _left(faults: Callable[[], list[Fault]], seconds: float) -> list[Fault]:
    """What is still wrong after `seconds`; nothing as soon as nothing is."""
    with contextlib.suppress(NotReadyError):
        _ = wait_until(lambda: not faults(), seconds, "nothing is wrong", interval=0.2)
        return []
    return faults()
