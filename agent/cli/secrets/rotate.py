"""`agent rotate`: a new data key, for the same recipients or others, and every value encrypted under it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import FileMissingError
from agent.cli.files import content, file_types, layout, rules, trees
from agent.cli.files.trees import Done
from agent.cli.keys import creation, encryption, key_sources, recipients
from agent.cli.keys.key_sources import Access
from agent.cli.keys.recipients import Named
from agent.cli.secrets import guards, results, rewrapping
from agent.sops import stores
from agent.sops.format import key_changes
from agent.sops.format.keys import AgeRecipient, kind_of, name_of, short_name_of
from agent.values.dataclass import dataclass
from agent.values.errors import SopsRulesError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from agent.cli.files.trees import Found
    from agent.sops.format.keys import Recipient
    from agent.sops.rules.config import Rules

_EXAMPLES = """\
examples:
  agent rotate -i secret.yaml                           a new data key for the same recipients
  agent rotate -i --add-age age1… --rm-age age1… secret.yaml
                                                        one recipient joins and another leaves
  agent rotate -i --rm-pgp 85D77543B3D624B63CEA9E6DBC17301B491B3F21 secrets/ 'envs/**/db.yaml'
  agent rotate secret.yaml > rotated.yaml

A removed recipient cannot open what is written now, but can still open what Git's history holds: change the secrets themselves too.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Encrypt a file under a new data key, and optionally change its recipients."
    parser.epilog = _EXAMPLES
    trees.add_options(parser)
    results.add_options(parser)
    layout.add_options(parser)
    parser.add_argument(
        "--ignore-mac", action="store_true", help="rotate a file that was altered: its values become valid"
    )
    key_sources.add_order_option(parser)
    recipients.add_change_options(parser)
    rules.add_option(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    if not args.files:
        raise FileMissingError("no file named")
    asked, where = flags.typed(trees.Asked, args), flags.typed(results.Where, args)
    several = trees.several(asked)
    results.check(where, asked.file)
    add, remove = (recipients.of(flags.typed(Named, args, prefix)) for prefix in ("add_", "rm_"))
    _check_age(remove)
    file: str = args.files[0]
    if not several and not os.path.exists(file):  # whatever text it is
        if add or remove:
            raise FileMissingError("keys can only be added to or removed from existing files", file=file).in_case(
                "key change"
            )
        raise FileMissingError("no such file", file=file).in_case("usage")
    addresses = [*args.vault_address, *recipients.vault_addresses((*add, *remove))]
    keys = encryption.Keys(Access(addresses, decryption_order=args.decryption_order))
    work = _Rotating(args, flags.typed(layout.Style, args), keys, rules.load(args.config), add, remove)
    if several:
        return trees.run(asked, work)
    results.deliver(where, file, work.rotated(content.read(file), args.filename_override or file))
    return 0


def _check_age(remove: Iterable[Recipient]) -> None:
    """A misspelt recipient would match none, and the one that was meant would stay. Raises SopsRulesError."""
    from agent.adapters.keys import age_bech32

    for each in remove:
        if isinstance(each, AgeRecipient) and each.recipient.startswith("age1"):
            try:
                age_bech32.decode(each.recipient)
            except ValueError:
                raise SopsRulesError(
                    "not an age recipient",
                    hint="its checksum does not match: is it all there?",
                    recipient=each.recipient,
                ) from None


@dataclass(frozen=True, slots=True)
class _Rotating:
    args: argparse.Namespace
    style: layout.Style
    keys: encryption.Keys
    config: Rules | None
    add: tuple[Recipient, ...]
    remove: tuple[Recipient, ...]

    def __call__(self, found: Found, data: bytes) -> Done | None:
        """A file of a tree. Each gets a data key of its own, so that a later recipient of one of them opens that one alone."""
        if not found.named and not file_types.looks_encrypted(data, stores.of(found.file, self.args.input_type)):
            return None
        return Done("rotated", self.rotated(data, found.file))

    def rotated(self, data: bytes, file: str) -> bytes:
        source = stores.of(file, self.args.input_type)
        target = stores.of(file, self.args.output_type)
        reading = layout.Reading(self.style, data, source, target, file=file)
        encrypted = reading.encrypted()
        before = encrypted.metadata.data_key.recipients
        after = creation.checked(key_changes.changed(before, add=self.add, remove=self.remove), file=file)
        self._note_absent(before.groups, file)
        guards.warn_of_recipients(self.config, file, after)
        return rewrapping.rotated(
            self.keys,
            encrypted,
            after,
            reading.before,
            store=target,
            source=source,
            indent=layout.indent(self.style, self.config, target, file),
            ignore_mac=self.args.ignore_mac,
        )

    def _note_absent(self, groups: tuple[tuple[Recipient, ...], ...], file: str) -> None:
        names = {name_of(each) for group in groups for each in group}
        for each in self.remove:
            if name_of(each) not in names:
                terminal.note(f"{file}: {kind_of(each)} {short_name_of(each)} was no recipient")
