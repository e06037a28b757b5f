"""`agent encrypt`: a plain file → one that sops and the agent read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import ConflictingFlagsError
from agent.cli.files import content, file_types, layout, rules, trees
from agent.cli.files.trees import Done
from agent.cli.keys import creation, encryption, fresh, key_sources
from agent.cli.keys.key_sources import Access
from agent.cli.keys.recipients import Named
from agent.cli.secrets import guards, previous, results
from agent.cli.secrets.committed import Committed
from agent.cli.secrets.previous import Finder
from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import EVERYTHING
from agent.values.dataclass import dataclass, field, replace
from agent.values.errors import NoRuleError
from agent.values.text import counted
from agent.yaml.matching import same

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.cli.files.trees import Found
    from agent.cli.secrets.previous import Previous
    from agent.sops.format.groups import Recipients, WrappedDataKey
    from agent.sops.rules import CreationRule
    from agent.sops.rules.config import Rules
    from agent.sops.stores import Store
    from agent.values.secret import Secret
    from agent.yaml.edit.originals import YamlOriginal
    from agent.yaml.nodes import Mapping

_EXAMPLES = """\
examples:
  agent encrypt -i secret.yaml                          keys and selection as .sops.yaml says
  agent encrypt -i --age age1… db.yaml                  of a Kubernetes Secret, only data and stringData
  agent encrypt -i --age age1… --encrypted-regex '^password' values.yaml
  agent encrypt --output secret.enc.yaml secret.yaml
  agent encrypt -i secrets/                             what .sops.yaml has a rule for and is not encrypted yet, but no README
  agent encrypt --check secrets/                        for CI: exit 1 where something is not
  kubectl create secret generic db --from-env-file db.env --dry-run=client -o yaml |
    agent encrypt --filename-override secret.yaml > secret.yaml

.sops.yaml, in the repository's root:
  creation_rules:
    - path_regex: secrets?\\.yaml$
      encrypted_regex: ^(data|stringData)$
      age: age1…,age1…

Unchanged values keep the ciphertext of the previous version: the one in Git, that of --output, or name.enc.yaml or name.sops.yaml beside
the file, if your key opens it. It is trusted as edit trusts a file. --fresh makes everything new, and so does removing a recipient, or a
previous version in which most values differ.
"""
_KEPT = "values that did not change keep their ciphertext of the earlier version; --fresh makes everything new"
_UNCHANGED = "nothing changed since the earlier version, which stays as it was; --fresh makes everything new"
_OTHER = "most values differ from the earlier version: a new data key, and every value is encrypted again"
_RULES = {".sops.yaml", ".sops.yml"}
_EXEMPT = (".git", "README")
"""How files of a folder begin that are for Git or for readers, whatever a rule says of the folder; so are those in Markdown."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Encrypt the values of YAML, JSON, .env, INI and other files for age, PGP, Vault transit and cloud KMS keys, as sops does."
    parser.epilog = _EXAMPLES
    trees.add_options(parser, check=True)
    results.add_options(parser)
    layout.add_options(parser)
    parser.add_argument(
        "--fresh", action="store_true", help="a new data key and new ciphertexts, whatever was encrypted before"
    )
    creation.add_options(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    asked, where = flags.typed(trees.Asked, args), flags.typed(results.Where, args)
    several = trees.several(asked)
    results.check(where, asked.file)
    if asked.file is None and not several and not args.filename_override:
        raise ConflictingFlagsError("standard input needs --filename-override", hint="it names the file for .sops.yaml")
    keys = encryption.Keys(flags.typed(Access, args))
    with Committed() as repositories:
        work = _Encrypting(
            args,
            flags.typed(Named, args),
            flags.typed(creation.Choice, args),
            flags.typed(layout.Style, args),
            keys,
            rules.load(args.config),
            Finder(keys, repositories),
        )
        code = trees.run(asked, work) if several else _one(asked, where, work)
        work.report()
    return code


def _one(asked: trees.Asked, where: results.Where, work: _Encrypting) -> int:
    data = content.read(asked.file) if asked.file is not None else content.read_stdin()
    results.deliver(where, asked.file, work.encrypted(data, asked.filename_override or asked.file or ""))
    if asked.file is not None and where.output:
        guards.warn_of_plain(asked.file)
    return 0


@dataclass(frozen=True, slots=True)
class _Plain:
    """A file as read, of type `source`, and what is to become of it. `before` is the text whose layout stays."""

    file: str
    data: bytes = field(repr=False)
    documents: list[Mapping] = field(repr=False)
    rule: CreationRule
    source: Store
    store: Store
    before: bytes | YamlOriginal | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Encrypting:
    args: argparse.Namespace
    whom: Named
    what: creation.Choice
    style: layout.Style
    keys: encryption.Keys
    config: Rules | None
    previous: Finder
    notes: dict[str, int] = field(default_factory=dict[str, int])
    data_keys: dict[Recipients, tuple[WrappedDataKey, Secret]] = field(
        default_factory=dict["Recipients", "tuple[WrappedDataKey, Secret]"]
    )

    def __call__(self, found: Found, data: bytes) -> Done | None:
        """A file of a tree: what is encrypted already is passed over, and so is what a folder holds besides files of secrets."""
        # Only here, since it is for files of a tree.
        from agent.cli.secrets import plaintext_secrets

        store = stores.of(found.file, self.args.input_type)
        if file_types.looks_encrypted(data, store) and self._is_encrypted(data, found.file, store):
            return Done("already encrypted", warnings=plaintext_secrets.of(data, store, file=found.file))
        if not found.named and not self._wanted(found.file, store):
            warnings = plaintext_secrets.of(data, store, file=found.file)
            return Done("in the clear", warnings=warnings) if warnings else None
        plain = self._read(data, found.file)
        if self.args.dry_run or self.args.check:
            # Reported without asking a key or a server; these bytes are never written.
            return Done("encrypted", b"")
        return Done("encrypted", self._encrypted(plain))

    def _is_encrypted(self, data: bytes, file: str, store: Store) -> bool:
        """Raises UnsoundFileError for a file that is encrypted in part."""
        # Only here, since it is for files of a tree.
        from agent.sops.files import parts, verify

        several = parts.of(store.parse(data, file=file), file=file)
        selection = next((part.metadata.selection for part in several if part.metadata is not None), None)
        if selection is None:
            return False
        for part in several:
            if part.metadata is None:
                found = [verify.in_clear(part, selection, file=file)]
            else:
                found = verify.structure(decrypt.EncryptedFile(file, part.documents, part.metadata)).errors
            for error in filter(None, found):
                at = {"line": part.line} if len(several) > 1 else {}
                raise error.with_facts(file=file, **at)
        return True

    def _wanted(self, file: str, store: Store) -> bool:
        """Whether a file of a folder is one to encrypt: a rule takes it, and one for its path where its type holds no values."""
        name = os.path.basename(file)
        if name in _RULES or name.startswith(_EXEMPT) or name.endswith(".md"):
            return False
        if self.config and os.path.samefile(self.config.file, file):
            return False
        try:
            rule = creation.rule_for(self.whom, self.what, self.config, file)
        except NoRuleError:
            return False
        return not store.single or rule.by_path

    def encrypted(self, data: bytes, file: str) -> bytes:
        return self._encrypted(self._read(data, file))

    def _read(self, data: bytes, file: str) -> _Plain:
        source = stores.of(file, self.args.input_type)
        target = stores.of(file, self.args.output_type)
        reading = layout.Reading(self.style, data, source, target, file=file)
        documents = reading.plain()
        stores.check_plain(documents, file=file, store=target)
        guards.refuse_encrypted(data, documents, file=file, store=source)
        guards.warn_of_cut_block(data, file=file, store=source)
        guards.warn_of_line_ends(data, file=file, store=source)
        rule = creation.rule_for(self.whom, self.what, self.config, file)
        selection, note = EVERYTHING, ""
        if not source.single:
            selection, note = guards.selection(self.what, rule.selection, documents, file=file)
        self._note(note)
        return _Plain(file, data, documents, replace(rule, selection=selection), source, target, reading.before)

    def _encrypted(self, plain: _Plain) -> bytes:
        file, recipients, store = plain.file, plain.rule.recipients, plain.store
        found = None if self.args.fresh else self.previous.find(self._places(file), recipients, store)
        indent = layout.indent(self.style, self.config, store, file)
        before, unchanged = plain.before, False
        if found is not None and not self._mostly_stays(found, plain):
            self._note(_OTHER)
            found = None
        if found is None:
            wrapped, data_key = self._data_key(recipients)
            metadata, ivs = Metadata(wrapped, plain.rule.selection), None
        else:
            former, data_key, ivs = found.opened.plain, found.opened.data_key, found.opened.plain.ivs
            metadata = replace(former.metadata, data_key=found.wrapped, selection=plain.rule.selection)
            unchanged = metadata == former.metadata and _same(former.documents, plain.documents)
            self._note(_UNCHANGED if unchanged else _KEPT)
            shown = self._decrypted(found, store, indent)
            if unchanged and plain.data == shown:
                return found.data
            before = layout.nearest(
                before, found.data, shown, plain.data, plain.documents, file=file, store=store, indent=indent
            )
        encrypted = encryption.encrypt_file(
            plain.documents,
            metadata,
            data_key,
            file=file,
            store=store,
            indent=indent,
            ivs=ivs,
            before=before,
            stored=None if found is None else found.data,
            unchanged=unchanged,
            source=plain.source,
        )
        guards.warn_if_clear(encrypted, plain.documents, metadata.selection, file=file)
        return encrypted

    def _mostly_stays(self, found: Previous, plain: _Plain) -> bool:
        # Only here, since most files have no earlier version.
        from agent.sops.files import kept

        return kept.mostly(found.opened.plain.ivs, plain.documents, plain.rule.selection, file=plain.file)

    def _decrypted(self, found: Previous, store: Store, indent: int | None) -> bytes:
        """What `agent decrypt` makes of the earlier version."""
        plain = found.opened.plain
        before = layout.kept(self.style, found.data, store, store)
        documents = plain.documents if before is None else layout.printed(plain.documents, store)
        return layout.written(documents, file=plain.file, store=store, indent=indent, before=before)

    def _places(self, file: str) -> list[str]:
        """Where an earlier version may be."""
        if self.args.output:
            return [self.args.output]
        return [file] if self.args.in_place else [file, *previous.beside(file)]

    def _note(self, note: str) -> None:
        if note:
            self.notes[note] = self.notes.get(note, 0) + 1

    def report(self) -> None:
        """What is worth knowing of all files, once."""
        for note, count in self.notes.items():
            terminal.note(f"{note} ({counted(count, 'file')})" if count > 1 else note)
        for note in self.previous.notes:
            terminal.note(note)
        for file in dict.fromkeys(self.previous.in_clear):
            terminal.warn(
                f"Git has {file} in the clear, staged or committed: change its secrets, since history keeps them"
            )

    def _data_key(self, recipients: Recipients) -> tuple[WrappedDataKey, Secret]:
        """One for all files of the same recipients, so that opening them asks once."""
        if recipients not in self.data_keys:
            data_key = fresh.data_key()
            self.data_keys[recipients] = (self.keys.wrap(recipients, data_key), data_key)
        return self.data_keys[recipients]


def _same(one: Sequence[Mapping], other: Sequence[Mapping]) -> bool:
    """Whether values, keys and comments are; their layout does not count."""
    return len(one) == len(other) and all(map(same, one, other))
