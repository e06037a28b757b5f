"""`python -m bench.pipelines`: random pipelines of template functions over a sealed value, compared with what Helm makes of the value itself."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from agent.adapters.render.pool import Renderers
from render import build
from testbed.equivalence import pipelines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.equivalence.pipelines import Pipeline

_PROGRESS = 5000


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 where one differs."""
    parser = argparse.ArgumentParser(prog="python -m bench.pipelines", description=__doc__)
    _ = parser.add_argument("--count", type=int, default=100_000, help="default: %(default)s")
    _ = parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    _ = parser.add_argument("--show", default="", metavar="CLASS", help="print fifty pipelines of this class")
    options = parser.parse_args(argv)
    found = asyncio.run(judged(pipelines.drawn(options.seed, options.count)))
    print(f"seed {options.seed}")
    for name, members in sorted(found.items(), key=lambda each: -len(each[1])):
        print(f"{len(members):>8}  {name}{'' if name in pipelines.CLASSES else '  <- fault'}")
        for each in members[:50] if name == options.show or name not in pipelines.CLASSES else ():
            print(f"          {each}")
    return 1 if set(found) - pipelines.CLASSES else 0


async def judged(drawn: Sequence[Pipeline]) -> Mapping[str, Sequence[Pipeline]]:
    """By class."""
    renderers = Renderers(build.built())
    found: defaultdict[str, list[Pipeline]] = defaultdict(list)
    try:
        for number, each in enumerate(drawn, 1):
            found[await pipelines.judged(renderers, each)].append(each)
            if number % _PROGRESS == 0:
                print(f"{number} of {len(drawn)}", file=sys.stderr, flush=True)
    finally:
        await renderers.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
