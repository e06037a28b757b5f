"""`agent edit`: plaintext in an editor, on memory only, and back.

Values that were not touched keep their ciphertext, so a commit shows what changed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import creation, editor, files, key_sources, memory, sealing, terminal
from agent.sops import decrypt, stores
from agent.sops.metadata import Metadata
from agent.values.errors import AgentError, EditorError, FileMissingError, SopsFormatError, UnchangedError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agent.sops.decrypt import Ivs
    from agent.sops.stores import Store
    from agent.yaml.nodes import Mapping

_EXAMPLES = """\
examples:
  agent edit secret.yaml                                a new file starts from an example, with keys as .sops.yaml says
  SOPS_EDITOR='code --wait' agent edit secret.yaml

The editor is SOPS_EDITOR, EDITOR, vim, nano or vi. Its file lies in a folder of its own on tmpfs and is gone afterwards. What is
saved unchanged is not written (exit 200); what does not parse can be corrected.
"""
_EXAMPLE = b"""\
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
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Edit an encrypted file, or make a new one."
    parser.epilog = _EXAMPLES
    parser.add_argument("file", nargs="?", help="the file")
    parser.add_argument(
        "-s", "--show-master-keys", action="store_true", help="show the sops entry too; it cannot be changed"
    )
    parser.add_argument("--ignore-mac", action="store_true", help="open a file that was altered, to repair it")
    parser.add_argument("--input-type", metavar="TYPE", help="yaml or json; by default as the file's name says")
    parser.add_argument("--output-type", metavar="TYPE", help="yaml or json; by default the input's")
    parser.add_argument("--decryption-order", metavar="KINDS", default="", help="age,pgp (SOPS_DECRYPTION_ORDER)")
    memory.add_options(parser)
    creation.add_options(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    if not args.file:
        raise FileMissingError("no file named")
    keys = sealing.Keys(args)
    source = stores.of(args.file, args.input_type or "")
    target = stores.of(args.file, args.output_type or args.input_type or "")
    config = creation.load_rules(args)
    ivs: Ivs | None = None
    if Path(args.file).exists():
        encrypted = decrypt.read(files.read(args.file), file=args.file, store=source)
        opened = keys.open(encrypted, ignore_mac=args.ignore_mac)
        plain, data_key = opened.plain, opened.data_key
        documents, metadata, ivs = list(plain.documents), plain.metadata, plain.ivs
    else:
        rule = creation.rule_for(args, config, args.file)
        data_key = creation.new_data_key()
        metadata = Metadata(keys.wrap(rule.recipients, data_key), rule.selection)
        documents = stores.Store.YAML.parse(_EXAMPLE, file=args.file)
    indent = creation.indent(config, target)

    def seal(edited: list[Mapping]) -> bytes:
        return sealing.seal(edited, metadata, data_key, file=args.file, store=target, indent=indent, ivs=ivs)

    session = _Session(args, target, metadata)
    files.write(args.file, session.edit(target.emit(session.shown(documents), indent=indent), seal))
    return 0


class _Session:
    def __init__(self, args: argparse.Namespace, store: Store, metadata: Metadata) -> None:
        self._file: str = args.file
        self._args = args
        self._store = store
        self._metadata = metadata

    def shown(self, documents: list[Mapping]) -> list[Mapping]:
        return stores.join(documents, self._metadata) if self._args.show_master_keys else documents

    def edit(self, before: bytes, seal: Callable[[list[Mapping]], bytes]) -> bytes:
        """What the editor leaves behind, encrypted; the user may correct what cannot be. Raises EditorError, UnchangedError."""
        with memory.folder(allow_disk=self._args.insecure_temporary_folder) as folder:
            path = folder / Path(self._file).name
            files.create_private(str(path), before)
            while True:
                editor.run(path)
                after = files.read(str(path))
                if after == before:
                    raise UnchangedError("the file was not changed", file=self._file)
                try:
                    return seal(self._parse(after))
                except AgentError as error:
                    terminal.error(error)
                    if not editor.again():
                        raise EditorError("the edit was given up, and nothing written", file=self._file) from None

    def _parse(self, data: bytes) -> list[Mapping]:
        documents = self._store.parse(data, file=self._file)
        if self._args.show_master_keys:
            documents, metadata = stores.split(documents, file=self._file)
            if metadata is None or replace(metadata, version="") != replace(self._metadata, version=""):
                raise SopsFormatError("the sops entry was changed", hint="undo that; values alone can be edited here")
        return documents
