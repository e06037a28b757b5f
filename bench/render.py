"""`python -m bench.render`: an overlay of 31 objects, with their files, by a running signet-render and by `kustomize build`, in turns.

And a hundred overlays of one repository after a restart, by the agent's pool: new processes, files sent, objects read.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from agent.adapters.render.pool import Renderers
from agent.adapters.render.process import Helper
from agent.adapters.render.protocol import kustomize, put
from agent.api.operator import RenderLimits
from agent.engine.renderers import Kustomization, SourceTree
from agent.values.ids import ApplicationId
from bench.report import Expectation, align
from render import build
from testbed import binaries

ROUNDS: Final = 60
_SERVICES: Final = 10
_OVERLAYS: Final = 100
_OF_EACH: Final = 7
_IDLE: Final = 0.5
"""Seconds, in place of the agent's ten minutes."""
_DEPLOYMENT: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web%(n)d}
spec:
  replicas: 2
  selector: {matchLabels: {app: web%(n)d}}
  template:
    metadata: {labels: {app: web%(n)d}}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:1.0
        envFrom: [{configMapRef: {name: web%(n)d}}, {secretRef: {name: shared}}]
---
apiVersion: v1
kind: Service
metadata: {name: web%(n)d}
spec: {selector: {app: web%(n)d}, ports: [{port: 80}]}
"""
_OVERLAY: Final = """\
resources: [../base]
namePrefix: prod-
namespace: shop
labels: [{pairs: {env: prod}, includeSelectors: true}]
images: [{name: registry.example.com/web, newTag: "2.0"}]
replicas: [{name: web0, count: 5}]
secretGenerator: [{name: shared, literals: [password=placeholder]}]
patches:
- target: {kind: Deployment}
  patch: |
    - {op: add, path: /spec/template/spec/priorityClassName, value: high}
"""


def overlay() -> dict[str, bytes]:
    """Ten services, each a Deployment, a Service and a generated ConfigMap, and one generated Secret."""
    numbers = range(_SERVICES)
    base = f"resources: [{', '.join(f'{n}.yaml' for n in numbers)}]\nconfigMapGenerator:\n"
    base += "".join(f"- {{name: web{n}, literals: [A={n}]}}\n" for n in numbers)
    files = {"base/kustomization.yaml": base, "prod/kustomization.yaml": _OVERLAY}
    files |= {f"base/{n}.yaml": _DEPLOYMENT % {"n": n} for n in numbers}
    return {name: text.encode() for name, text in files.items()}


async def measured(folder: Path, files: dict[str, bytes]) -> tuple[float, list[tuple[float, float]], float]:
    """Seconds to the first answer of a new process, pairs of seconds by helper and by CLI, and MiB of the helper afterwards."""
    program, cli, limits = build.built(), binaries.path("kustomize"), RenderLimits()
    sources = SourceTree.of(files)
    request = kustomize(Kustomization("prod", sources, origins=True), limits)
    begin = time.perf_counter()
    helper = await Helper.start(program, limits)
    _ = await helper.ask(put(sources))
    assert len((await helper.ask(request))["objects"]) == 3 * _SERVICES + 1
    cold = time.perf_counter() - begin
    pairs: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        _ = await helper.ask(request)
        middle = time.perf_counter()
        _ = subprocess.run([cli, "build", folder / "prod"], check=True, capture_output=True)  # noqa: ASYNC221
        pairs.append((middle - begin, time.perf_counter() - middle))
    resident = helper.resident / 2**20
    await helper.end()
    return cold, pairs, resident


def overlays() -> list[Kustomization]:
    """A hundred overlays of three services each, that one repository would have: a base of its own for each, as its Application sends it."""
    made: list[Kustomization] = []
    for number in range(_OVERLAYS):
        base = "resources: [0.yaml, 1.yaml, 2.yaml]\n"
        files = {"base/kustomization.yaml": base, f"env{number}/kustomization.yaml": _OVERLAY}
        files |= {f"base/{n}.yaml": _DEPLOYMENT % {"n": n} for n in range(3)}
        sources = SourceTree.of({name: text.encode() for name, text in files.items()})
        made.append(Kustomization(f"env{number}", sources, origins=True))
    return made


async def restarted() -> tuple[float, float, int]:
    """Seconds for all overlays, of ten namespaces, by a new pool; MiB of its largest process; how many are left once they are idle."""
    renderers = Renderers(build.built(), idle=_IDLE)
    asked = overlays()
    begin = time.perf_counter()
    rendered = await asyncio.gather(
        *(
            renderers.kustomize(ApplicationId(f"team{number % 10}", f"env{number}", str(number)), each)
            for number, each in enumerate(asked)
        )
    )
    seconds = time.perf_counter() - begin
    assert all(len(each.objects) == _OF_EACH for each in rendered)
    largest = max(renderers.resident) / 2**20
    await asyncio.sleep(2 * _IDLE)
    left = renderers.resting
    await renderers.close()
    return seconds, largest, left


def main() -> int:
    files = overlay()
    with tempfile.TemporaryDirectory() as made:
        for name, content in files.items():
            path = Path(made) / name
            path.parent.mkdir(exist_ok=True)
            _ = path.write_bytes(content)
        cold, pairs, resident = asyncio.run(measured(Path(made), files))
    seconds, largest, left = asyncio.run(restarted())
    ours, theirs = (median(each) * 1000 for each in zip(*pairs, strict=True))
    ratio = median(helper / cli for helper, cli in pairs)
    rows = [
        Expectation("warm / CLI", "≤ 0.6", f"{ratio:.2f} ({ours:.1f} and {theirs:.1f} ms)", ratio <= 0.6),
        Expectation("memory", "≤ 110 MiB", f"{resident:.0f} MiB", resident <= 110),
        Expectation("100 overlays after a restart", "≤ 2 s", f"{seconds:.2f} s", seconds <= 2),
        Expectation("memory after them", "≤ 110 MiB", f"{largest:.0f} MiB", largest <= 110),
        Expectation("processes once idle", "0", str(left), left == 0),
        Expectation("first answer", "", f"{cold * 1000:.0f} ms", True),
    ]
    print(align([(each.name, each.wanted, each.found, "met" if each.met else "NOT MET") for each in rows]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
