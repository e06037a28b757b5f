"""The type of a file whose name does not give it, and whether a file looks encrypted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from agent.sops.stores import Store


def add_input_option(parser: argparse.ArgumentParser) -> None:
    """Sets `input_type`, empty where the name decides."""
    parser.add_argument(
        "--input-type",
        metavar="TYPE",
        default="",
        help="yaml, json, dotenv, ini or binary (default: from the file name)",
    )


def add_output_option(parser: argparse.ArgumentParser, *, what: str = "what is written") -> None:
    """Sets `output_type`, empty where the name decides."""
    parser.add_argument("--output-type", metavar="TYPE", default="", help=f"{what} (default: from the file name)")


def looks_encrypted(data: bytes, store: Store) -> bool:
    """Whether there is a sops entry, as far as can be seen without parsing."""
    return b"lastmodified" in data and re.search(store.metadata_line, data, re.MULTILINE) is not None
