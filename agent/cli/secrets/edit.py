"""`agent edit`: plaintext in an editor, on memory only, and back.

Values that were not touched keep their ciphertext, so a commit shows what changed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import FileMissingError
from agent.cli.files import boundary, content, editor, file_types, layout, memory, rules
from agent.cli.keys import creation, encryption, fresh, key_sources
from agent.cli.keys.key_sources import Access
from agent.cli.keys.recipients import Named
from agent.cli.secrets import guards
from agent.sops import stores
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import EVERYTHING
from agent.values.dataclass import dataclass, replace
from agent.values.errors import DataKeyError, SopsFormatError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from agent.sops.files.decrypt import Ivs
    from agent.sops.stores import Store
    from agent.yaml.nodes import Mapping

_EXAMPLES = """\
examples:
  agent edit secret.yaml                                a new file starts from an example, with keys as .sops.yaml says
  SOPS_EDITOR='code --wait' agent edit secret.yaml

The editor is SOPS_EDITOR, EDITOR, vim, nano or vi. The temporary file is in its own folder on tmpfs and is deleted afterwards. What is
saved unchanged is not written (exit 200); what does not parse can be corrected.
"""
_EXAMPLES_OF = {
    "yaml": b"""\
hello: Welcome! Edit this file as you please.
example_key: example_value
# Example comment
example_array:
    - example_value1
    - example_value2
example_number: 1234.56789
example_booleans:
    - true
    - false
""",
    "json": b"""\
{
\t"hello": "Welcome! Edit this file as you please.",
\t"example_key": "example_value",
\t"example_array": ["example_value1", "example_value2"],
\t"example_number": 1234.56789,
\t"example_booleans": [true, false]
}
""",
    "dotenv": b"""\
# Example comment
hello=Welcome! Edit this file as you please.
example_key=example_value
""",
    "ini": b"""\
[welcome]
; Example comment
hello       = Welcome! Edit this file as you please.
example_key = example_value
""",
    "binary": b"Welcome! Edit this file as you please.\n",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Edit an encrypted file, or make a new one."
    parser.epilog = _EXAMPLES
    parser.add_argument("files", nargs="*", metavar="file", help="the file; a new one starts from an example")
    parser.add_argument(
        "-s", "--show-master-keys", action="store_true", help="show the sops entry too; it cannot be changed"
    )
    parser.add_argument("--ignore-mac", action="store_true", help="open a file that was altered, to repair it")
    file_types.add_input_option(parser)
    file_types.add_output_option(parser)
    key_sources.add_order_option(parser)
    memory.add_options(parser)
    layout.add_options(parser)
    creation.add_options(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    if not args.files:
        raise FileMissingError("no file named")
    if len(args.files) > 1:
        terminal.warn("one file is edited at a time, and this is the first")
    file: str = args.files[0]
    keys = encryption.Keys(flags.typed(Access, args))
    config = rules.load(args.config)
    source, target = stores.of(file, args.input_type), stores.of(file, args.output_type)
    style = flags.typed(layout.Style, args)
    indent = layout.indent(style, config, target, file)
    ivs: Ivs | None = None
    data: bytes | None = None
    if os.path.exists(file):
        data = content.read(file)
        reading = layout.Reading(style, data, source, target, file=file)
        opened = keys.open(reading.encrypted(), ignore_mac=args.ignore_mac)
        plain, data_key = opened.plain, opened.data_key
        guards.warn_of_recipients(config, file, plain.metadata.data_key.recipients)
        session = _Session(args, file, target, plain.metadata)
        ivs = plain.ivs
        shown = session.shown(plain.documents)
        text = layout.written(shown, file=file, store=target, indent=indent, before=reading.before)
    else:
        rule = creation.rule_for(flags.typed(Named, args), flags.typed(creation.Choice, args), config, file)
        data_key = fresh.data_key()
        selection = EVERYTHING if source.single else rule.selection
        try:
            wrapped = keys.wrap(rule.recipients, data_key)
        except DataKeyError as error:
            # As sops has it, in this command alone.
            raise error.in_case("data key") from None
        session = _Session(args, file, target, Metadata(wrapped, selection))
        example = _EXAMPLES_OF[target.name]
        shown = session.shown(target.parse_plain(example, file=file))
        text = layout.written(
            shown, file=file, store=target, indent=indent, before=layout.kept(style, example, target, target)
        )

    def encrypt(edited: list[Mapping], after: bytes) -> bytes:
        before = layout.kept(style, after, target, target)
        if data is not None and source is target:
            before = layout.nearest(before, data, text, after, edited, file=file, store=target, indent=indent)
        return encryption.encrypt_file(
            edited,
            session.metadata,
            data_key,
            file=file,
            store=target,
            indent=indent,
            ivs=ivs,
            before=before,
            stored=data,
            source=target,
        )

    boundary.write(file, session.edit(text, encrypt), args.config)
    return 0


@dataclass(frozen=True, slots=True)
class _Session:
    args: argparse.Namespace
    file: str
    store: Store
    metadata: Metadata

    def shown(self, documents: Sequence[Mapping]) -> Sequence[Mapping]:
        return stores.join(documents, self.metadata) if self.args.show_master_keys else documents

    def edit(self, before: bytes, encrypt: Callable[[list[Mapping], bytes], bytes]) -> bytes:
        """What the editor leaves behind, encrypted; the user may correct what cannot be. Raises EditorError, UnchangedError."""

        def encrypted(after: bytes) -> bytes:
            documents = self._parse(after)
            stores.check_plain(documents, file=self.file, store=self.store)
            return encrypt(documents, after)

        return editor.edited(
            self.file,
            before,
            encrypted,
            unchanged="the file was not changed",
            allow_disk=self.args.insecure_temporary_folder,
        )

    def _parse(self, data: bytes) -> list[Mapping]:
        if not self.args.show_master_keys:
            return self.store.parse_plain(data, file=self.file)
        documents, metadata = stores.split(self.store.parse(data, file=self.file), file=self.file)
        if metadata is None or replace(metadata, version="") != replace(self.metadata, version=""):
            raise SopsFormatError("the sops entry was changed", hint="undo that; values alone can be edited here")
        return documents
