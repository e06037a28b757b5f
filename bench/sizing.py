"""`python -m bench.sizing`: what an agent needs for so many objects, by which its Pod's requests and limits are chosen.

Applications of 1,000 objects each, applied one after the other, then at rest, then after a restart. Memory is what a cgroup counts of the agent
and its children together, pages that they share once. The Applications have one repository's content, sealed for one key.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from bench import counters, manifests
from bench.report import align
from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt

EACH = 1000
"""Objects of an Application."""
_LOOKS_SECONDS = 0.25
_REST_SECONDS = 60.0
_PROPORTIONAL = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Phase:
    """`cpu` in seconds, of the agent and its children; memory in MiB."""

    name: str
    seconds: float
    cpu: float
    peak_mib: float
    end_mib: float


class Watch:
    """Memory of a process and its children, several times a second while it is entered."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._began = time.monotonic()
        self._cpu = counters.usage(pid).cpu
        self.peak = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def phase(self, name: str) -> Phase:
        """From the beginning to now."""
        seconds, cpu = time.monotonic() - self._began, counters.usage(self._pid).cpu - self._cpu
        return Phase(name, round(seconds, 1), round(cpu, 1), round(self.peak), round(resident(self._pid)))

    def _look(self) -> None:
        while not self._done.wait(_LOOKS_SECONDS):
            self.peak = max(self.peak, resident(self._pid))


def resident(pid: int) -> float:
    """MiB of a process and all below it."""
    found, waiting = 0, deque([pid])
    while waiting:
        place = Path(f"/proc/{waiting.popleft()}")
        with contextlib.suppress(OSError):
            found += sum(map(int, _PROPORTIONAL.findall((place / "smaps_rollup").read_text("ascii"))))
            for task in (place / "task").iterdir():
                waiting.extend(map(int, (task / "children").read_text("ascii").split()))
    return found / 1024


def measured(installation: Installation, objects: int) -> list[Phase]:
    """A cold apply, a rest and a restart with so many objects."""
    tenants = [installation.tenant("size") for _ in range(objects // EACH)]
    first, *others = tenants
    files = manifests.files(manifests.services(EACH), first.seal)
    identity = first.controlplane.get(first.path("secrets", "sops-age"))["data"]
    for each in others:
        _ = each.controlplane.merge(each.path("secrets", "sops-age"), {"data": identity})
    for each in tenants:
        _ = each.commit(files)
    with Watch(_pid(installation)) as watch:
        for each in tenants:
            each.configure(interval="10m")
            _ = each.until_ready(seconds=900)
        cold = watch.phase("cold apply")
    print(cold, file=sys.stderr, flush=True)
    counters.wait_at_rest(installation.controlplane)
    with Watch(_pid(installation)) as watch:
        time.sleep(_REST_SECONDS)
        rest = watch.phase("at rest")
    print(rest, file=sys.stderr, flush=True)
    installation.agent.stop()
    _ = installation.agent.launch()
    with Watch(_pid(installation)) as watch:

        def checked() -> bool:
            with contextlib.suppress(OSError):
                text = installation.agent.metrics()
                return counters.total(text, "signet_reconciliations_total", result="succeeded") >= len(tenants)
            return False

        while not checked():
            time.sleep(_LOOKS_SECONDS)
        return [cold, rest, watch.phase("restart")]


def _pid(installation: Installation) -> int:
    assert installation.agent.process is not None
    return installation.agent.process.pid


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sizing", description="Measure what an agent needs.")
    _ = parser.add_argument(
        "--objects", type=int, nargs="+", default=[1000, 10_000], metavar="N", help="multiples of 1000"
    )
    options = parser.parse_args()
    found: dict[int, list[Phase]] = {}
    with terminated_as_interrupt():
        for objects in options.objects:
            with (
                ControlPlane() as cluster,
                GitServer() as git,
                OpenBao() as bao,
                Installation(cluster, git, bao) as installation,
            ):
                installation.start()
                found[objects] = measured(installation, objects)
    rows: list[tuple[str, ...]] = [("objects", "", "seconds", "CPU seconds", "peak MiB", "MiB at the end")]
    rows += [
        (f"{objects:,}", each.name, *(f"{value:g}" for value in (each.seconds, each.cpu, each.peak_mib, each.end_mib)))
        for objects, phases in found.items()
        for each in phases
    ]
    print(align(rows))
    tree = {
        "load": os.getloadavg(),
        "phases": {key: [asdict(each) for each in phases] for key, phases in found.items()},
    }
    print(json.dumps(tree))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
