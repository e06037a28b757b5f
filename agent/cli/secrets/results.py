"""Where a file's new bytes go: standard output, another file, or back into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.errors import ConflictingFlagsError
from agent.cli.files import file_types
from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    import argparse


@dataclass(frozen=True, slots=True)
class Where:
    """Where the flags say that the result goes: by default to standard output."""

    in_place: bool
    output: str | None
    config: str | None


def add_options(parser: argparse.ArgumentParser) -> None:
    """What type the file is, and where the result goes; the file itself is `trees.add_options`' part."""
    parser.add_argument("-i", "--in-place", action="store_true", help="write back to the file")
    parser.add_argument("--output", metavar="FILE", help="write to this file")
    file_types.add_input_option(parser)
    file_types.add_output_option(parser)
    parser.add_argument("--filename-override", metavar="NAME", help="file name to choose the rule and the type by")


def check(where: Where, file: str | None) -> None:
    """`file` is None for standard input. Raises ConflictingFlagsError for two places, or for back into standard input."""
    if where.in_place and where.output:
        raise ConflictingFlagsError("--in-place and --output exclude one another")
    if where.in_place and file is None:
        raise ConflictingFlagsError("--in-place needs a file")


def deliver(where: Where, file: str | None, data: bytes) -> None:
    """The result of a file."""
    target = file if where.in_place else where.output
    if target:
        # Only here, since most results are shown.
        from agent.cli.files import boundary

        boundary.write(target, data, where.config)
    else:
        terminal.write_bytes(data)
