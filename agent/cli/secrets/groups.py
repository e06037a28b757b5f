"""`agent groups add|delete`: one more group of keys in a file, or one fewer. The data key stays, and is split again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import UsageError
from agent.cli.files import boundary, content, file_types, layout, rules
from agent.cli.keys import creation, encryption, key_sources, recipients
from agent.cli.keys.key_sources import Access
from agent.cli.keys.recipients import Named
from agent.cli.secrets import rewrapping
from agent.sops import stores
from agent.sops.format import key_changes
from agent.sops.format.groups import Recipients
from agent.values.errors import DataKeyError, SopsRulesError

if TYPE_CHECKING:
    import argparse

    from agent.sops.format.keys import Recipient

_EXAMPLES = """\
examples:
  agent groups add -f secret.yaml --age age1… --pgp 85D77543B3D624B6 -i
                                                        a second group: one key of each is needed from now on
  agent groups add -f secret.yaml --age age1… --shamir-secret-sharing-threshold 2 -i
                                                        any two of three groups
  agent groups delete -f secret.yaml -i --shamir-secret-sharing-threshold 2 0
                                                        the first group goes
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Change the key groups of an encrypted file: any key of a group opens its part of the data key."
    )
    parser.epilog = _EXAMPLES
    parser.add_argument("action", choices=("add", "delete"), help="add a group of the keys given, or delete one")
    parser.add_argument("index", nargs="?", help="which group to delete; the first is 0")
    parser.add_argument("-f", "--file", metavar="FILE", default="", help="the encrypted file")
    parser.add_argument("-i", "--in-place", action="store_true", help="write back to the file")
    rewrapping.add_options(parser)
    file_types.add_output_option(parser)
    recipients.add_group_options(parser)
    recipients.add_threshold_option(parser)
    rules.add_option(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    adding = args.action == "add"
    if adding and args.index is not None:
        raise UsageError("add takes no number of a group").in_case("general")
    index = 0 if adding else _index(args.index)
    added = recipients.of(flags.typed(Named, args)) if adding else ()
    addresses = [*args.vault_address, *recipients.vault_addresses(added)]
    keys = encryption.Keys(Access(addresses, decryption_order=args.decryption_order))
    config = rules.load(args.config)
    data = content.read_existing(args.file)
    source = stores.of(args.file, args.input_type)
    target = stores.of(args.file, args.output_type)
    style = flags.typed(layout.Style, args)
    reading = layout.Reading(style, data, source, target, file=args.file)
    encrypted = reading.encrypted()
    before = encrypted.metadata.data_key.recipients
    groups = (*before.groups, added) if adding else _without(before, index, args.file)
    threshold = args.shamir_secret_sharing_threshold or before.threshold
    after = Recipients(groups, threshold)
    if threshold > len(groups):
        raise SopsRulesError(
            "the threshold would be more than there are key groups",
            hint="give another with --shamir-secret-sharing-threshold",
            file=args.file,
            threshold=threshold,
            groups=len(groups),
        )
    after = creation.checked(after, file=args.file)
    indent = layout.indent(style, config, target, args.file)
    try:
        result = rewrapping.rewrapped(keys, encrypted, after, reading.before, store=target, indent=indent)
    except DataKeyError as error:
        # Every failure of this command is one to sops.
        raise error.in_case("general") from None
    rewrapping.warn_of_gone(key_changes.between(before, after), args.file)
    if args.in_place:
        boundary.write(args.file, result, args.config)
    else:
        terminal.write_bytes(result)
    return 0


def _index(text: str | None) -> int:
    if text is None or not re.fullmatch("[0-9]{1,9}", text):
        raise UsageError("delete takes the number of a group", hint="the first is 0").in_case("general")
    return int(text)


def _without(before: Recipients, index: int, file: str) -> tuple[tuple[Recipient, ...], ...]:
    if index >= len(before.groups):
        raise UsageError(
            "the file has no such group", hint="the first is 0", file=file, index=index, groups=len(before.groups)
        )
    return (*before.groups[:index], *before.groups[index + 1 :])
