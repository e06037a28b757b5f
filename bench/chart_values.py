"""`python -m bench.chart_values`: how long a chart's values take from a Secret of the cluster to the API server, once the agent reads the new ones.

The API server's audit log says when the agent read the Secret that `valuesFrom` names and when it sent the first object that changed. In between are
the render, the questions, opening and assembling, the record and the audit trail. Git is not asked.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import charts
from bench.edits import percentile
from bench.report import Expectation, align
from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.installation import Tenant

_POLICY: Final = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  resources: [{group: "", resources: [secrets]}]
- level: None
"""
_SOURCE: Final = "chart-values"


def measured(tenant: Tenant, audit: Path, rounds: int) -> list[float]:
    """Milliseconds from the answer that has the new values to the request with the first object."""
    tenant.put_secret(_SOURCE, {"values.yaml": _values(0)})
    helm = {"chart": {"path": "chart"}, "releaseName": "shop", "valuesFrom": [{"kind": "Secret", "name": _SOURCE}]}
    _ = tenant.deploy({name: content.decode() for name, content in charts.files().items()}, render={"helm": helm})
    name = next(name for name in ("shop-web", "shop") if tenant.secret(name))
    found: list[float] = []
    for number in range(1, rounds + 1):
        began = audit.stat().st_size
        tenant.put_secret(_SOURCE, {"values.yaml": _values(number)})
        _ = wait_until(
            lambda number=number: tenant.secret(name)["password"] == f"word {number}", 60, "the new password"
        )
        found.append(_took(audit, began, tenant.namespace, name))
    return found


def _values(number: int) -> str:
    return json.dumps({"auth": {"password": f"word {number}"}})


def _took(audit: Path, began: int, namespace: str, name: str) -> float:
    with audit.open("rb") as lines:
        _ = lines.seek(began)
        events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    events = [each for each in events if each["objectRef"].get("namespace") == namespace]
    set_at = max(_at(each, "stageTimestamp") for each in events if _is(each, "patch", _SOURCE, by_agent=False))
    sent = min(_at(each, "requestReceivedTimestamp") for each in events if _is(each, "patch", name, by_agent=True))
    reads = (each for each in events if _is(each, "get", _SOURCE, by_agent=True))
    seen = min(at for each in reads if set_at < (at := _at(each, "stageTimestamp")) < sent)
    return (sent - seen) * 1000


def _is(event: dict[str, Any], verb: str, name: str, *, by_agent: bool) -> bool:
    reference = event["objectRef"]
    agents = "impersonatedUser" in event or event["user"]["username"].startswith("system:serviceaccount:signet-system:")
    return (event["verb"], reference.get("name"), agents) == (verb, name, by_agent)


def _at(event: dict[str, Any], field: str) -> float:
    return datetime.fromisoformat(event[field]).timestamp()


def _run(rounds: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        _ = policy.write_text(_POLICY)
        with (
            GitServer() as gitserver,
            OpenBao() as openbao,
            ControlPlane(audit=policy) as controlplane,
            Installation(controlplane, gitserver, openbao) as installation,
        ):
            installation.start()
            assert controlplane.audit_file is not None
            return measured(installation.tenant(), controlplane.audit_file, rounds)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.chart_values", description=__doc__)
    _ = parser.add_argument("--rounds", type=int, default=20, metavar="N", help="changes (default: %(default)s)")
    options = parser.parse_args(argv)
    began = time.monotonic()
    with terminated_as_interrupt():
        found = _run(options.rounds)
    middle, most = percentile(found, 50), percentile(found, 95)
    shown = f"{middle:.0f} ms, 95 %: {most:.0f} ms, load {os.getloadavg()[0]:.1f}"
    row = Expectation("new values to the first call, median", "≤ 100 ms", shown, middle <= 100)
    print(align([(row.name, row.wanted, row.found, "met" if row.met else "NOT MET")]))
    print(f"{len(found)} changes in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
