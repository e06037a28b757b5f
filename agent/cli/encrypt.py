"""`agent encrypt`: a plain file → one that sops and the agent read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import creation, files, key_sources, results, sealing
from agent.sops import stores
from agent.sops.metadata import Metadata
from agent.sops.selection import EVERYTHING
from agent.values.errors import ConflictingFlagsError

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  agent encrypt -i secret.yaml                          keys and selection as .sops.yaml says
  agent encrypt -i --age age1… --encrypted-regex '^(data|stringData)$' secret.yaml
                                                        a Kubernetes Secret, whose name stays readable
  agent encrypt --output secret.enc.yaml secret.yaml
  kubectl create secret generic db --from-env-file db.env --dry-run=client -o yaml |
    agent encrypt --filename-override secret.yaml > secret.yaml

.sops.yaml, in the repository's root:
  creation_rules:
    - path_regex: secrets?\\.yaml$
      encrypted_regex: ^(data|stringData)$
      age: age1…,age1…
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Encrypt the values of a YAML or JSON file for age, PGP or Vault transit keys, as sops does."
    parser.epilog = _EXAMPLES
    results.add_options(parser)
    creation.add_options(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    results.check(args)
    if args.file is None and not args.filename_override:
        raise ConflictingFlagsError("standard input needs --filename-override", hint="it names the file for .sops.yaml")
    data = files.read(args.file) if args.file is not None else files.read_stdin()
    file: str = args.filename_override or args.file or ""
    source = stores.of(file, args.input_type or "")
    target = stores.of(file, args.output_type or args.input_type or "")
    config = creation.load_rules(args)
    documents = source.parse_plain(data, file=file)
    stores.check_plain(documents, file=file, store=target)
    rule = creation.rule_for(args, config, file)
    data_key = creation.new_data_key()
    selection = EVERYTHING if source.single else rule.selection
    metadata = Metadata(sealing.Keys(args).wrap(rule.recipients, data_key), selection)
    indent = creation.indent(config, target)
    results.deliver(args, sealing.seal(documents, metadata, data_key, file=file, store=target, indent=indent))
    return 0
