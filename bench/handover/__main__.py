"""`python -m bench.handover`: Applications are handed from agent to agent by faults, and the API server's audit log is the judge."""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.handover import calls_per_run, scenarios
from bench.handover.fleet import Fleet
from bench.handover.scenarios import ACTS, APPLICATIONS, GATES, SINGLE
from testbed.processes import terminated_as_interrupt

if TYPE_CHECKING:
    from bench.handover.fleet import Verdict

_SHOWN: Final = 5
"""Faults of each kind that are printed of a scenario."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.handover", description=__doc__)
    _ = parser.add_argument(
        "--passes", type=int, default=1, metavar="N", help="each on servers of its own (default: 1)"
    )
    _ = parser.add_argument(
        "--scenario",
        action="append",
        choices=[*ACTS, *SINGLE],
        help=f"only this one, may be repeated (default: {', '.join(ACTS)}, which have all between them)",
    )
    _ = parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="repeat the commits of a pass")
    _ = parser.add_argument("--agent-fields", action="store_true", help="judge agent, epoch and since of each status")
    _ = parser.add_argument(
        "--logs", type=Path, metavar="FOLDER", help="keep what the agents said, unless it was news of a success"
    )
    _ = parser.add_argument("--calls", action="store_true", help="count calls per run instead")
    return parser.parse_args(given)


def main() -> int:
    options = arguments()
    with terminated_as_interrupt():
        if options.calls:
            print(json.dumps(calls_per_run.measure(), indent=1))
            return 0
        return play(options)


def play(options: argparse.Namespace) -> int:
    names: list[str] = options.scenario or list(ACTS)
    print(f"seed {options.seed}")
    print(
        f"{'pass':>4}  {'scenario':<12} {'older':>6} {'deletes':>8} {'lost':>5} {'other':>6} {'late':>5}"
        f" {'hand-over s':>14} {'calls':>6} {'seconds':>8}",
        flush=True,
    )
    verdicts: list[Verdict] = []
    for number in range(1, options.passes + 1):
        began = time.monotonic()
        with Fleet(seed=options.seed + number, agent_fields=options.agent_fields) as fleet:
            fleet.begin(APPLICATIONS, gates=GATES)
            for name in names:
                verdict = scenarios.play(fleet, name)
                verdicts.append(verdict)
                print(f"{number:>4}  {row(verdict)}", flush=True)
                _explain(verdict)
            if options.logs:
                options.logs.mkdir(parents=True, exist_ok=True)
                _ = (options.logs / f"pass-{number}.log").write_text(fleet.logs(), "utf-8")
        print(f"{number:>4}  {time.monotonic() - began:.0f} s", flush=True)
    found = Counter(fault.kind for verdict in verdicts for fault in verdict.faults)
    times = sorted(seconds for verdict in verdicts for seconds in verdict.hand_over.values())
    print(
        json.dumps(
            {
                "seed": options.seed,
                "passes": options.passes,
                "faults": dict(found),
                "late writes": sum(verdict.late for verdict in verdicts),
                "hand-over seconds": {"median": times[len(times) // 2], "most": times[-1]} if times else {},
            }
        )
    )
    return 1 if found else 0


def row(verdict: Verdict) -> str:
    """The counts of one scenario."""
    older, deletes, lost = (verdict.count(kind) for kind in ("older write", "wrong delete", "lost commit"))
    times = sorted(verdict.hand_over.values())
    shown = f"{times[0]:.1f} … {times[-1]:.1f}" if times else ""
    return (
        f"{verdict.name:<12} {older:>6} {deletes:>8} {lost:>5} {len(verdict.faults) - older - deletes - lost:>6}"
        f" {verdict.late:>5} {shown:>14} {verdict.calls:>6} {verdict.seconds:>8.1f}"
    )


def _explain(verdict: Verdict) -> None:
    shown_of: Counter[str] = Counter()
    for fault in verdict.faults:
        shown_of[fault.kind] += 1
        if shown_of[fault.kind] <= _SHOWN:
            print(f"      {fault}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
