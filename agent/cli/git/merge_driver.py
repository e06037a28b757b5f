"""`agent merge-driver`: what Git calls to merge an encrypted file, as `agent git-setup` configures it.

See gitattributes(5), "Defining a custom merge driver". Whatever cannot be merged ends with 1 and leaves our version as it is, which
Git then calls a conflict.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess  # git
from collections import Counter
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.files import content, file_types, layout, rules
from agent.cli.keys import encryption, fresh, key_sources
from agent.cli.keys.key_sources import Access
from agent.gitmerge import keys as merge_keys
from agent.gitmerge import markers, merge
from agent.gitmerge.exposed import Version, exposed, use
from agent.gitmerge.keys import MergedKeys, Side
from agent.sops import stores
from agent.sops.files import decrypt, encrypt
from agent.sops.files.decrypt import EncryptedFile, Ivs
from agent.sops.format import stripped
from agent.sops.format.keys import kind_of, recipient_of, short_name_of
from agent.values.dataclass import dataclass, field, replace
from agent.values.errors import AgentError, DataKeyError, MacMismatchError, MergeError, SopsDecryptError
from agent.yaml.matching import same
from agent.yaml.nodes import Mapping

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import LiteralString

    from agent.gitmerge.merge import Merged
    from agent.sops.format.cipher import Text
    from agent.sops.format.groups import WrappedDataKey
    from agent.sops.format.keys import Recipient
    from agent.sops.format.metadata import Metadata
    from agent.sops.format.selection import Selection
    from agent.sops.rules.config import Rules
    from agent.sops.stores import Store
    from agent.values.secret import Secret
    from agent.yaml.nodes import Entry

_EXAMPLES = """\
examples:
  agent git-setup                                       sets it up; Git then calls it by itself
  agent merge-driver %O %A %B %P %L                     as Git's configuration has it: base, ours and result, theirs, path

Values are merged one by one under our formatting, recipients too: a recipient that one side removed is removed, under a new data
key. What both sides changed stands between conflict markers, encrypted, until `agent resolve` or an editor takes one of the two. Where no
key opens the base, that is all that differs. Where none opens one of the sides, or a MAC does not verify, our version stays and the file
is in conflict; `git checkout --merge FILE` tries again.
"""
_SIZE = 7
_LARGEST = 1000
"""Attributes of a repository say how large markers are."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Merge an encrypted file by value. Git runs this."
    parser.epilog = _EXAMPLES
    parser.add_argument("base", help="the common ancestor's version; an empty file where there is none")
    parser.add_argument("ours", help="our version, and where the result goes")
    parser.add_argument("theirs", help="their version")
    parser.add_argument("path", help="the file's name, which gives its type")
    parser.add_argument("marker_size", nargs="?", type=int, default=_SIZE, help="length of conflict markers")
    key_sources.add_order_option(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return _run(args)
    except AgentError as error:
        terminal.error(error)
        terminal.note(f"{args.path} stays as ours and in conflict; then: git checkout --merge -- {args.path}")
        # Git takes codes above 128 for a crash, and gives up the whole merge.
        return 1


def _run(args: argparse.Namespace) -> int:
    store = stores.of(args.path)
    base, ours, theirs = (content.read(name) for name in (args.base, args.ours, args.theirs))
    if not any(file_types.looks_encrypted(data, store) for data in (ours, theirs)):
        return _merge_lines(args)
    work = _Work(args.path, store, encryption.Keys(flags.typed(Access, args)), rules.load(args.config))
    size = args.marker_size if 0 < args.marker_size <= _LARGEST else _SIZE
    result, conflicts = work.merged(*work.versions(base, ours, theirs), ours, size=size)
    if result != ours:
        content.write(args.ours, result)
    for conflict in conflicts:
        terminal.note(f"CONFLICT (value): {args.path}: {conflict.field}")
    if conflicts:
        terminal.hint(f"agent resolve {args.path} --ours, or --theirs, or neither for the editor; then git add")
    return 1 if conflicts else 0


def _merge_lines(args: argparse.Namespace) -> int:
    """A file that neither side has encrypted, as Git would merge it."""
    names = [word for label in ("ours", "base", "theirs") for word in ("-L", label)]
    command = ["git", "merge-file", f"--marker-size={args.marker_size}", *names, "--"]
    done = subprocess.run([*command, args.ours, args.base, args.theirs], check=False)  # noqa: S603
    return 1 if done.returncode else 0


@dataclass(frozen=True, slots=True)
class _Version:
    """One of the three: without a `side` it is in the clear, or not there."""

    documents: Sequence[Mapping] = field(default=(), repr=False)
    side: Side | None = None
    ivs: Ivs = field(default_factory=Ivs)


@dataclass(frozen=True, slots=True)
class _Locked:
    """A version that no key of the user opens, and why."""

    encrypted: EncryptedFile
    why: DataKeyError


@dataclass(frozen=True, slots=True)
class _Work:
    path: str
    store: Store
    keys: encryption.Keys
    config: Rules | None

    def versions(self, base: bytes, ours: bytes, theirs: bytes) -> tuple[_Version, _Version, _Version]:
        """Opened, their MACs verified: with the user's keys, or with the data key of another version.

        Raises AgentError, which names the version, where one of the two sides does not open.
        """
        found = [self._version(*each) for each in ((base, "base"), (ours, "ours"), (theirs, "theirs"))]
        data_keys = [each.side.data_key for each in found if isinstance(each, _Version) and each.side is not None]
        old, mine, other = (_unlocked(each, data_keys) if isinstance(each, _Locked) else each for each in found)
        if isinstance(mine, _Locked):
            raise mine.why
        if isinstance(other, _Locked):
            raise other.why
        if isinstance(old, _Locked):
            terminal.warn(str(old.why))
            terminal.note(
                "so all that differs between the two sides is in conflict; "
                f"with a key for that version: git checkout --merge -- {self.path}"
            )
            old = _hidden(old.encrypted)
        return old, mine, other

    def _version(self, data: bytes, which: str) -> _Version | _Locked:
        if not data:
            return _Version()
        file = f"{self.path} ({which})"
        if not file_types.looks_encrypted(data, self.store):
            documents = self.store.parse_plain(data, file=file)
            line = stripped.encrypted_line(documents)
            if line is not None or (self.store.single and stripped.is_binary(data)):
                raise MergeError("an encrypted value in a version without sops metadata", file=file, line=line or 1)
            return _Version(documents)
        encrypted = decrypt.read(data, file=file, store=self.store)
        try:
            data_key = self.keys.data_key(encrypted.metadata.data_key, file=file)
        except DataKeyError as error:
            return _Locked(encrypted, error)
        return _opened(encrypted, data_key)

    def merged(
        self, base: _Version, ours: _Version, theirs: _Version, before: bytes, *, size: int
    ) -> tuple[bytes, Sequence[merge.Conflict]]:
        """The file, and what in it is between markers; `before` is our text, whose layout stays."""
        merged = merge.merge(base.documents, ours.documents, theirs.documents)
        keys = self._keys(base, ours, theirs)
        if keys.data_key is None:
            data_key, ivs = fresh.data_key(), Ivs()
            wrapped = self._wrapped(keys, data_key, ours)
        else:
            data_key, ivs = keys.data_key, _joined(keys.data_key, ours.ivs, theirs.ivs)
            wrapped = keys.before
            if wrapped is None or wrapped.recipients != keys.recipients:
                wrapped = self._wrapped(keys, data_key, ours)
        side = ours.side or theirs.side
        assert side is not None
        metadata = replace(side.metadata, data_key=wrapped, selection=keys.selection, version=keys.version)
        unchanged = ours.side is not None and metadata == ours.side.metadata and not merged.conflicts
        if unchanged and _same(merged.documents, ours.documents):
            return before, ()
        if ours.side is not None and wrapped != ours.side.metadata.data_key:
            before = self._bare(before)
        self._refuse_exposed(merged.documents, keys.selection, ours, theirs)
        text = encryption.encrypt_file(
            merged.documents,
            metadata,
            data_key,
            file=self.path,
            store=self.store,
            indent=None,
            ivs=ivs,
            before=before,
        )
        if merged.conflicts:
            text = self._marked(merged, text, data_key, theirs.ivs, size=size)
        return text, merged.conflicts

    def _keys(self, base: _Version, ours: _Version, theirs: _Version) -> MergedKeys:
        if ours.side is not None and theirs.side is not None:
            keys = merge_keys.merge(base.side, ours.side, theirs.side, file=self.path)
            if ours.side.data_key != theirs.side.data_key:
                self._note_again("the sides have different data keys")
            elif keys.data_key is None:
                self._note_again("a recipient was removed")
            before = _names(ours.side)
            for each in keys.recipients.all:
                if each not in before:
                    terminal.warn(
                        f"{self.path}: the other side adds a recipient: {kind_of(each)} {short_name_of(each)}"
                    )
            return keys
        side = ours.side or theirs.side
        if side is None:
            raise MergeError("no side is encrypted", file=self.path)
        terminal.warn(f"{self.path} is in the clear on one side, in Git's history too; the merged file is encrypted")
        metadata = side.metadata
        wrapped = metadata.data_key
        return MergedKeys(wrapped.recipients, metadata.selection, metadata.version, side.data_key, wrapped)

    def _wrapped(self, keys: MergedKeys, data_key: Secret, ours: _Version) -> WrappedDataKey:
        """For everyone, but never for a new recipient that only the other side's metadata names: those are under no MAC. Raises MergeError."""
        ours_and_kept = [*_names(ours.side), *map(recipient_of, keys.before.keys if keys.before is not None else ())]
        unknown = [each for each in keys.recipients.all if each not in ours_and_kept]
        rule = rules.rule_at(self.config, self.path) if unknown else None
        for each in unknown:
            if rule is None or each not in rule.recipients.all:
                raise MergeError(
                    "the other side adds a recipient, for whom everything would be encrypted again",
                    hint="if that is intended, add the recipient to .sops.yaml and merge again",
                    file=self.path,
                    recipient=short_name_of(each),
                )
        return self.keys.wrap(keys.recipients, data_key, before=keys.before)

    def _refuse_exposed(self, documents: Sequence[Mapping], selection: Selection, *sides: _Version) -> None:
        versions = [
            Version(each.documents, each.side.metadata.selection if each.side is not None else None, each.ivs)
            for each in sides
        ]
        if where := exposed(documents, selection, versions, file=self.path):
            raise MergeError(
                "a value that one side has encrypted would be in the clear, by what the other side selects",
                hint="take one side, and change its values with agent edit",
                file=self.path,
                field=where,
            )

    def _note_again(self, why: LiteralString) -> None:
        terminal.note(f"{self.path}: {why}: a new data key, and everything is encrypted again")

    def _encrypted(self, documents: Sequence[Mapping], metadata: Metadata, data_key: Secret, ivs: Ivs) -> list[Mapping]:
        return encrypt.encrypt(
            documents,
            metadata,
            data_key,
            file=self.path,
            random_bytes=secrets.token_bytes,
            lastmodified=fresh.now(),
            ivs=ivs,
        )

    def _written(self, documents: Sequence[Mapping], before: bytes) -> bytes:
        return layout.written(documents, file=self.path, store=self.store, indent=None, before=before)

    def _bare(self, before: bytes) -> bytes:
        """Our text without its sops entry: what is new at the end is laid out as by sops."""
        if self.store.name != "yaml":
            return before
        documents, _ = stores.split(self.store.parse(before, file=self.path), file=self.path)
        return self._written(documents, before)

    def _marked(self, merged: Merged, text: bytes, data_key: Secret, ivs: Ivs, *, size: int) -> bytes:
        """Both texts as one, between markers where they differ. The MAC is that of ours.

        Plaintext has no place here, even if a person asked for it: Git stores the result as an object.
        """
        mine = decrypt.read(text, file=self.path, store=self.store)
        metadata, made = mine.metadata, decrypt.decrypt(mine, data_key).ivs
        other, _ = stores.split(
            self._encrypted(merged.theirs, metadata, data_key, _joined(data_key, made, ivs)), file=self.path
        )
        return markers.marked(text, self._written(stores.join(other, metadata), text), size=size)


def _opened(encrypted: EncryptedFile, data_key: Secret) -> _Version:
    """Its MAC verified. Raises SopsDecryptError, MacMismatchError, SopsFormatError."""
    plain = decrypt.decrypt(encrypted, data_key)
    return _Version(plain.documents, Side(plain.metadata, data_key), plain.ivs)


def _unlocked(locked: _Locked, data_keys: Sequence[Secret]) -> _Version | _Locked:
    """By the data key of another version: mostly it is the same, so who is a recipient by now opens those from before, too."""
    for data_key in data_keys:
        with contextlib.suppress(SopsDecryptError, MacMismatchError):
            return _opened(locked.encrypted, data_key)
    return locked


def _hidden(encrypted: EncryptedFile) -> _Version:
    """A common ancestor of which keys and recipients alone are known: its values equal none, and its data key belongs to no one."""
    documents = [Mapping(_unknown(each)) for each in encrypted.documents]
    return _Version(documents, Side(encrypted.metadata, fresh.data_key()))


def _unknown(node: Mapping) -> tuple[Entry, ...]:
    """Lists are known by their items, so one whose items are not known is as a value."""
    return tuple(
        replace(
            each,
            value=Mapping(_unknown(each.value)) if isinstance(each.value, Mapping) else secrets.token_hex(),
        )
        for each in node.entries()
    )


def _same(one: Sequence[Mapping], other: Sequence[Mapping]) -> bool:
    return len(one) == len(other) and all(map(same, one, other))


def _joined(data_key: Secret, first: Ivs, second: Ivs) -> Ivs:
    """Those of the first, and where it has fewer for a value those of the second: both under this data key."""
    if second.data_key != data_key:
        return first
    left = Counter(use(value, aad) for value, aad, _ in first.kept)
    more: list[tuple[Text, str, bytes]] = []
    for value, aad, iv in second.kept:
        one = use(value, aad)
        if left[one]:
            left[one] -= 1
        else:
            more.append((value, aad, iv))
    return Ivs(data_key, [*first.kept, *more])


def _names(side: Side | None) -> tuple[Recipient, ...]:
    return side.metadata.data_key.recipients.all if side is not None else ()
