"""`python -m bench.webhooks`: requests of 1 MiB to the listener, half of them forged, and what they cost its process."""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from agent.adapters.http import hooks
from agent.adapters.http.hooks import MOST_BYTES, Pace
from agent.api.model import validate
from agent.api.webhooks import Webhook
from bench import counters

_SECRET: Final = "a secret of the benchmark"
_FAST: Final = Pace((1e9, 1e9), (1e9, 1e9))


async def listen(secret_file: str) -> None:
    """The listener alone, until it is killed."""
    hook = validate(Webhook, {"sender": "github", "secretFile": secret_file})
    server = await hooks.serve({"a": hook}, lambda _push, _namespaces: None, host="127.0.0.1", port=0, pace=_FAST)
    print(server.port, flush=True)
    await asyncio.Event().wait()


def body() -> bytes:
    """A push with many commits, of 1 MiB."""
    commits = [{"id": f"{number:040}", "message": "x" * 200, "added": ["a.yaml"]} for number in range(3500)]
    repository = {"clone_url": "https://git.example.com/team/shop.git"}
    text = json.dumps({"ref": "refs/heads/main", "repository": repository, "commits": commits})
    return text.encode().ljust(MOST_BYTES)


async def send(port: int, signature: str, content: bytes) -> bytes:
    """The answer's first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /hooks/a HTTP/1.1\r\nContent-Length: {len(content)}\r\nX-Hub-Signature-256: {signature}\r\n\r\n"
    writer.writelines([head.encode(), content])
    answer = await reader.readline()
    writer.transport.abort()
    return answer


async def measure(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        _ = secret.write_text(_SECRET)
        command = [sys.executable, "-m", "bench.webhooks", "--listen", str(secret)]
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert child.stdout is not None
        port = int(await child.stdout.readline())
        content = body()
        proven = "sha256=" + hmac.digest(_SECRET.encode(), content, "sha256").hex()
        _ = await send(port, proven, content)
        found: dict[str, float] = {}
        before = counters.usage(child.pid).peak_mib
        for name, signature in (("forged", "sha256=0"), ("proven", proven)):
            cpu, began = counters.usage(child.pid).cpu, time.monotonic()

            async def some(number: int, signature: str = signature) -> None:
                for _ in range(number):
                    _ = await send(port, signature, content)

            _ = await asyncio.gather(*(some(count // 8) for _ in range(4)))
            each = 1000 / (count // 8 * 4)
            found[f"{name}_cpu_ms"] = round((counters.usage(child.pid).cpu - cpu) * each, 2)
            found[f"{name}_ms"] = round((time.monotonic() - began) * each, 2)
        found["peak_mib_added"] = round(counters.usage(child.pid).peak_mib - before, 1)
        found["load"] = round(os.getloadavg()[0], 1)
        child.kill()
        _ = await child.wait()
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    _ = parser.add_argument("--count", type=int, default=10_000, metavar="N", help="requests (default: 10000)")
    _ = parser.add_argument("--listen", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen:
        asyncio.run(listen(options.listen))
    print(asyncio.run(measure(options.count)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
