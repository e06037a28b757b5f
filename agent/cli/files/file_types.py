"""Of what type a file is, unless its name tells, and whether it looks encrypted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.sops.stores.store import Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_METADATA: Mapping[Store, bytes] = {
    Store.YAML: rb"""^["']?sops["']?[ \t]*:|\A\s*\{(?s:.)*["']sops["']\s*:""",
    Store.JSON: rb'"sops"\s*:',
    Store.DOTENV: rb"^sops_(?:version|mac|lastmodified)\s*=",
    Store.INI: rb"^\[sops\]",
    Store.BINARY: rb'\A\s*\{(?s:.)*"sops"\s*:',
}
"""Patterns, by line, which `re` compiles when one is used."""


def add_input_option(parser: argparse.ArgumentParser) -> None:
    """Sets `input_type`, empty where the name decides."""
    parser.add_argument(
        "--input-type", metavar="TYPE", default="", help="yaml, json, dotenv, ini or binary; else as the name says"
    )


def add_output_option(parser: argparse.ArgumentParser, *, what: str = "what is written") -> None:
    """Sets `output_type`, empty where the name decides."""
    parser.add_argument("--output-type", metavar="TYPE", default="", help=f"{what}; else as the name says")


def looks_encrypted(data: bytes, store: Store) -> bool:
    """Whether there is a sops entry, as far as can be told without parsing."""
    return b"lastmodified" in data and re.search(_METADATA[store], data, re.MULTILINE) is not None
