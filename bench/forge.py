"""`python -m bench.forge`: pushes to a real Gitea, whose webhook tells the agent, and how long each takes until it is applied.

Fails where a commit is applied without the webhook.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.controlplane import ControlPlane
from testbed.gitea import Gitea
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt, wait_until
from testbed.relay import Relay

if TYPE_CHECKING:
    from testbed.gitea import Hosted
    from testbed.installation import Tenant


def settings(value: str) -> dict[str, str]:
    """The file of a commit."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"value": value}}
    return {"settings.json": json.dumps(manifest)}


def prepare(installation: Installation, repository: Hosted, secret: Path, door: Relay) -> Tenant:
    """A tenant whose Application follows the forge, and the webhook there, which comes through `door`."""
    tenant, forge = installation.tenant("forge"), repository.forge
    hook = {"sender": "gitea", "secretFile": str(secret), "namespaces": [tenant.namespace]}
    installation.configure(git={"allowedHosts": [forge.host], "allowHttp": True}, webhooks={"shop": hook})
    _ = repository.push(settings("0"))
    tenant.put_secret("forge", {"username": forge.username, "password": forge.password})
    tenant.application.apply({"source": repository.source(), "interval": "1h"})
    wait_until(lambda: tenant.data("settings") == {"value": "0"}, 60, "the first commit")
    forge.flush()
    _ = repository.hook(f"http://127.0.0.1:{door.port}/hooks/shop", secret.read_text())
    return tenant


def measure(tenant: Tenant, repository: Hosted, door: Relay, rounds: int) -> list[tuple[float, float, float]]:
    """Of each push, the seconds from its end to the forge's webhook, to the agent's first intent to write, and to the object in the cluster."""
    found: list[tuple[float, float, float]] = []
    agent = tenant.installation.agent
    for number in range(1, rounds + 1):
        audited = len(agent.audit())
        commit = repository.push(settings(str(number)))
        wall, began = time.time(), time.monotonic()
        wanted = {"value": str(number)}
        wait_until(lambda wanted=wanted: tenant.data("settings") == wanted, 30, "the push", interval=0.01)
        seconds = time.monotonic() - began
        intents = [each for each in agent.audit()[audited:] if each.get("phase") == "intent"]
        first = datetime.fromisoformat(str(intents[0]["time"])).timestamp() - wall
        _ = tenant.application.wait("Ready", "True", revision=commit)
        found.append((round(door.accepted_at - began, 2), round(first, 2), round(seconds, 2)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.forge", description=__doc__)
    _ = parser.add_argument("--rounds", type=int, default=10, metavar="N", help="pushes (default: 10)")
    _ = parser.add_argument(
        "--queue", default="level", help="the type of Gitea's queues (default: level, as Gitea has it)"
    )
    options = parser.parse_args()
    with (
        terminated_as_interrupt(),
        tempfile.TemporaryDirectory() as folder,
        Gitea(options.queue) as forge,
        ControlPlane() as cluster,
        GitServer() as git,
        OpenBao() as bao,
        Installation(cluster, git, bao) as installation,
        Relay(installation.agent.hook_port) as door,
    ):
        secret = Path(folder) / "secret"
        _ = secret.write_text(secrets.token_hex(32))
        repository = forge.create("shop")
        installation.start()
        tenant = prepare(installation, repository, secret, door)
        times = measure(tenant, repository, door, options.rounds)
        history: list[dict[str, object]] = tenant.application.status()["history"]  # pyright: ignore[reportAssignmentType]
        print({"webhook, intent, object": times, "load": round(os.getloadavg()[0], 1)})
        announced = all("push" in str(each["cause"]) for each in history[: min(options.rounds, 9)])
    return 0 if announced else 1


if __name__ == "__main__":
    raise SystemExit(main())
