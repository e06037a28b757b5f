"""`agent migrate sealed-secrets`: SealedSecrets and their controller's keys → Secrets that SOPS encrypts. Plaintext stays in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import creation, files, key_sources, sealed_secrets, sealing, terminal
from agent.sops import cipher, stores
from agent.sops.metadata import Metadata
from agent.sops.selection import Selection
from agent.values.errors import (
    AgentError,
    ConflictingFlagsError,
    FileMissingError,
    SopsEncryptError,
    UsageError,
    WriteError,
)
from agent.yaml.nodes import Entry, Mapping, Sequence

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.adapters.keys.sealed_secrets import SealingKeys
    from agent.cli.sealed_secrets import Found, Made
    from agent.sops.groups import Recipients, WrappedDataKey
    from agent.sops.rules import Rules
    from agent.values.secret import Secret
    from agent.yaml.nodes import Value

_DESCRIPTION = """\
Turn SealedSecrets of bitnami-labs/sealed-secrets into v1/Secrets that SOPS encrypts.

The values are opened in memory with the controller's private keys and encrypted for the recipients of .sops.yaml, as `agent encrypt`
does; by default data and stringData alone are encrypted. Other documents are left as they are. A file whose SealedSecrets do not
all open is not touched; the others are, and the failures are told at the end.

exit codes: 0 everything was migrated or had been before, 1 something was not
"""
_EXAMPLES = """\
examples:
  kubectl get secret -n kube-system -l sealedsecrets.bitnami.com/sealed-secrets-key -o yaml |
    agent migrate sealed-secrets -i --sealing-key - clusters/
                                                        a repository in place; the private keys touch no disk
  agent migrate sealed-secrets --sealing-key key.pem --output-dir migrated clusters/ db.yaml
  agent migrate sealed-secrets --sealing-key keys.yaml --dry-run -i clusters/
  agent migrate sealed-secrets --sealing-key keys.yaml --age age1… db.yaml
                                                        one file, to standard output

A file that holds other documents too keeps them with -i, and its Secrets go beside it: all.yaml, all.secrets.yaml.
"""
_SEALED_SECRETS = "sealed-secrets"
_TYPES = {".yaml", ".yml", ".json"}
_MARKER = b"SealedSecret"
_STORES = {stores.Store.YAML, stores.Store.JSON}
_SELECTION = Selection("encrypted_regex", "^(data|stringData)$")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("what", choices=[_SEALED_SECRETS], help="what is migrated")
    parser.add_argument("paths", nargs="+", metavar="FILE|FOLDER", help="of a folder, all YAML and JSON files below it")
    parser.add_argument(
        "--sealing-key",
        action="append",
        required=True,
        metavar="FILE",
        help=sealed_secrets.KEY_HELP,
    )
    parser.add_argument("-i", "--in-place", action="store_true", help="write back to the files")
    parser.add_argument("--output-dir", metavar="FOLDER", help="write there, under the same names")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist there")
    parser.add_argument("--dry-run", action="store_true", help="open and encrypt everything, and write nothing")
    parser.add_argument(
        "-n", "--namespace", default="", help="of SealedSecrets that name none; values are bound to their namespace"
    )
    creation.add_options(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    if args.in_place and args.output_dir:
        raise ConflictingFlagsError("--in-place and --output-dir exclude one another")
    sources = list(_sources(args.paths))
    to_terminal = not (args.in_place or args.output_dir)
    if to_terminal and (len(sources) != 1 or not sources[0].named):
        raise UsageError("several files cannot go to standard output", hint="give -i or --output-dir")
    migration = _Migration(
        args, sealed_secrets.sealing_keys(args.sealing_key), creation.load_rules(args), sealing.Keys(args)
    )
    for source in sources:
        migration.take(source, to_terminal=to_terminal)
    if not migration.rows and not migration.failed:
        terminal.note("no SealedSecret found")
    elif not to_terminal:
        terminal.table(("OBJECT", "FILE", "RESULT", "SEALING KEY"), migration.rows)
    return 1 if migration.failed else 0


@dataclass(frozen=True, slots=True)
class _File:
    """A file, its path below the folder that was named, and whether it was named itself."""

    path: str
    below: str
    named: bool


def _sources(paths: list[str]) -> Iterator[_File]:
    for path in paths:
        if not Path(path).is_dir():
            if not Path(path).exists():
                raise FileMissingError("no such file or folder", file=path)
            yield _File(path, Path(path).name, named=True)
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                found = Path(folder, name)
                if found.suffix in _TYPES and not name.startswith(".") and found.is_file() and not found.is_symlink():
                    yield _File(str(found), str(found.relative_to(path)), named=False)


@dataclass(slots=True)
class _Migration:
    args: argparse.Namespace
    keys: SealingKeys
    rules: Rules | None
    masters: sealing.Keys
    rows: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    failed: int = 0
    wrapped: dict[Recipients, tuple[Secret, WrappedDataKey]] = field(
        default_factory=dict["Recipients", "tuple[Secret, WrappedDataKey]"]
    )
    written: set[str] = field(default_factory=set[str])

    def take(self, source: _File, *, to_terminal: bool) -> None:
        """Migrate one file, or tell why it is left as it is."""
        made: list[Made] = []
        try:
            data = files.read(source.path)
            if _MARKER not in data:
                return
            found, rest = sealed_secrets.split(data, source.path)
            if not found:
                return
            problems = self._open(found, made, source.path)
            if problems:
                self._tell(made, source.path, "not migrated")
                return
            target = self._target(source, mixed=bool(rest))
            kept = target != source.path and Path(target).exists() and not (self.args.overwrite or to_terminal)
            if kept and not self.args.in_place:
                self._tell(made, target, "kept: the file exists")
                return
            if kept or target in self.written:
                raise WriteError(
                    "the file exists already", hint="--overwrite replaces it, if nothing in it is missed", file=target
                )
            self._deliver(made, rest, source.path, target, to_terminal=to_terminal)
        except AgentError as error:
            self._fail(error.with_facts(file=source.path))
            self._tell(made, source.path, "not migrated")

    def _open(self, found: list[Found], made: list[Made], file: str) -> bool:
        failed = self.failed
        for each in found:
            name = "SealedSecret"
            try:
                name = sealed_secrets.name_of(each.tree)
                made.append(sealed_secrets.opened(each, self.keys, self.args.namespace))
            except AgentError as error:
                self._fail(error.with_facts(file=file, object=name))
                self.rows.append((name, file, "failed", ""))
        return self.failed > failed

    def _fail(self, error: AgentError) -> None:
        self.failed += 1
        terminal.error(error)

    def _tell(self, made: list[Made], file: str, result: str) -> None:
        self.rows += [(each.name, file, result, ", ".join(each.keys)) for each in made]

    def _target(self, source: _File, *, mixed: bool) -> str:
        if self.args.output_dir:
            return str(Path(self.args.output_dir, source.below))
        if self.args.in_place and mixed:
            path = Path(source.path)
            return str(path.with_name(f"{path.stem}.secrets{path.suffix}"))
        return source.path

    def _deliver(self, made: list[Made], rest: bytes, source: str, target: str, *, to_terminal: bool) -> None:
        encrypted = self._encrypt([each.document for each in made], target)
        if rest:
            terminal.note(f"{source}: its other documents are left as they are")
        if to_terminal:
            if not self.args.dry_run:
                terminal.write_bytes(encrypted)
            for each in made:
                terminal.note(f"{each.name}: opened by {', '.join(each.keys) or 'no key, as it holds no value'}")
            self._tell(made, source, "printed")
            return
        if not self.args.dry_run:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            files.write(target, encrypted)
            if rest and self.args.in_place:
                files.write(source, rest)
        self.written.add(target)
        self._tell(made, target, "would be migrated" if self.args.dry_run else "migrated")

    def _encrypt(self, documents: list[Mapping], target: str) -> bytes:
        store = stores.of(target)
        if store not in _STORES:
            raise UsageError("a manifest is a .yaml, .yml or .json file", file=target)
        if store is stores.Store.JSON and len(documents) > 1:
            items = Entry("items", Sequence(tuple(documents)))
            documents = [Mapping((Entry("apiVersion", "v1"), Entry("kind", "List"), items))]
        rule = creation.rule_for(self.args, self.rules, target)
        selection = rule.selection
        if selection == Selection(mac_only_encrypted=selection.mac_only_encrypted):
            selection = replace(_SELECTION, mac_only_encrypted=selection.mac_only_encrypted)
        if rule.recipients not in self.wrapped:
            data_key = creation.new_data_key()
            self.wrapped[rule.recipients] = data_key, self.masters.wrap(rule.recipients, data_key)
        data_key, wrapped = self.wrapped[rule.recipients]
        indent = creation.indent(self.rules, store)
        encrypted = sealing.seal(
            documents, Metadata(wrapped, selection), data_key, file=target, store=store, indent=indent
        )
        for document in store.parse(encrypted, file=target):
            _check_encrypted(document, target)
        return encrypted


def _check_encrypted(document: Value, file: str) -> None:
    """Raises SopsEncryptError where the rules would let a value of a Secret stand in the clear."""
    if isinstance(document, Sequence):
        for item in document.values():
            _check_encrypted(item, file)
        return
    if not isinstance(document, Mapping):
        return
    for name in ("items", *sealed_secrets.FIELDS):
        held = document.get(name)
        if name == "items":
            _check_encrypted(held, file)
        for entry in held.entries() if isinstance(held, Mapping) else ():
            if isinstance(entry.value, str) and entry.value and cipher.parse(entry.value) is None:
                raise SopsEncryptError(
                    "the rules would leave a value of a Secret in the clear",
                    hint="leave the selection out, or take one that covers both: encrypted_regex ^(data|stringData)$",
                    file=file,
                    field=f"{name}.{entry.key}",
                )
