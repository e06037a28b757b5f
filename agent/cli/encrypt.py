"""`agent encrypt`: a plain file → one that sops and the agent read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import creation, files, key_sources, results, sealing, trees
from agent.cli.trees import Done
from agent.sops import stores
from agent.sops.metadata import Metadata
from agent.sops.selection import EVERYTHING
from agent.values.errors import ConflictingFlagsError, NoRuleError

if TYPE_CHECKING:
    import argparse

    from agent.cli.trees import Found
    from agent.sops.groups import Recipients, WrappedDataKey
    from agent.sops.rules import Rules
    from agent.values.secret import Secret

_EXAMPLES = """\
examples:
  agent encrypt -i secret.yaml                          keys and selection as .sops.yaml says
  agent encrypt -i --age age1… --encrypted-regex '^(data|stringData)$' secret.yaml
                                                        a Kubernetes Secret, whose name stays readable
  agent encrypt --output secret.enc.yaml secret.yaml
  agent encrypt -i secrets/                             what .sops.yaml has a rule for and is not encrypted yet
  agent encrypt --check secrets/                        for CI: exit 1 where something is not
  kubectl create secret generic db --from-env-file db.env --dry-run=client -o yaml |
    agent encrypt --filename-override secret.yaml > secret.yaml

.sops.yaml, in the repository's root:
  creation_rules:
    - path_regex: secrets?\\.yaml$
      encrypted_regex: ^(data|stringData)$
      age: age1…,age1…
"""
_RULES = {".sops.yaml", ".sops.yml"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Encrypt the values of a YAML or JSON file for age, PGP or Vault transit keys, as sops does."
    parser.epilog = _EXAMPLES
    trees.add_options(parser, check=True)
    results.add_options(parser)
    creation.add_options(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    several = trees.asked(args)
    results.check(args)
    work = _Encrypting(args, sealing.Keys(args), creation.load_rules(args))
    if several:
        return trees.run(args, work)
    if args.file is None and not args.filename_override:
        raise ConflictingFlagsError("standard input needs --filename-override", hint="it names the file for .sops.yaml")
    data = files.read(args.file) if args.file is not None else files.read_stdin()
    results.deliver(args, work.sealed(data, args.filename_override or args.file or ""))
    return 0


@dataclass(frozen=True, slots=True)
class _Encrypting:
    args: argparse.Namespace
    keys: sealing.Keys
    config: Rules | None
    data_keys: dict[Recipients, tuple[WrappedDataKey, Secret]] = field(
        default_factory=dict["Recipients", "tuple[WrappedDataKey, Secret]"]
    )

    def __call__(self, found: Found, data: bytes) -> Done | None:
        """A file of a tree: what is encrypted already is passed over, and so is what a folder holds besides files of secrets."""
        store = stores.of(found.file, self.args.input_type or "")
        if trees.looks_encrypted(data, store):
            return Done("already encrypted")
        if not found.named and not self._wanted(found.file, store):
            return None
        return Done("encrypted", self.sealed(data, found.file))

    def _wanted(self, file: str, store: stores.Store) -> bool:
        """Whether a file of a folder is one to encrypt: of a type that holds values, and with a rule that takes it."""
        if (
            store is stores.Store.BINARY
            or Path(file).name in _RULES
            or (self.config and Path(self.config.file).samefile(file))
        ):
            return False
        try:
            creation.rule_for(self.args, self.config, file)
        except NoRuleError:
            return False
        return True

    def sealed(self, data: bytes, file: str) -> bytes:
        source = stores.of(file, self.args.input_type or "")
        target = stores.of(file, self.args.output_type or self.args.input_type or "")
        documents = source.parse_plain(data, file=file)
        stores.check_plain(documents, file=file, store=target)
        rule = creation.rule_for(self.args, self.config, file)
        wrapped, data_key = self._data_key(rule.recipients)
        metadata = Metadata(wrapped, EVERYTHING if source.single else rule.selection)
        indent = creation.indent(self.config, target)
        return sealing.seal(documents, metadata, data_key, file=file, store=target, indent=indent)

    def _data_key(self, recipients: Recipients) -> tuple[WrappedDataKey, Secret]:
        """One for all files of the same recipients, so that whoever opens them asks once."""
        if recipients not in self.data_keys:
            data_key = creation.new_data_key()
            self.data_keys[recipients] = (self.keys.wrap(recipients, data_key), data_key)
        return self.data_keys[recipients]
