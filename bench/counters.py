"""What is counted while something runs: requests, by the API server and by the agent, and what processes cost."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from testbed.cluster import Cluster

_SAMPLE: Final = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>[^ ]+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_TICKS: Final = os.sysconf("SC_CLK_TCK")

WATCHED: Final = ("deployments", "services", "configmaps", "secrets", "serviceaccounts")
"""Resources whose requests are counted. In a testbed at rest no other client asks for them."""


def samples(text: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of every sample of a metric in Prometheus' text format."""
    matches = (_SAMPLE.match(line) for line in text.splitlines() if line.startswith(name))
    return [
        (dict(_LABEL.findall(match["labels"] or "")), float(match["value"]))
        for match in matches
        if match is not None and match["name"] == name
    ]


def total(text: str, name: str, **labels: str) -> float:
    """The sum of the samples that carry these labels."""
    return sum(value for has, value in samples(text, name) if labels.items() <= has.items())


def server_calls(cluster: Cluster) -> Counter[str]:
    """`VERB resource` → requests so far, by apiserver_request_total, of WATCHED and of Applications."""
    calls: Counter[str] = Counter()
    for labels, value in samples(cluster.metrics(), "apiserver_request_total"):
        resource, part = labels["resource"], labels.get("subresource", "")
        ours = (resource in WATCHED and not part) or resource == "applications"
        if ours and labels["verb"] not in ("WATCH", "CONNECT"):
            calls[f"{labels['verb']} {resource}{'/' if part else ''}{part}"] += int(value)
    return calls


def agent_calls(metrics: str) -> Counter[str]:
    """verb → requests so far, by the agent's own signet_api_requests."""
    calls: Counter[str] = Counter()
    for labels, value in samples(metrics, "signet_api_requests_total"):
        calls[labels["verb"]] += int(value)
    return calls


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of a process and of the children that it waited for; a peak of resident memory in MiB."""

    cpu: float = 0.0
    peak_mib: float = 0.0


def usage(pid: int) -> Usage:
    """What a process cost so far, its peak since `forget_peak`."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return Usage(sum(map(int, fields[11:15])) / _TICKS, int(peak[1]) / 1024 if peak else 0.0)


def forget_peak(pid: int) -> None:
    """Reset the peak, where the kernel lets us."""
    with contextlib.suppress(OSError):
        _ = Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")


def wait_at_rest(cluster: Cluster, *, seconds: float = 60.0) -> None:
    """Until controllers have followed what was applied: no request changes an object for a second."""
    deadline = time.monotonic() + seconds
    before = -1
    while time.monotonic() < deadline:
        text = cluster.metrics()
        writes = sum(
            int(value)
            for labels, value in samples(text, "apiserver_request_total")
            if labels["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
            and labels["resource"] not in ("leases", "events")
        )
        if writes == before:
            return
        before = writes
        time.sleep(1.0)
