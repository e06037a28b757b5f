"""`agent resolve`: the conflicts that a merge left in an encrypted file, resolved, and the file encrypted again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import ConflictingFlagsError
from agent.cli.files import boundary, content, editor, file_types, layout, memory
from agent.cli.keys import encryption, key_sources
from agent.cli.keys.key_sources import Access
from agent.gitmerge import markers, mixed
from agent.gitmerge.shown import uncovered
from agent.sops import stores
from agent.sops.files import conflicts, decrypt
from agent.values.dataclass import dataclass, field
from agent.values.errors import MergeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.gitmerge.mixed import MixedFile
    from agent.sops.files.decrypt import EncryptedFile
    from agent.sops.stores import Store
    from agent.values.secret import Secret
    from agent.yaml.nodes import Mapping

_EXAMPLES = """\
examples:
  agent resolve secret.yaml --ours                      our value wherever both sides changed one
  agent resolve secret.yaml --theirs
  agent resolve secret.yaml                             the editor, with both values in the clear
  agent resolve secret.yaml && git add secret.yaml
  agent resolve --plaintext secret.yaml                 shows both values in the file itself, in your work tree

You can also edit the markers by hand: keep one of the two encrypted lines, or write a new value in the clear; `agent resolve`
encrypts it and makes a new MAC. `git add` is left to you.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Resolve the conflicts that a merge left in an encrypted file."
    parser.epilog = _EXAMPLES
    parser.add_argument("file")
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--ours", action="store_true", help="use our value for every conflict (in a rebase: upstream's)")
    side.add_argument("--theirs", action="store_true", help="use their value for every conflict")
    side.add_argument(
        "--plaintext",
        action="store_true",
        help="only show the conflicts in the clear, in the file; edit it there, and run resolve again",
    )
    file_types.add_input_option(parser)
    key_sources.add_order_option(parser)
    memory.add_options(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    file: str = args.file
    data = content.read(file)
    work = _Resolving(args, file, stores.of(file, args.input_type), encryption.Keys(flags.typed(Access, args)))
    sides = markers.sides(data)
    if sides is not None:
        result = work.chosen(*sides)
    elif conflicts.any_left(data):
        raise MergeError("the conflict markers do not fit together", hint="is one of them missing?", file=file)
    elif args.ours or args.theirs or args.plaintext:
        raise ConflictingFlagsError("there are no conflict markers, so no sides to take", file=file).in_case("general")
    else:
        result = work.by_hand(data)
    if result is not None:
        boundary.write(file, result)
    return 0


@dataclass(frozen=True, slots=True)
class _Read:
    """One side."""

    encrypted: EncryptedFile
    found: MixedFile
    data_key: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Resolving:
    args: argparse.Namespace
    file: str
    store: Store
    keys: encryption.Keys

    def chosen(self, ours: bytes, theirs: bytes) -> bytes:
        """The file with one side's values, or with what the editor leaves of both."""
        mine = self._read(ours)
        if self.args.ours:
            self._report(mine.found)
            return self._encrypt(mine, ours)
        other = self._read(theirs)
        if self.args.theirs:
            self._report(mine.found)
            return self._encrypt(other, theirs)
        if self.store.single:
            raise MergeError("a binary file has no parts to show", hint="use --ours or --theirs", file=self.file)
        if self.args.plaintext:
            terminal.warn(f"{self.file} holds plaintext now: do not git add it before agent resolve {self.file}")
            return markers.marked(self._shown(mine, other, ours), self._shown(other, mine, theirs))
        self._report(mine.found)
        shown = markers.marked(
            self._written(mine.found.plain.documents, ours), self._written(other.found.plain.documents, theirs)
        )
        if mine.data_key == other.data_key:
            mine.found.plain.ivs.kept.extend(other.found.plain.ivs.kept)
        return self._edited(shown, mine)

    def _shown(self, one: _Read, other: _Read, before: bytes) -> bytes:
        documents = uncovered(one.found.plain.documents, one.encrypted.documents, other.found.plain.documents)
        return self._written(stores.join(documents, one.encrypted.metadata), before)

    def by_hand(self, data: bytes) -> bytes | None:
        """A file without markers; None where nothing is to be done."""
        read = self._read(data)
        if read.found.verified and not read.found.in_clear:
            terminal.note(f"{self.file}: there is nothing to resolve")
            return None
        self._report(read.found)
        return self._encrypt(read, data)

    def _read(self, data: bytes) -> _Read:
        encrypted = decrypt.read(data, file=self.file, store=self.store)
        data_key = self.keys.data_key(encrypted.metadata.data_key, file=self.file)
        return _Read(encrypted, mixed.read(encrypted, data_key), data_key)

    def _report(self, found: MixedFile) -> None:
        if found.in_clear:
            terminal.note(f"{self.file}: what is in the clear is encrypted (values: {found.in_clear})")
        if not found.verified:
            terminal.warn(
                f"the MAC of {self.file} was not verified, since it is not that of these values; a new one is made"
            )

    def _edited(self, shown: bytes, read: _Read) -> bytes:
        def encrypted(after: bytes) -> bytes:
            if conflicts.any_left(after):
                raise MergeError("there are conflict markers left", file=self.file)
            documents = self.store.parse_plain(after, file=self.file)
            stores.check_plain(documents, file=self.file, store=self.store)
            return self._encrypt(read, after, documents)

        return editor.edited(
            self.file,
            shown,
            encrypted,
            unchanged="the conflicts are as they were",
            allow_disk=self.args.insecure_temporary_folder,
        )

    def _written(self, documents: Sequence[Mapping], before: bytes) -> bytes:
        return layout.written(documents, file=self.file, store=self.store, indent=None, before=before)

    def _encrypt(self, read: _Read, before: bytes, documents: Sequence[Mapping] | None = None) -> bytes:
        plain = read.found.plain
        return encryption.encrypt_file(
            plain.documents if documents is None else documents,
            plain.metadata,
            read.data_key,
            file=self.file,
            store=self.store,
            indent=None,
            ivs=plain.ivs,
            before=before,
        )
