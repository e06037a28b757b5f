"""What the agent is compared with: bare applies of the same final objects, and `kubectl apply --server-side`."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson

from bench import manifests
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.manifests import Object
    from testbed.cluster import Cluster

AT_ONCE: Final = 32
"""The agent's own number of requests in flight."""
_QUERY: Final = "?fieldManager=bench&force=true&fieldValidation=Strict"


@dataclass(frozen=True, slots=True)
class Written:
    """Seconds on the clock and of the client's CPU; the peak is 0 where the client is this process."""

    seconds: float
    cpu: float
    peak_mib: float = 0.0


def session(cluster: Cluster, token: str) -> aiohttp.ClientSession:
    """A session that trusts the cluster and carries the token."""
    trust = ssl.create_default_context(cadata=cluster.ca_pem)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=trust),
        headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=120),
    )


def patch(cluster: Cluster, token: str, objects: Sequence[Object]) -> Written:
    """One PATCH per object, 32 at once, bodies encoded beforehand. Raises aiohttp.ClientError for a refusal."""
    bodies = [(manifests.path(obj), orjson.dumps(obj)) for obj in objects]
    return asyncio.run(_patch(cluster, token, bodies))


async def _patch(cluster: Cluster, token: str, bodies: Sequence[tuple[str, bytes]]) -> Written:
    slots = asyncio.Semaphore(AT_ONCE)
    headers = {"Content-Type": "application/apply-patch+yaml"}
    async with session(cluster, token) as http:

        async def one(path: str, body: bytes) -> None:
            async with slots, http.patch(cluster.url + path + _QUERY, data=body, headers=headers) as answer:
                _ = await answer.read()
                answer.raise_for_status()

        began, cpu = time.monotonic(), time.process_time()
        _ = await asyncio.gather(*(one(path, body) for path, body in bodies))
        return Written(time.monotonic() - began, time.process_time() - cpu)


def kubectl(cluster: Cluster, token: str, objects: Sequence[Object]) -> Written:
    """kubectl apply --server-side of a file with all objects."""
    folder = cluster.folder / "kubectl"
    folder.mkdir(mode=0o700, exist_ok=True)
    config = cluster.kubeconfig(folder / "kubeconfig", token)
    file = folder / "objects.json"
    _ = file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}), "utf-8")
    command = [str(binaries.path("kubectl")), f"--kubeconfig={config}", "apply", "--server-side", "-f", str(file)]
    began = time.monotonic()
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "KUBECACHEDIR": str(folder)})
        _, status, cost = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"kubectl: {log.read_text('utf-8')[-2000:]}")
    return Written(time.monotonic() - began, cost.ru_utime + cost.ru_stime, cost.ru_maxrss / 1024)
