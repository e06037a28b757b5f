"""Where a file's new bytes go: standard output, another file, or back into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import boundary, file_types
from agent.values.errors import ConflictingFlagsError

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """What type the file is, and where the result goes; the file itself is `trees.add_options`' part."""
    parser.add_argument("-i", "--in-place", action="store_true", help="write back to the file")
    parser.add_argument("--output", metavar="FILE", help="write to this file")
    file_types.add_input_option(parser)
    file_types.add_output_option(parser)
    parser.add_argument("--filename-override", metavar="NAME", help="the name that rules and types go by")


def check(args: argparse.Namespace) -> None:
    """Raises ConflictingFlagsError where the result would have to go to two places, or back into standard input."""
    if args.in_place and args.output:
        raise ConflictingFlagsError("--in-place and --output exclude one another")
    if args.in_place and args.file is None:
        raise ConflictingFlagsError("--in-place needs a file")


def deliver(args: argparse.Namespace, data: bytes) -> None:
    """The result to where the flags say."""
    target = args.file if args.in_place else args.output
    if target:
        boundary.write(target, data, getattr(args, "config", None))
    else:
        terminal.write_bytes(data)
