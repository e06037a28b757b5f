"""`agent filestatus`: whether a file is encrypted, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.errors import FileMissingError
from agent.cli.files import content, file_types
from agent.sops import stores
from agent.sops.format.metadata import ENTRY
from agent.values.errors import AgentError
from agent.yaml.nodes import Mapping

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  agent filestatus secret.yaml                          {"encrypted":true} or {"encrypted":false}
  agent filestatus secret.yaml | jq -e .encrypted       for a shell's `if`

`agent verify` says more, of many files, and by its exit code.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show whether a file is encrypted: whether it has sops metadata with a MAC. No key is asked for."
    )
    parser.epilog = _EXAMPLES
    parser.add_argument("files", nargs="*", metavar="file", help="the file")
    file_types.add_input_option(parser)


def run(args: argparse.Namespace) -> int:
    if not args.files:
        raise FileMissingError("no file named")
    file: str = args.files[0]
    store = stores.of(file, args.input_type)
    try:
        encrypted = _is_encrypted(store.parse(content.read(file), file=file), file)
    except AgentError as error:
        raise error.in_case("general") from None
    terminal.write_text(f'{{"encrypted":{"true" if encrypted else "false"}}}\n')
    return 0


def _is_encrypted(documents: list[Mapping], file: str) -> bool:
    entry = documents[0].get(ENTRY) if documents else None
    if isinstance(entry, Mapping) and not (entry.get("version") and entry.get("mac")):
        return False
    _, metadata = stores.split(documents, file=file)
    return metadata is not None
