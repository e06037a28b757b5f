"""The soak: an agent is killed, cut off and fought with for as long as one likes, and has to come to the same end every time.

Cycles of faults, drawn by `--seed`: kill -9 at random moments of a sync, an apiserver that goes and comes back, a sealed Vault, Git
away, live objects edited and deleted. After each cycle the cluster must hold exactly what Git asks for, the audit trail must verify,
and no secret may stand anywhere but in a Secret. CI runs `killed` and `converged` with a fixed seed: see tests/e2e.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.adapters.audit import anchor as anchors
from agent.adapters.audit import credential, verify
from testbed.canary import Canaries
from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.installation import STORE, Installation
from testbed.openbao import OpenBao
from testbed.processes import ProcessError, terminated_as_interrupt, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.audit.verify import Report
    from testbed.agent import Agent
    from testbed.installation import Tenant

KINDS = ("configmaps", "secrets", "serviceaccounts")
_OBJECTS = 60
_MOMENTS = 6
"""Writes of the audit trail in one sync, about: a kill waits for one of them, and then a little."""


class History:
    """A seeded sequence of commits to a tenant's repository: objects come, change and go, a few at a time."""

    def __init__(self, tenant: Tenant, chance: random.Random) -> None:
        self.tenant: Tenant = tenant
        self._chance: random.Random = chance
        self.wanted: dict[str, dict[str, str]] = {}
        self._commits: int = 0

    def begin(self) -> None:
        """The first commit, and the Application."""
        installation = self.tenant.installation
        self._password: str = installation.canary("soak")
        installation.openbao.put(
            f"apps/{self.tenant.namespace}", {"password": self._password}, mount=installation.mount
        )
        files = {self._path(name): self._make(name) for name in (self._name() for _ in range(_OBJECTS))}
        _ = self.tenant.deploy(files, interval="10s")

    def commit(self) -> str:
        """Change ten objects, bring three, and take two away: too few for the agent to ask a person."""
        names = sorted(self.wanted)
        gone = self._chance.sample(names, 2)
        changed = self._chance.sample([name for name in names if name not in gone], 10)
        for name in gone:
            del self.wanted[name]
        fresh = [self._name() for _ in range(3)]
        files: dict[str, str | None] = {self._path(name): self._make(name) for name in (*changed, *fresh)}
        files.update({self._path(name): None for name in gone})
        return self.tenant.commit(files)

    def spoil(self) -> None:
        """Edit some live objects and delete others."""
        for name in self._chance.sample(sorted(self.wanted), 5):
            resource, _, object_name = name.partition("/")
            path = self.tenant.path(resource, object_name)
            if self._chance.random() < 0.5:
                _ = self.tenant.controlplane.request("DELETE", path)
            else:
                patch = (
                    {"data": {"value": "c3BvaWxlZA=="}}
                    if resource != "serviceaccounts"
                    else {"metadata": {"labels": None}}
                )
                _ = self.tenant.controlplane.request("PATCH", path, patch, content_type="application/merge-patch+json")

    def _name(self) -> str:
        while True:
            resource = self._chance.choices(KINDS, weights=(6, 3, 1))[0]
            name = f"{resource}/n{self._chance.randrange(400)}"
            if name not in self.wanted:
                return name

    def _path(self, name: str) -> str:
        return f"{name.replace('/', '-')}.yaml"

    def _make(self, name: str) -> str:
        self._commits += 1
        resource, _, object_name = name.partition("/")
        metadata = {"name": object_name}
        if resource == "serviceaccounts":
            self.wanted[name] = {}
            return json.dumps({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        data = {"value": str(self._commits)}
        kind, where = ("ConfigMap", "data") if resource == "configmaps" else ("Secret", "stringData")
        self.wanted[name] = dict(data)
        if kind == "Secret":
            installation = self.tenant.installation
            data["password"] = f"vault://{STORE}/{installation.mount}/apps/{self.tenant.namespace}#password"
            self.wanted[name]["password"] = self._password
        return json.dumps({"apiVersion": "v1", "kind": kind, "metadata": metadata, where: data})

    def differences(self) -> list[str]:
        """What the cluster holds otherwise than the newest commit asks; empty: it converged."""
        live = self.tenant.managed(*KINDS)
        found = [f"{name} is orphaned" for name in sorted(live - set(self.wanted))]
        found += [f"{name} is missing" for name in sorted(set(self.wanted) - live)]
        for name in sorted(live & set(self.wanted)):
            resource, _, object_name = name.partition("/")
            holds = {"configmaps": self.tenant.data, "secrets": self.tenant.secret}.get(resource, _nothing)(object_name)
            if holds != self.wanted[name]:
                found.append(f"{name} is not as committed")
        return found


def _nothing(_: str) -> dict[str, str]:
    return {}


def killed(agent: Agent, chance: random.Random) -> float:
    """Start the agent where it does not run, kill it at a random moment, and give the seconds that it lived."""
    started = time.monotonic()
    if agent.process is None:
        starting = threading.Thread(target=_started_or_killed, args=(agent,), daemon=True)
        starting.start()
        _ = wait_until(lambda: agent.process, 30, "the agent's process", interval=0.005)
    else:
        starting = None
    process = agent.process
    assert process is not None
    writes, size = chance.randrange(_MOMENTS), _size(agent)
    end = time.monotonic() + 10
    while writes and time.monotonic() < end:
        if (now := _size(agent)) != size:
            size, writes = now, writes - 1
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.2))
    _ = process.kill()
    if starting is not None:
        starting.join()
    agent.process = None
    return time.monotonic() - started


def _started_or_killed(agent: Agent) -> None:
    with contextlib.suppress(ProcessError):
        _ = agent.start()


def _size(agent: Agent) -> int:
    return agent.audit_file.stat().st_size if agent.audit_file.exists() else 0


def converged(history: History, *, seconds: float = 120.0) -> None:
    """Start the agent where it does not run and wait for the end state. Raises AssertionError, NotReadyError."""
    agent = history.tenant.installation.agent
    if agent.process is None:
        _ = agent.start()
    _ = history.tenant.until_ready(seconds=seconds)
    _ = (
        wait_until(lambda: not history.differences(), 30, "live objects as committed")
        if history.differences()
        else None
    )
    left = history.differences()
    assert not left, left


def audited(installation: Installation) -> Report:
    """Verify the audit trail against its anchor. Raises AssertionError where it does not."""
    agent = installation.agent
    path = f"/api/v1/namespaces/{agent.namespace}/configmaps/{anchors.name(agent.name)}"
    anchor = anchors.parse(installation.controlplane.get(path))
    with agent.audit_file.open("rb") as lines:
        report = verify.verify(lines, credential.public_keys(anchor.public_key), anchor)
    assert report.verified, report.findings
    return report


@dataclass(slots=True)
class Tally:
    """What a soak did."""

    seed: int
    cycles: int = 0
    kills: int = 0
    faults: dict[str, int] = field(default_factory=dict[str, int])
    records: int = 0
    seconds: float = 0.0


class Soak:
    """Cycles of faults over one installation."""

    def __init__(self, installation: Installation, seed: int) -> None:
        self.installation: Installation = installation
        self.chance: random.Random = random.Random(seed)
        self.tally: Tally = Tally(seed)
        self.histories: list[History] = [History(installation.tenant("soak"), self.chance) for _ in range(2)]
        for history in self.histories:
            history.begin()
        self._faults: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "apiserver away": self._apiserver_away,
            "vault sealed": self._vault_sealed,
            "git away": self._git_away,
            "live edits": self._live_edits,
        }

    def cycle(self, kills: int) -> None:
        """One fault of each kind in random order, `kills` kills among them; then everything must be as committed."""
        began = time.monotonic()
        faults = [name for name in self._faults if name != "kill"] + ["kill"] * kills
        self.chance.shuffle(faults)
        for name in faults:
            for history in self.histories:
                _ = history.commit()
            if name != "kill" and self.installation.agent.process is None:
                _ = self.installation.agent.start()
            self._faults[name]()
            self.tally.faults[name] = self.tally.faults.get(name, 0) + 1
        for history in self.histories:
            converged(history, seconds=180)
        self.tally.records = audited(self.installation).records
        self._search()
        self.tally.cycles += 1
        self.tally.kills += kills
        self.tally.seconds += time.monotonic() - began

    def _kill(self) -> None:
        for history in self.histories:
            _ = history.tenant.request()
        _ = killed(self.installation.agent, self.chance)

    def _apiserver_away(self) -> None:
        with self.installation.controlplane.apiserver_away():
            time.sleep(self.chance.uniform(5, 30))

    def _vault_sealed(self) -> None:
        with self.installation.openbao.sealed():
            self._busy()

    def _git_away(self) -> None:
        with self.installation.gitserver.away():
            self._busy()

    def _live_edits(self) -> None:
        for history in self.histories:
            history.spoil()
        self._busy()

    def _busy(self) -> None:
        for history in self.histories:
            _ = history.tenant.request()
        time.sleep(self.chance.uniform(1, 5))

    def _search(self) -> None:
        canaries = Canaries(self.installation.canaries)
        found = canaries.search_cluster(self.installation.controlplane)
        found += canaries.search_text(self.installation.agent.logs(), "logs")
        found += canaries.search_files(self.installation.agent.audit_file)
        assert not found, [str(finding) for finding in found]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="begin no cycle after this (default 30)")
    parser.add_argument("--kills", type=int, default=20, help="kill -9 per cycle (default 20)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="repeat a soak")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    with (
        terminated_as_interrupt(),
        ControlPlane() as controlplane,
        GitServer() as gitserver,
        OpenBao() as openbao,
        Installation(controlplane, gitserver, openbao) as installation,
    ):
        installation.start()
        soak = Soak(installation, arguments.seed)
        print(f"seed {arguments.seed}", flush=True)
        print(f"{'cycle':>5}  {'kills':>5}  {'records':>8}  {'seconds':>8}", flush=True)
        try:
            while time.monotonic() < end:
                soak.cycle(arguments.kills)
                tally = soak.tally
                print(f"{tally.cycles:>5}  {tally.kills:>5}  {tally.records:>8}  {tally.seconds:>8.1f}", flush=True)
        except (AssertionError, ProcessError) as error:
            print(f"soak: seed {arguments.seed}, cycle {soak.tally.cycles + 1}: {error}", file=sys.stderr)
            print(installation.agent.logs()[-20_000:], file=sys.stderr)
            return 1
    tally = soak.tally
    print(
        json.dumps(
            {
                "seed": tally.seed,
                "cycles": tally.cycles,
                "kills": tally.kills,
                "faults": tally.faults,
                "records": tally.records,
                "seconds": round(tally.seconds, 1),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
