"""`python -m bench.start`: how long an agent from the image takes until it is ready, and what it needs when it has nothing to do.

Each start is a process of its own, as user 65532 on a read-only root, against a control plane of the testbed. There are no
Applications, so that only the agent itself is measured. It builds the image where its parts changed, and needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.counters import usage
from image.build import Choices, build
from image.storage import ImageError
from testbed import agent as agents
from testbed.container import ContainedAgent
from testbed.controlplane import ControlPlane
from testbed.processes import Supervisor, terminated_as_interrupt

if TYPE_CHECKING:
    from image.archive import Image

_REST_SECONDS = 10.0
_READY_SECONDS, _IDLE_MIB, _PACKED_MIB = 1.5, 70.0, 120.0
_OPERATOR: dict[str, object] = {}


def measured(image: Image, root: Path, *, starts: int) -> dict[str, list[float]]:
    """Seconds from the process to /readyz, its CPU seconds until then, and resident MiB after a rest, of each start."""
    found: dict[str, list[float]] = {"ready_seconds": [], "cpu_seconds": [], "idle_mib": [], "peak_mib": []}
    with ControlPlane() as cluster, Supervisor() as supervisor:
        agents.install(cluster)
        agent = ContainedAgent(cluster, supervisor, root, image.config)
        agent.configure(_OPERATOR)
        with contextlib.closing(agent):
            for number in range(starts + 1):
                began = time.monotonic()
                process = agent.start()
                ready = time.monotonic() - began
                # the first reads the files into memory
                if number > 0:
                    found["ready_seconds"].append(round(ready, 2))
                    found["cpu_seconds"].append(round(usage(process.pid).cpu, 2))
                    time.sleep(_REST_SECONDS)
                    found["idle_mib"].append(round(_resident(process.pid), 1))
                    found["peak_mib"].append(round(usage(process.pid).peak_mib, 1))
                agent.stop()
    return found


def _resident(pid: int) -> float:
    """MiB of a process and its children, the pages that they share counted once for each."""
    pids = [pid]
    for each in pids:
        pids += map(int, Path(f"/proc/{each}/task/{each}/children").read_text("ascii").split())
    sizes = (re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{each}/status").read_text(), re.MULTILINE) for each in pids)
    return sum(int(size[1]) for size in sizes if size) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    _ = parser.add_argument("--starts", type=int, default=5)
    _ = parser.add_argument("--json", type=Path, default=Path("bench-start-results.json"))
    options = parser.parse_args()
    try:
        with terminated_as_interrupt(), tempfile.TemporaryDirectory() as folder:
            image = build(Choices())
            image.unpack(Path(folder))
            found = measured(image, Path(folder), starts=options.starts)
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    packed = round(image.packed / 2**20, 1)
    _ = options.json.write_text(json.dumps({"image": image.digest, "packed_mib": packed, **found}, indent=2) + "\n")
    rows: list[tuple[str, float, float | None]] = [
        ("image to pull, MiB", packed, _PACKED_MIB),
        ("start to ready, s", statistics.median(found["ready_seconds"]), _READY_SECONDS),
        ("CPU until ready, s", statistics.median(found["cpu_seconds"]), None),
        ("idle, resident MiB", statistics.median(found["idle_mib"]), _IDLE_MIB),
        ("peak, resident MiB", statistics.median(found["peak_mib"]), None),
    ]
    print(f"{'':22}{'median':>8}  {'wanted':>8}")
    for name, value, wanted in rows:
        print(f"{name:22}{value:8.2f}  {'' if wanted is None else f'≤ {wanted:g}':>8}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
