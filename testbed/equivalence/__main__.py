"""`python -m testbed.equivalence DIR`: every chart below a folder, each value that looks secret sealed and in the clear, compared."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from agent.adapters.render.pool import Renderers
from agent.values.errors import AgentError
from render import build
from testbed.equivalence import charts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.equivalence.charts import Leaf


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 where a value came out wrong."""
    parser = argparse.ArgumentParser(prog="python -m testbed.equivalence", description=__doc__)
    _ = parser.add_argument("folder", type=Path, metavar="DIR", help="charts, as folders and archives")
    _ = parser.add_argument("--limit", type=int, default=500, help="charts at most (default: %(default)s)")
    _ = parser.add_argument("--json", type=Path, metavar="FILE", help="write each leaf, too")
    options = parser.parse_args(argv)
    folder: Path = options.folder.resolve()
    if not folder.is_dir():
        parser.error(f"{options.folder} is no folder")
    leaves = asyncio.run(_judged(folder, options.limit))
    print(text(leaves))
    if options.json is not None:
        _ = options.json.write_text(json.dumps([asdict(each) for each in leaves], indent=2) + "\n", "utf-8")
    return 1 if any(each.result == "wrong" for each in leaves) else 0


async def _judged(folder: Path, limit: int) -> list[Leaf]:
    renderers = Renderers(build.built())
    leaves: list[Leaf] = []
    try:
        for number, (path, files) in enumerate(charts.found(folder)):
            if number == limit:
                break
            print(f"{number + 1}: {path}", file=sys.stderr, flush=True)
            try:
                leaves += await charts.judged(renderers, path, files)
            except AgentError as error:
                leaves.append(charts.Leaf(path, "", "", "Helm refuses", error.message))
    finally:
        await renderers.close()
    return leaves


def text(leaves: Sequence[Leaf]) -> str:
    """Counts by chart and in all, and each reason with how often it was met."""
    lines = [f"{'CHART':<50}  {'RIGHT':>6}  {'UNUSED':>6}  {'REFUSED':>7}  {'HELD':>5}  {'WRONG':>5}  HELM REFUSES"]
    for chart in dict.fromkeys(each.chart for each in leaves):
        counts = Counter(each.result for each in leaves if each.chart == chart)
        lines.append(_row(chart[-50:], counts))
    total = Counter(each.result for each in leaves)
    compared = total["right"] + total["refused"] + total["held"] + total["wrong"]
    share = f", {total['refused'] / compared:.1%} refused" if compared else ""
    lines += [_row("all", total), f"\n{compared} values reach an object or are refused{share}, {total['wrong']} wrong"]
    for result in ("wrong", "refused", "held", "Helm refuses"):
        reasons = Counter(each.why for each in leaves if each.result == result)
        lines += [f"  {result}: {count} {why}" for why, count in reasons.most_common(20)]
    return "\n".join(lines)


def _row(name: str, counts: Counter[str]) -> str:
    wide = zip(("right", "unused", "refused", "held", "wrong", "Helm refuses"), (6, 6, 7, 5, 5, 12), strict=True)
    return "  ".join([f"{name:<50}", *(f"{counts[each]:>{width}}" for each, width in wide)])


if __name__ == "__main__":
    sys.exit(main())
