"""`python -m bench.forge`: pushes to a real Gitea, whose webhook tells the agent, and how long each takes until it is applied.

Fails where a commit is applied without the webhook.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from testbed.controlplane import ControlPlane
from testbed.gitea import Gitea
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt, wait_until

if TYPE_CHECKING:
    from testbed.installation import Tenant


class Clone:
    """A work tree of the forge's repository."""

    def __init__(self, folder: Path, forge: Gitea) -> None:
        self._folder = folder
        address = urlsplit(forge.url)
        self._git("init", "--quiet", "--initial-branch", "main")
        self._git("remote", "add", "origin", f"http://{forge.username}:{forge.password}@{address.netloc}/dev/shop.git")

    def push(self, value: str) -> str:
        """A commit with this value, pushed; its hash."""
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"value": value}}
        _ = (self._folder / "settings.json").write_text(json.dumps(manifest))
        self._git("add", "--all")
        self._git("-c", "user.name=Dev", "-c", "user.email=dev@example.com", "commit", "--quiet", "--message", value)
        self._git("push", "--quiet", "origin", "main")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self._folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def prepare(installation: Installation, forge: Gitea, secret: Path, clone: Clone) -> Tenant:
    """A tenant whose Application follows the forge, and the webhook there."""
    tenant = installation.tenant("forge")
    hosts = [urlsplit(forge.url).netloc]
    hook = {"sender": "gitea", "secretFile": str(secret), "namespaces": [tenant.namespace]}
    installation.configure(git={"allowedHosts": hosts, "allowHttp": True}, webhooks={"shop": hook})
    _ = forge.call("POST", "/user/repos", {"name": "shop", "private": True, "default_branch": "main"})
    _ = clone.push("0")
    tenant.put_secret("git", {"username": forge.username, "password": forge.password})
    credentials = {"secretName": "git"}
    source = {"url": f"{forge.url}/dev/shop.git", "revision": {"branch": "main"}, "credentials": credentials}
    tenant.application.apply({"source": source, "interval": "1h"})
    wait_until(lambda: tenant.data("settings") == {"value": "0"}, 60, "the first commit")
    url = f"http://127.0.0.1:{installation.agent.hook_port}/hooks/shop"
    config = {"url": url, "content_type": "json", "secret": secret.read_text()}
    made = {"type": "gitea", "active": True, "events": ["push"], "config": config}
    _ = forge.call("POST", "/repos/dev/shop/hooks", made)
    return tenant


def measure(tenant: Tenant, clone: Clone, rounds: int) -> list[tuple[float, float]]:
    """Of each push, the seconds from its end to the agent's first intent to write, and to the object in the cluster."""
    found: list[tuple[float, float]] = []
    agent = tenant.installation.agent
    for number in range(1, rounds + 1):
        audited = len(agent.audit())
        _ = clone.push(str(number))
        wall, began = time.time(), time.monotonic()
        wanted = {"value": str(number)}
        wait_until(lambda wanted=wanted: tenant.data("settings") == wanted, 30, "the push", interval=0.01)
        seconds = time.monotonic() - began
        intents = [each for each in agent.audit()[audited:] if each.get("phase") == "intent"]
        first = datetime.fromisoformat(str(intents[0]["time"])).timestamp() - wall
        found.append((round(first, 2), round(seconds, 2)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.forge", description=__doc__)
    _ = parser.add_argument("--rounds", type=int, default=10, metavar="N", help="pushes (default: 10)")
    options = parser.parse_args()
    with (
        terminated_as_interrupt(),
        tempfile.TemporaryDirectory() as folder,
        Gitea() as forge,
        ControlPlane() as cluster,
        GitServer() as git,
        OpenBao() as bao,
        Installation(cluster, git, bao) as installation,
    ):
        secret = Path(folder) / "secret"
        _ = secret.write_text(secrets.token_hex(32))
        work = Path(folder) / "work"
        work.mkdir()
        clone = Clone(work, forge)
        installation.start()
        tenant = prepare(installation, forge, secret, clone)
        times = measure(tenant, clone, options.rounds)
        history: list[dict[str, object]] = tenant.application.status()["history"]  # pyright: ignore[reportAssignmentType]
        print({"intent, object": times, "load": round(os.getloadavg()[0], 1)})
        announced = all("push" in str(each["cause"]) for each in history[: min(options.rounds, 9)])
    return 0 if announced else 1


if __name__ == "__main__":
    raise SystemExit(main())
