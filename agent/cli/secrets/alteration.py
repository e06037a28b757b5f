"""One encrypted file, opened, changed at one place and sealed again: what `set` and `unset` share.

Under the same data key, and every value that stays has its ciphertext, so that only the changed lines differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import boundary, content, file_types, layout, rules
from agent.cli.keys import key_sources, sealing
from agent.cli.secrets import mistakes
from agent.sops.stores import store as stores
from agent.values.errors import NoSuchPlaceError, PlaceShapeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agent.yaml.nodes import Mapping


def add_options(parser: argparse.ArgumentParser) -> None:
    """The flags of sops; --shamir-secret-sharing-threshold is taken and means nothing, as there."""
    parser.add_argument(
        "--idempotent", action="store_true", help="leave the file as it is where there is nothing to do"
    )
    parser.add_argument("--ignore-mac", action="store_true", help="take a file that was altered; its new MAC is right")
    file_types.add_input_option(parser)
    file_types.add_output_option(parser)
    key_sources.add_order_option(parser)
    parser.add_argument("--shamir-secret-sharing-threshold", metavar="N", type=int, help="taken, as sops takes it")
    layout.add_options(parser)
    rules.add_option(parser)
    key_sources.add_options(parser)


def change(args: argparse.Namespace, file: str, edit: Callable[[Mapping], Mapping]) -> int:
    """Replace the first document by what `edit` makes of it; the exit code.

    `edit` gives back the very same document where nothing changes.
    """
    source = file_types.of_input(args, file)
    target = file_types.of_output(args, file)
    config = rules.load(args.config)
    indent = layout.indent(args, config, target, file)
    keys = sealing.Keys(args)
    data = content.read_existing(file)
    reading = layout.Reading(args, data, source, target, file=file)
    opened = keys.open(reading.encrypted(), ignore_mac=args.ignore_mac)
    mistakes.warn_of_recipients(config, file, opened.plain.metadata.data_key.recipients)
    first, *others = opened.plain.documents
    try:
        changed = edit(first)
    except (NoSuchPlaceError, PlaceShapeError) as error:
        raise error.with_facts(file=file) from None
    if args.idempotent and changed is first:
        terminal.progress("nothing to do, and nothing was written")
        return 0
    documents = [changed, *others]
    stores.check_plain(documents, file=file, store=target)
    sealed = sealing.seal(
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
    boundary.write(file, sealed, args.config)
    return 0
