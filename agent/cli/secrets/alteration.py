"""One encrypted file, opened, changed at one place and encrypted again: what `set` and `unset` share.

Under the same data key, and every value that stays has its ciphertext, so that only the changed lines differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import boundary, content, file_types, layout, rules
from agent.cli.keys import encryption, key_sources
from agent.cli.keys.key_sources import Access
from agent.cli.secrets import guards
from agent.sops import stores
from agent.values.dataclass import dataclass
from agent.values.errors import NoSuchPlaceError, PlaceShapeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from agent.yaml.nodes import Mapping


@dataclass(frozen=True, slots=True)
class How:
    """What the flags of `add_options` say."""

    idempotent: bool
    ignore_mac: bool
    input_type: str
    output_type: str
    decryption_order: str
    sops_format: bool
    indent: int | None
    config: str | None
    vault_address: Sequence[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The flags of sops; --shamir-secret-sharing-threshold is taken and means nothing, as there."""
    parser.add_argument(
        "--idempotent", action="store_true", help="leave the file as it is where there is nothing to do"
    )
    parser.add_argument("--ignore-mac", action="store_true", help="accept an altered file; the result gets a valid MAC")
    file_types.add_input_option(parser)
    file_types.add_output_option(parser)
    key_sources.add_order_option(parser)
    parser.add_argument(
        "--shamir-secret-sharing-threshold", metavar="N", type=int, help="accepted for compatibility with sops"
    )
    layout.add_options(parser)
    rules.add_option(parser)
    key_sources.add_options(parser)


def change(how: How, file: str, edit: Callable[[Mapping], Mapping]) -> int:
    """Replace the first document by what `edit` makes of it; the exit code.

    `edit` gives back the very same document where nothing changes.
    """
    source = stores.of(file, how.input_type)
    target = stores.of(file, how.output_type)
    config = rules.load(how.config)
    style = layout.Style(how.sops_format, how.indent)
    indent = layout.indent(style, config, target, file)
    keys = encryption.Keys(Access(how.vault_address, decryption_order=how.decryption_order))
    data = content.read_existing(file)
    reading = layout.Reading(style, data, source, target, file=file)
    opened = keys.open(reading.encrypted(), ignore_mac=how.ignore_mac)
    guards.warn_of_recipients(config, file, opened.plain.metadata.data_key.recipients)
    first, *others = opened.plain.documents
    try:
        changed = edit(first)
    except (NoSuchPlaceError, PlaceShapeError) as error:
        raise error.with_facts(file=file) from None
    if how.idempotent and changed is first:
        terminal.progress("nothing to do, and nothing was written")
        return 0
    documents = [changed, *others]
    stores.check_plain(documents, file=file, store=target)
    encrypted = encryption.encrypt_file(
        documents,
        opened.plain.metadata,
        opened.data_key,
        file=file,
        store=target,
        indent=indent,
        ivs=opened.plain.ivs,
        before=reading.before,
        source=source,
    )
    boundary.write(file, encrypted, how.config)
    return 0
