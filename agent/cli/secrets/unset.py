"""`agent unset`: take one value out of an encrypted file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import flags
from agent.cli.secrets import alteration
from agent.sops.files import places
from agent.values.errors import FileMissingError, NoSuchPlaceError, SetFormatError

if TYPE_CHECKING:
    import argparse

    from agent.yaml.nodes import Mapping

_EXAMPLES = """\
examples:
  agent unset secret.yaml '["stringData"]["password"]'
  agent unset --idempotent secret.yaml '["list"][2]'    it may be gone already
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Remove one value of an encrypted file. Nothing else changes."
    parser.epilog = _EXAMPLES
    parser.usage = "agent unset [FLAGS] FILE INDEX"
    parser.add_argument("arguments", nargs="*", help="the file, and the place as '[\"key\"][0]'")
    alteration.add_options(parser)


def run(args: argparse.Namespace) -> int:
    if len(args.arguments) != 2:
        raise FileMissingError("a file and an index are needed", hint="agent unset --help has examples")
    file, index = args.arguments
    path = places.parse(index, refusal=SetFormatError)

    def without(document: Mapping) -> Mapping:
        try:
            return places.take(document, path)
        except NoSuchPlaceError:
            if args.idempotent:
                return document
            raise

    return alteration.change(flags.typed(alteration.How, args), file, without)
