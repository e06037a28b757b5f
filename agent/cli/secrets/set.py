"""`agent set`: one value of an encrypted file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import flags
from agent.cli.errors import ConflictingFlagsError, FileMissingError, ReadError
from agent.cli.files import content
from agent.cli.secrets import alteration
from agent.sops.files import places
from agent.values.errors import SetFormatError

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  agent set secret.yaml '["stringData"]["password"]' '"hunter2"'
  printf '"%s"' "$PASSWORD" | agent set --value-stdin secret.yaml '["stringData"]["password"]'
  agent set --value-file secret.yaml '["ca"]' ca.json
  agent set secret.yaml '["list"][0]' '{"name": "first", "port": 5432}'

The value is JSON: strings need quotes. An argument is visible to every user of this machine while the command runs, and stays in the
shell's history: pass a secret with --value-stdin.

A missing path is created, an index beyond the end of a list appends, and comments in a list count as items.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Set one value of an encrypted file. Only the lines that it touches change."
    parser.epilog = _EXAMPLES
    parser.usage = "agent set [FLAGS] FILE INDEX VALUE"
    parser.add_argument("arguments", nargs="*", help="the file, the place as '[\"key\"][0]', and the value as JSON")
    parser.add_argument("--value-file", action="store_true", help="VALUE names a file that holds it")
    parser.add_argument("--value-stdin", action="store_true", help="the value comes from standard input; no VALUE")
    alteration.add_options(parser)


def run(args: argparse.Namespace) -> int:
    if args.value_file and args.value_stdin:
        raise ConflictingFlagsError("--value-file and --value-stdin exclude one another").in_case("general")
    if len(args.arguments) != (2 if args.value_stdin else 3):
        raise FileMissingError("a file, an index and a value are needed", hint="agent set --help has examples")
    file, index, *rest = args.arguments
    path = places.parse(index, refusal=SetFormatError)
    value = places.parse_value(_text(args, rest))
    return alteration.change(
        flags.typed(alteration.How, args), file, lambda document: places.put(document, path, value)
    )


def _text(args: argparse.Namespace, rest: list[str]) -> str:
    if args.value_stdin:
        return content.read_stdin().decode("utf-8", "surrogateescape")
    [value] = rest
    if not args.value_file:
        return value
    try:
        return content.read(value).decode("utf-8", "surrogateescape")
    except (FileMissingError, ReadError) as error:
        raise error.in_case("general") from None
