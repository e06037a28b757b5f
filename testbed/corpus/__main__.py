"""`python -m testbed.corpus DIR`: a table of units, counts by reason, and JSON. Exit code 0 whatever the outcome: it is a measurement."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import agent as agents
from testbed.controlplane import ControlPlane
from testbed.corpus import units
from testbed.corpus.running import Outcome, Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.cluster import Cluster

_LONGEST = 60


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m testbed.corpus", description=__doc__)
    _ = parser.add_argument("folder", type=Path, metavar="DIR", help="a checkout")
    _ = parser.add_argument("--limit", type=int, default=500, help="units at most (default: %(default)s)")
    _ = parser.add_argument("--json", type=Path, metavar="FILE", help="write what is known of each unit, too")
    _ = parser.add_argument("--no-apply", action="store_true", help="render alone: no API server is started")
    _ = parser.add_argument(
        "--disclose",
        action="store_true",
        help="variables from Secrets are clear, as where the operator grants disclosing",
    )
    options = parser.parse_args(argv)
    folder: Path = options.folder.resolve()
    if not folder.is_dir():
        parser.error(f"{options.folder} is no folder")
    with contextlib.ExitStack() as servers:
        cluster: Cluster | None = None
        if not options.no_apply:
            cluster = servers.enter_context(ControlPlane())
            agents.install(cluster)
        report = measured(folder, cluster, limit=options.limit, disclose=options.disclose)
    print(text(report))
    if options.json is not None:
        _ = options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0


def measured(folder: Path, cluster: Cluster | None, *, limit: int = 500, disclose: bool = False) -> dict[str, Any]:
    """Each unit with its outcome, counts of them, and the reasons why units and objects do not come through."""
    found, checkout = units.find(folder, clear=disclose)
    runner = Runner(folder, cluster)
    outcomes: list[Outcome] = []
    for unit in found[:limit]:
        print(f"{len(outcomes) + 1} of {min(len(found), limit)}: {unit.path}", file=sys.stderr, flush=True)
        outcomes.append(runner.run(unit))
    held, refused = Counter[str](), Counter[str]()
    for each in outcomes:
        held += each.held
        refused += each.refused
    return {
        "counts": {
            "units": len(outcomes),
            "rendered": sum(each.rendered for each in outcomes),
            "applied": sum(each.whole for each in outcomes) if cluster is not None else None,
            "objects": sum(each.objects for each in outcomes),
            "objectsApplied": sum(each.applied for each in outcomes) if cluster is not None else None,
            "notTried": len(found) - len(outcomes),
        },
        "notRendered": dict(Counter(each.why for each in outcomes if each.why).most_common()),
        "objectsHeld": dict(held.most_common()),
        "objectsRefused": dict(refused.most_common()),
        "severalNamespaces": sum(each.namespaces > 1 for each in outcomes),
        "notRead": dict(checkout.unread),
        "units": [_row(each) for each in outcomes],
    }


def _row(each: Outcome) -> dict[str, Any]:
    unit = asdict(each.unit)
    return {
        **{name: unit[name] for name in ("kind", "name", "path")},
        "rendered": each.rendered,
        "why": each.why,
        "detail": each.detail,
        "objects": each.objects,
        "applied": each.applied,
        "held": dict(each.held),
        "refused": dict(each.refused),
        "namespaces": each.namespaces,
        "seconds": round(each.seconds, 2),
    }


def text(report: dict[str, Any]) -> str:
    """The table and the counts."""
    lines = [f"{'UNIT':<60}  {'BY':<13}  {'OBJECTS':>7}  {'APPLIED':>7}  WHY NOT"]
    for row in report["units"]:
        reasons = (
            [row["why"]]
            if row["why"]
            else [f"{count} {why}" for why, count in {**row["held"], **row["refused"]}.items()]
        )
        path = row["path"] or "."
        short = path if len(path) <= _LONGEST else "…" + path[1 - _LONGEST :]
        lines.append(
            f"{short:<60}  {row['kind']:<13}  {row['objects']:>7}  {row['applied']:>7}  {'; '.join(reasons)}".rstrip()
        )
    counts = report["counts"]
    tried = counts["applied"] is not None
    applied, objects = (
        (f", {counts['applied']} applied whole", f", {counts['objectsApplied']} applied") if tried else ("", "")
    )
    lines.append(f"\n{counts['units']} units: {counts['rendered']} rendered{applied}")
    lines.append(f"{counts['objects']} objects{objects}")
    for title, name in (
        ("units not rendered", "notRendered"),
        ("objects held", "objectsHeld"),
        ("objects refused", "objectsRefused"),
    ):
        lines += [f"  {title}: {count} {why}" for why, count in report[name].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
