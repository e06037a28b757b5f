"""`python -m bench`: the agent against bare requests and kubectl on a control plane of its own."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import counters, manifests, report, writers
from bench.report import Findings, Round
from bench.scenarios import Bench, delete_namespace
from testbed import agent as agents
from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt

if TYPE_CHECKING:
    from bench.manifests import Object
    from bench.scenarios import Measured
    from bench.writers import Written


class Progress:
    """Lines with the time since the start, on standard error."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} s  {text}", file=sys.stderr, flush=True)


class Compared:
    """A client that applies to a fresh namespace, with the rights of an Application."""

    def __init__(self, installation: Installation, number: int) -> None:
        self._installation = installation
        self._number = number

    def run(self, name: str, objects: list[Object]) -> tuple[Written, float]:
        """What the client cost, and CPU seconds of the API server."""
        cluster, namespace = self._installation.controlplane, f"bench-{name}-{self._number}"
        agents.tenant(cluster, namespace)
        counters.wait_at_rest(cluster)
        token = cluster.service_account_token(namespace, "signet-applier")
        server = counters.usage(cluster.apiserver.pid).cpu
        client = writers.patch if name == "patches" else writers.kubectl
        written = client(cluster, token, [manifests.in_namespace(obj, namespace) for obj in objects])
        server = counters.usage(cluster.apiserver.pid).cpu - server
        counters.wait_at_rest(cluster)
        delete_namespace(self._installation, namespace)
        return written, server


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Benchmark the agent on a control plane of its own."
    )
    _ = parser.add_argument(
        "--objects", type=int, metavar="N", help="objects of the Application, five kinds (default: 1000)"
    )
    _ = parser.add_argument("--edits", type=int, metavar="N", help="live edits (default: 200)")
    _ = parser.add_argument("--per-second", type=float, default=5.0, metavar="N", help="pace of the edits (default: 5)")
    _ = parser.add_argument("--rounds", type=int, metavar="N", help="comparisons of a cold apply (default: 3)")
    _ = parser.add_argument("--quick", action="store_true", help="100 objects, 20 edits, one round")
    _ = parser.add_argument(
        "--json", type=Path, default=Path("bench-results.json"), metavar="FILE", help="where JSON goes"
    )
    parsed = parser.parse_args(given)
    quick: bool = parsed.quick
    parsed.objects = parsed.objects or (100 if quick else 1000)
    parsed.edits = parsed.edits or (20 if quick else 200)
    parsed.rounds = parsed.rounds or (1 if quick else 3)
    if parsed.objects < 100 or parsed.objects % len(manifests.KINDS):
        parser.error("--objects takes multiples of five, from 100")
    return parsed


def main() -> int:
    options = arguments()
    say = Progress()
    findings = Findings(options.objects, machine={"cpus": os.cpu_count(), "load": os.getloadavg()})
    with (
        terminated_as_interrupt(),
        ControlPlane() as cluster,
        GitServer() as git,
        OpenBao() as bao,
        Installation(cluster, git, bao) as installation,
    ):
        say("servers are up")
        measure(installation, findings, options, say)
    print(report.table(findings))
    _ = options.json.write_text(json.dumps(findings.tree(), indent=1) + "\n", "utf-8")
    say(f"JSON is in {options.json}")
    return 0


def measure(installation: Installation, findings: Findings, options: argparse.Namespace, say: Progress) -> None:
    services = manifests.services(options.objects)
    finished = [obj for service in services for obj in service]
    installation.start()
    say("warming up the API server")
    _ = Compared(installation, 0).run("patches", finished[:100])
    for number in range(1, options.rounds + 1):
        if installation.agent.process is None:
            _ = installation.agent.start()
        bench = Bench(installation, services)
        files = manifests.files(services, bench.tenant.seal)
        bench.prepare()
        load = os.getloadavg()[0]
        say(f"round {number} of {options.rounds}: {options.objects} objects by the agent")
        cold = bench.sync(files)
        counters.wait_at_rest(installation.controlplane)
        finished = bench.finished()
        if number == options.rounds:
            _days(bench, findings, options, say)
        bench.close()
        others = Compared(installation, number)
        names = ("patches", "kubectl") if number % 2 else ("kubectl", "patches")
        written: dict[str, tuple[Written, float]] = {}
        for name in names:
            say(f"round {number} of {options.rounds}: {options.objects} objects by {name}")
            written[name] = others.run(name, finished)
        findings.rounds.append(Round(cold, *written["patches"], *written["kubectl"], load))
        say(
            f"agent {cold.seconds:.2f} s, patches {written['patches'][0].seconds:.2f} s,"
            f" kubectl {written['kubectl'][0].seconds:.2f} s"
        )


def _days(bench: Bench, findings: Findings, options: argparse.Namespace, say: Progress) -> None:
    """What happens to an Application that is applied."""

    def note(name: str, measured: Measured) -> None:
        findings.scenarios[name] = measured
        say(f"{name}: {measured.seconds:.3f} s")

    note("no-op", bench.at_rest(3))
    note("ten changed", bench.sync(manifests.changed(bench.services, 10)))
    _ = bench.sync(manifests.plain_files(bench.services[:10]))
    healed, findings.heals = bench.heal(options.edits, per_second=options.per_second)
    note("live edits", healed)
    note("restart", bench.restart())


if __name__ == "__main__":
    raise SystemExit(main())
