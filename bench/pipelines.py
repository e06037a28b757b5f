"""`python -m bench.pipelines`: random pipelines of template functions over a sealed value, compared with what Helm makes of the value itself.

A long run may be ended at any time: with `--results` another one goes on after the seeds that are in that file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.equivalence import pipelines
from testbed.equivalence.pipelines import Judge
from testbed.equivalence.renderer import Renderer

if TYPE_CHECKING:
    from collections.abc import Sequence

_EACH: Final = 1000
_SHOWN: Final = 50


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 where one differs."""
    parser = argparse.ArgumentParser(prog="python -m bench.pipelines", description=__doc__)
    _ = parser.add_argument("--count", type=int, default=100_000, help=f"{_EACH} for each seed; default: %(default)s")
    _ = parser.add_argument("--seed", type=int, default=1, help="the first one; default: %(default)s")
    _ = parser.add_argument("--results", type=Path, metavar="FILE", help="keep what came of each seed, and go on there")
    _ = parser.add_argument("--show", default="", metavar="CLASS", help=f"print {_SHOWN} pipelines of this class")
    options = parser.parse_args(argv)
    results: Path | None = options.results
    lines = results.read_text().splitlines() if results is not None and results.exists() else []
    known: dict[int, dict[str, int]] = {each["seed"]: each["classes"] for each in map(json.loads, lines)}
    seeds = range(options.seed, options.seed + -(-options.count // _EACH))
    _judged([seed for seed in seeds if seed not in known], known, results, options.show)
    found = sum((Counter(known[seed]) for seed in seeds), Counter[str]())
    print(f"{found.total()} pipelines of the seeds {seeds[0]} to {seeds[-1]}")
    for name, count in found.most_common():
        print(f"{count:>8}  {name}{'' if name in pipelines.CLASSES else '  <- fault'}")
    return 1 if set(found) - pipelines.CLASSES else 0


def _judged(seeds: Sequence[int], known: dict[int, dict[str, int]], results: Path | None, show: str) -> None:
    """Each of these seeds becomes known, and a line of `results`. Faults are printed as they are found."""
    shown = 0
    with Renderer() as renderer:
        judge = Judge(renderer.helm)
        for seed in seeds:
            found: Counter[str] = Counter()
            for each in pipelines.drawn(seed, _EACH):
                name = judge.judged(each)
                found[name] += 1
                if name not in pipelines.CLASSES or (name == show and shown < _SHOWN):
                    shown += name == show
                    print(f"{name}: {each}", flush=True)
            known[seed] = dict(found)
            if results is not None:
                with results.open("a") as file:
                    print(json.dumps({"seed": seed, "classes": found}), file=file)
            print(f"seed {seed}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
