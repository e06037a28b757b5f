"""`agent migrate sealed-secrets`: SealedSecrets and their controller's keys → Secrets that SOPS encrypts. Plaintext stays in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import ConflictingFlagsError, UsageError, WriteError
from agent.cli.files import boundary, rules, trees
from agent.cli.keys import creation, encryption, fresh, key_sources, sealing_keys
from agent.cli.keys.key_sources import Access
from agent.cli.keys.recipients import Named
from agent.cli.migration import sealed_secrets
from agent.sops import stores
from agent.sops.format import cipher
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import Selection
from agent.values import system
from agent.values.dataclass import dataclass, field, replace
from agent.values.errors import AgentError, SopsEncryptError
from agent.yaml.nodes import Entry, Mapping, Sequence

if TYPE_CHECKING:
    import argparse

    from agent.adapters.keys.sealed_secrets import SealingKeys
    from agent.cli.migration.sealed_secrets import Found, Made
    from agent.sops.format.groups import Recipients, WrappedDataKey
    from agent.sops.rules.config import Rules
    from agent.values.secret import Secret
    from agent.yaml.nodes import Value

_DESCRIPTION = """\
Turn SealedSecrets of bitnami-labs/sealed-secrets into v1/Secrets that SOPS encrypts.

The values are opened in memory with the controller's private keys and encrypted for the recipients of .sops.yaml, as `agent encrypt`
does; by default data and stringData alone are encrypted. Other documents are left as they are. A file whose SealedSecrets do not
all open is not touched; the others are, and the failures are listed at the end.

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
_STORES = {"yaml", "json"}
_SELECTION = Selection("encrypted_regex", "^(data|stringData)$")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("what", choices=[_SEALED_SECRETS], help="what is migrated")
    parser.add_argument(
        "paths", nargs="+", metavar="FILE|FOLDER", help="or a quoted glob; of a folder, all YAML and JSON files"
    )
    parser.add_argument(
        "--sealing-key",
        action="append",
        required=True,
        metavar="FILE",
        help=sealing_keys.HELP,
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
    to_terminal = not (args.in_place or args.output_dir)
    if to_terminal and (len(args.paths) != 1 or os.path.isdir(args.paths[0])):
        raise UsageError("several files cannot go to standard output", hint="give -i or --output-dir")
    keys = sealing_keys.read(args.sealing_key)
    migration = _Migration(
        args,
        flags.typed(Named, args),
        flags.typed(creation.Choice, args),
        to_terminal,
        keys,
        rules.load(args.config),
        encryption.Keys(flags.typed(Access, args)),
    )
    for result in trees.each(args.paths, migration, write=False):
        if result.error is not None:
            migration.fail(result.error.with_facts(file=result.file))
    if not migration.rows and not migration.failed:
        terminal.note("no SealedSecret found")
    elif not to_terminal:
        terminal.table(("OBJECT", "FILE", "RESULT", "SEALING KEY"), migration.rows)
    return 1 if migration.failed else 0


@dataclass(slots=True)
class _Migration:
    """The work on each file. It writes for itself, since what it makes may go beside the file."""

    args: argparse.Namespace
    whom: Named
    what: creation.Choice
    to_terminal: bool
    keys: SealingKeys
    rules: Rules | None
    masters: encryption.Keys
    rows: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    failed: int = 0
    wrapped: dict[Recipients, tuple[Secret, WrappedDataKey]] = field(
        default_factory=dict["Recipients", "tuple[Secret, WrappedDataKey]"]
    )
    written: set[str] = field(default_factory=set[str])

    def __call__(self, found: trees.Found, data: bytes) -> trees.Done | None:
        """Migrate one file, or none of it. Raises AgentError."""
        if _MARKER not in data or not (found.named or Path(found.file).suffix in _TYPES):
            return None
        sealed, rest = sealed_secrets.split(data, found.file)
        made: list[Made] = []
        if not sealed or self._open(sealed, made, found.file):
            self._report(made, found.file, "not migrated")
            return None
        target = self._target(found.file, mixed=bool(rest))
        kept = target != found.file and _exists(target) and not (self.args.overwrite or self.to_terminal)
        if kept and not self.args.in_place:
            self._report(made, target, "kept: the file exists")
            return None
        try:
            if kept or target in self.written:
                raise WriteError("the file exists already", hint="--overwrite replaces it", file=target)
            self._deliver(made, rest, found.file, target)
        except AgentError:
            self._report(made, found.file, "not migrated")
            raise
        return trees.Done("migrated")

    def _open(self, found: list[Found], made: list[Made], file: str) -> bool:
        failed = self.failed
        for each in found:
            name = "SealedSecret"
            try:
                name = sealed_secrets.name_of(each.tree)
                made.append(sealed_secrets.opened(each, self.keys, self.args.namespace))
            except AgentError as error:
                self.fail(error.with_facts(file=file, object=name))
                self.rows.append((name, file, "failed", ""))
        return self.failed > failed

    def fail(self, error: AgentError) -> None:
        """Report a failure, and count it."""
        self.failed += 1
        terminal.error(error)

    def _report(self, made: list[Made], file: str, result: str) -> None:
        self.rows += [(each.name, file, result, ", ".join(each.keys)) for each in made]

    def _target(self, source: str, *, mixed: bool) -> str:
        path = Path(source)
        if self.args.output_dir:
            folder = next((each for each in self.args.paths if os.path.isdir(each) and path.is_relative_to(each)), None)
            return str(Path(self.args.output_dir, path.relative_to(folder) if folder else path.name))
        if self.args.in_place and mixed:
            return str(path.with_name(f"{path.stem}.secrets{path.suffix}"))
        return source

    def _deliver(self, made: list[Made], rest: bytes, source: str, target: str) -> None:
        encrypted = self._encrypt([each.document for each in made], target)
        if rest:
            terminal.note(f"{source}: its other documents are left as they are")
        if self.to_terminal:
            if not self.args.dry_run:
                terminal.write_bytes(encrypted)
            for each in made:
                terminal.note(f"{each.name}: opened by {', '.join(each.keys) or 'no key, as it holds no value'}")
            self._report(made, source, "printed")
            return
        if not self.args.dry_run:
            config: str | None = self.args.config
            boundary.check(target, config)
            _make_folder(Path(target).parent)
            boundary.write(target, encrypted, config)
            if rest and self.args.in_place:
                boundary.write(source, rest, config)
        self.written.add(target)
        self._report(made, target, "would be migrated" if self.args.dry_run else "migrated")

    def _encrypt(self, documents: list[Mapping], target: str) -> bytes:
        store = stores.of(target)
        if store.name not in _STORES:
            raise UsageError("a manifest is a .yaml, .yml or .json file", file=target)
        if store.name == "json" and len(documents) > 1:
            items = Entry("items", Sequence(tuple(documents)))
            documents = [Mapping((Entry("apiVersion", "v1"), Entry("kind", "List"), items))]
        rule = creation.rule_for(self.whom, self.what, self.rules, target)
        selection = rule.selection
        if selection == Selection(mac_only_encrypted=selection.mac_only_encrypted):
            selection = replace(_SELECTION, mac_only_encrypted=selection.mac_only_encrypted)
        if rule.recipients not in self.wrapped:
            data_key = fresh.data_key()
            self.wrapped[rule.recipients] = data_key, self.masters.wrap(rule.recipients, data_key)
        data_key, wrapped = self.wrapped[rule.recipients]
        indent = rules.indent(self.rules, store)
        encrypted = encryption.encrypt_file(
            documents, Metadata(wrapped, selection), data_key, file=target, store=store, indent=indent
        )
        for document in store.parse(encrypted, file=target):
            _check_encrypted(document, target)
        return encrypted


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError as error:
        raise WriteError("the folder cannot be entered", file=path, cause=system.cause(error)) from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError("the folder cannot be made", folder=str(folder), cause=system.cause(error)) from None


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
