"""`agent version`."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.sops.format.metadata import VERSION

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the version of the agent, and of the sops whose file format it writes."
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    facts = {"version": metadata.version("signet"), "sops": VERSION, "python": platform.python_version()}
    if args.output != "table":
        terminal.write_data(facts, args.output)
    else:
        terminal.line(f"signet {facts['version']} (writes files as sops {VERSION}, Python {facts['python']})")
    return 0
