"""Of what type a file is, and of what type its result: by its name, unless the flags say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.stores import store as stores

if TYPE_CHECKING:
    import argparse

    from agent.sops.stores.store import Store


def add_input_option(parser: argparse.ArgumentParser) -> None:
    """Sets `input_type`, empty where the name decides."""
    parser.add_argument(
        "--input-type", metavar="TYPE", default="", help="yaml, json, dotenv, ini or binary; else as the name says"
    )


def add_output_option(parser: argparse.ArgumentParser, *, what: str = "what is written") -> None:
    """Sets `output_type`, empty where the name decides."""
    parser.add_argument("--output-type", metavar="TYPE", default="", help=f"{what}; else as the name says")


def of_input(args: argparse.Namespace, file: str) -> Store:
    return stores.of(file, args.input_type)


def of_output(args: argparse.Namespace, file: str) -> Store:
    return stores.of(file, args.output_type)
