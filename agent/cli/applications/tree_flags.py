"""The flags that name a folder of manifests and what it is merged for. Help shows them, so that nothing that reads a manifest is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli.keys import sealing_keys
from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Asked:
    """What the flags of `add_options` say."""

    folder: str
    layers: Sequence[str] | None
    application: str | None
    namespace: str
    sealing_key: list[str]
    operator_file: str | None
    kustomize: str | None
    generate: bool
    helm: str | None
    values: list[str]
    release: str
    source: list[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", default=".", metavar="FOLDER", help="root of the repository (default: this folder)"
    )
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="with -f: where the source of this name in spec.sources is checked out; may be repeated",
    )
    parser.add_argument(
        "--layers", action="append", metavar="A,B", help="folders below it, merged in this order (default: all of it)"
    )
    parser.add_argument(
        "-f", "--application", metavar="FILE", help="an Application: its layers, globs, destination and secrets.allow"
    )
    parser.add_argument(
        "--kustomize", metavar="DIR", help="build the overlay in this folder, from the root of the repository"
    )
    parser.add_argument(
        "--generate",
        action="store_true",
        help="with --kustomize: take a folder without a kustomization.yaml as Flux does, all manifests below it",
    )
    parser.add_argument(
        "--helm", metavar="DIR", help="render the chart in this folder, from the root of the repository"
    )
    parser.add_argument(
        "--values",
        action="append",
        default=[],
        metavar="FILE",
        help="with --helm: a file with values, from the root of the repository; may be repeated",
    )
    parser.add_argument("--release", default="", metavar="NAME", help="with --helm: name of the release")
    parser.add_argument(
        "-n", "--namespace", default="", help="namespace for objects without one, and the only one allowed"
    )
    parser.add_argument("--sealing-key", action="append", default=[], metavar="FILE", help=sealing_keys.HELP)
    parser.add_argument(
        "--operator-file",
        metavar="FILE",
        help="the operator's file: its limits and warnings that hold, and with -f what it grants: hosts, stores, paths, namespaces, sinks",
    )
