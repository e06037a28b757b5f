"""`python -m image`: build the image, and say where it is and how large. `make image` runs it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from image import sbom
from image.archive import Image
from image.build import Choices, build, materials
from image.contained import Contents
from image.storage import ImageError

_SHOWN = 25


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m image", description=__doc__)
    _ = parser.add_argument("--base", default="", help="an image of Debian trixie (default: made by mmdebstrap)")
    _ = parser.add_argument(
        "--again", action="store_true", help="take nothing from earlier builds: newest packages of Debian"
    )
    _ = parser.add_argument(
        "--sbom", type=Path, metavar="ARCHIVE", help="build nothing: print the bill of materials of an image"
    )
    _ = parser.add_argument(
        "--sizes", type=Path, metavar="ARCHIVE", help="build nothing: print what takes how many MiB in an image"
    )
    options = parser.parse_args()
    if options.sbom is not None:
        image = Image.read(options.sbom)
        print(sbom.text(image, Contents.of(image)), end="")
        return 0
    if options.sizes is not None:
        _sizes(Image.read(options.sizes))
        return 0
    try:
        made = build(Choices(options.base, options.again))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{made.path}\n{materials(made)}\n{made.digest}\n{_mib(made.packed)} to pull")
    return 0


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _sizes(image: Image) -> None:
    contents = Contents.of(image)
    for layer in image.layers:
        print(f"{_mib(layer.packed):>10} packed  {layer.made_by.removeprefix('/bin/sh -c #(nop) ')[:60]}")
    print(f"{_mib(sum(contents.files.values())):>10} unpacked, of it:")
    for place, size in contents.by_place()[:_SHOWN]:
        print(f"{_mib(size):>10} {place}")


if __name__ == "__main__":
    sys.exit(main())
