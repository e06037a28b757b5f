"""`python -m image`: build the image, and say where it is and how large. `make image` runs it."""

from __future__ import annotations

import argparse
import sys

from image.build import Choices, build
from image.storage import ImageError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m image", description=__doc__)
    _ = parser.add_argument("--base", default="", help="an image of Debian trixie (default: made by mmdebstrap)")
    _ = parser.add_argument(
        "--again", action="store_true", help="take nothing from earlier builds: newest packages of Debian"
    )
    options = parser.parse_args()
    try:
        made = build(Choices(options.base, options.again))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{made.path}\n{made.digest}\n{made.packed / 2**20:.1f} MiB to pull")
    return 0


if __name__ == "__main__":
    sys.exit(main())
