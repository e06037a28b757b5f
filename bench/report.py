"""What a benchmark found, as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bench.counters import WATCHED
from bench.edits import percentile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.scenarios import Measured
    from bench.writers import Written

_READS = ("GET", "LIST")
_OF_THE_SERVER = "LIST services"
"""The API server lists Services itself every few minutes, to check their addresses."""
_LISTED = tuple(f"LIST {resource}" for resource in ("applications", *WATCHED))


@dataclass(frozen=True, slots=True)
class Round:
    """One comparison on fresh namespaces, in the order in which it was made."""

    agent: Measured
    patches: Written
    patches_server_cpu: float
    kubectl: Written
    kubectl_server_cpu: float
    load: float

    @property
    def ratio(self) -> float:
        return self.agent.seconds / self.patches.seconds


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected, what was found, and whether that is it."""

    name: str
    wanted: str
    found: str
    met: bool


@dataclass(slots=True)
class Findings:
    """Everything of one run."""

    objects: int
    rounds: list[Round] = field(default_factory=list[Round])
    scenarios: dict[str, Measured] = field(default_factory=dict[str, "Measured"])
    heals: list[float] = field(default_factory=list[float])
    machine: dict[str, object] = field(default_factory=dict[str, object])

    def expectations(self) -> list[Expectation]:
        """Numbers beside what is expected of them. Ratios are of one round, so that a busy machine slows both."""
        found: list[Expectation] = []
        if (idle := self.scenarios.get("no-op")) is not None:
            count = sum(value for key, value in objects_calls(idle).items() if key != _OF_THE_SERVER)
            agent = working_calls(idle)
            found.append(
                Expectation(
                    "no-op",
                    "0 calls",
                    f"{count} seen by the apiserver besides its own, {agent} by the agent,"
                    f" in {idle.parts['runs']:.0f} runs",
                    count == 0 and agent == 0,
                )
            )
        if (restart := self.scenarios.get("restart")) is not None:
            lists = {key: value for key, value in objects_calls(restart).items() if key.startswith("LIST")}
            writes = sum(value for key, value in objects_calls(restart).items() if not key.startswith(_READS))
            found.append(
                Expectation(
                    "restart",
                    "one LIST per kind, no write",
                    f"{_calls(lists)} (one holds the record); {writes} writes",
                    writes == 0
                    and lists.get(_OF_THE_SERVER) in {1, 2}
                    and {**lists, _OF_THE_SERVER: 1} == {**dict.fromkeys(_LISTED, 1), "LIST configmaps": 2},
                )
            )
        if self.heals:
            p99 = percentile(self.heals, 99)
            found.append(Expectation("heal p99", "< 1 s", f"{p99:.3f} s", p99 < 1))
        if self.rounds:
            ratios = sorted(round_.ratio for round_ in self.rounds)
            middle = ratios[len(ratios) // 2]
            found.append(
                Expectation(
                    "cold / bare PATCHes",
                    "≤ 1.5",
                    f"{middle:.2f} (median of {', '.join(f'{ratio:.2f}' for ratio in ratios)})",
                    middle <= 1.5,
                )
            )
        return found

    def tree(self) -> dict[str, object]:
        """As JSON takes it."""
        heals = {f"p{percent}": percentile(self.heals, percent) for percent in (50, 90, 99, 100)} if self.heals else {}
        return {
            "machine": self.machine,
            "objects": self.objects,
            "rounds": [{**asdict(round_), "ratio": round_.ratio} for round_ in self.rounds],
            "scenarios": {name: asdict(measured) for name, measured in self.scenarios.items()},
            "heals": {**heals, "count": len(self.heals), "seconds": self.heals},
            "expectations": [asdict(each) for each in self.expectations()],
        }


def objects_calls(measured: Measured) -> dict[str, int]:
    """The apiserver's count of requests for the kinds that are measured with, and for Applications."""
    return {key: value for key, value in measured.server_calls.items() if value}


def working_calls(measured: Measured) -> int:
    """The agent's count without watches and its Lease, of which a renewal is an `update` and a `list`."""
    calls = sum(value for verb, value in measured.agent_calls.items() if verb != "watch")
    return calls - 2 * measured.agent_calls.get("update", 0)


def table(findings: Findings) -> str:
    """The whole report as text."""
    rows: list[tuple[str, ...]] = [("", "wall s", "CPU s", "peak MiB", "requests", "apiserver CPU s")]
    for number, round_ in enumerate(findings.rounds, 1):
        rows.append((f"round {number}: cold, agent", *_measured(round_.agent)))
        rows.append(
            (f"round {number}: bare PATCHes", *_written(round_.patches, findings.objects, round_.patches_server_cpu))
        )
        rows.append(
            (
                f"round {number}: kubectl apply --server-side",
                *_written(round_.kubectl, findings.objects, round_.kubectl_server_cpu),
            )
        )
        rows.append((f"round {number}: agent / PATCHes", f"{round_.ratio:.2f}", "", "", "", f"load {round_.load:.1f}"))
    rows += [(name, *_measured(measured)) for name, measured in findings.scenarios.items()]
    text = [align(rows)]
    if findings.heals:
        shown = ", ".join(f"p{percent} {percentile(findings.heals, percent):.3f} s" for percent in (50, 90, 99, 100))
        text.append(f"live edit → healed, {len(findings.heals)} edits: {shown}")
    for name, measured in [(f"round {at} cold", each.agent) for at, each in enumerate(findings.rounds, 1)] + list(
        findings.scenarios.items()
    ):
        parts = ", ".join(f"{key} {value:.2f}" for key, value in measured.parts.items())
        text.append(
            f"{name}: {parts + '; ' if parts else ''}apiserver: {_calls(objects_calls(measured))};"
            f" agent: {_calls(measured.agent_calls)}"
        )
    rows = [("expected", "", "found", "")]
    rows += [(each.name, each.wanted, each.found, "met" if each.met else "NOT MET") for each in findings.expectations()]
    text.append(align(rows))
    return "\n\n".join(text)


def _measured(measured: Measured) -> tuple[str, ...]:
    return (
        f"{measured.seconds:.2f}",
        f"{measured.cpu:.2f}",
        f"{measured.peak_mib:.0f}",
        str(working_calls(measured)),
        f"{measured.server_cpu:.1f}",
    )


def _written(written: Written, objects: int, server_cpu: float) -> tuple[str, ...]:
    peak = f"{written.peak_mib:.0f}" if written.peak_mib else "-"
    return (
        f"{written.seconds:.2f}",
        f"{written.cpu:.2f}",
        peak,
        f"{objects}+" if written.peak_mib else str(objects),
        f"{server_cpu:.1f}",
    )


def _calls(calls: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(calls.items())) or "none"


def align(rows: Sequence[Iterable[str]]) -> str:
    cells = [list(row) for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
