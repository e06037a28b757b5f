"""`agent decrypt`: a file that sops or the agent encrypted → plaintext, of all of it or of one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import flags
from agent.cli.files import content, file_types, layout, rules, trees
from agent.cli.files.trees import Done
from agent.cli.keys import encryption, key_sources
from agent.cli.keys.key_sources import Access
from agent.cli.secrets import results
from agent.sops import stores
from agent.sops.files.decrypt import EncryptedFile
from agent.values.dataclass import dataclass
from agent.values.errors import NoSuchPlaceError, PlaceShapeError
from agent.yaml.nodes import Comment, Mapping

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.cli.files.trees import Found
    from agent.sops.files.parts import Part
    from agent.sops.rules.config import Rules
    from agent.sops.stores import Store
    from agent.values.tree import Path

_EXAMPLES = """\
examples:
  agent decrypt secret.yaml                             to the terminal
  agent decrypt --extract '["stringData"]["password"]' secret.yaml
  SOPS_AGE_KEY_FILE=key.txt agent decrypt --output plain.yaml secret.yaml
  git show HEAD~1:secret.yaml | agent decrypt --filename-override secret.yaml
  agent decrypt -i secrets/ 'envs/**/db.yaml'           every encrypted file of a folder, and those of a glob
  agent decrypt --dry-run .                             can I open them all?

Private keys are found as sops finds them: SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD or ~/.config/sops/age/keys.txt; gpg's
own home; VAULT_ADDR and VAULT_TOKEN or ~/.vault-token.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Decrypt files that sops or the agent encrypted. The MAC is verified first: an altered file is refused."
    )
    parser.epilog = _EXAMPLES
    trees.add_options(parser)
    results.add_options(parser)
    layout.add_options(parser)
    parser.add_argument("--extract", metavar="PATH", default="", help="""one value, such as '["data"]["list"][0]'""")
    parser.add_argument("--ignore-mac", action="store_true", help="give out values of a file that was altered")
    key_sources.add_order_option(parser)
    rules.add_option(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    asked, where = flags.typed(trees.Asked, args), flags.typed(results.Where, args)
    several = trees.several(asked)
    results.check(where, asked.file)
    keys = encryption.Keys(flags.typed(Access, args))
    work = _Decrypting(args, flags.typed(layout.Style, args), keys, rules.load(args.config))
    if several:
        return trees.run(asked, work)
    path = _path(args.extract)
    data = content.read(asked.file) if asked.file is not None else content.read_stdin()
    file: str = args.filename_override or asked.file or "standard input"
    # Without a name there is no suffix to go by, and JSON reads as YAML too.
    store = stores.of(file, args.input_type or ("" if args.filename_override or asked.file else "yaml"))
    results.deliver(where, asked.file, work.plain(data, file, store, path))
    if args.output:
        # Only here, since what it takes is for nothing else.
        from agent.cli.secrets import guards

        guards.warn_of_plain(args.output)
    return 0


def _path(text: str) -> Path:
    """Of `--extract`; none where the whole file is meant. Raises ExtractPathError."""
    if not text:
        return ()
    # Only here, since most files are decrypted whole.
    from agent.sops.files import places

    return places.parse(text)


@dataclass(frozen=True, slots=True)
class _Decrypting:
    args: argparse.Namespace
    style: layout.Style
    keys: encryption.Keys
    config: Rules | None

    def __call__(self, found: Found, data: bytes) -> Done | None:
        """A file of a tree."""
        store = stores.of(found.file, self.args.input_type)
        if not found.named and not file_types.looks_encrypted(data, store):
            return None
        return Done("decrypted", self.plain(data, found.file, store, ()))

    def plain(self, data: bytes, file: str, store: Store, path: Path) -> bytes:
        """The plaintext of all of it, or of what stands at a path."""
        target = stores.of(file, self.args.output_type)
        if target.single and not self.args.output_type:
            # sops would refuse to write as binary what is not.
            target = store
        indent = layout.indent(self.style, self.config, target, file)
        reading = layout.Reading(self.style, data, store, target, file=file)
        opened = self._opened(reading.parts(), file)
        if not path:
            documents = opened if reading.before is None else layout.printed(opened, target)
            return layout.written(documents, file=file, store=target, indent=indent, before=reading.before)
        try:
            from agent.sops.files import places

            found = places.find(opened[0], path)
        except (NoSuchPlaceError, PlaceShapeError) as error:
            raise error.with_facts(file=file) from None
        if isinstance(found, Comment):
            found = found.text
        if isinstance(found, str):
            return found.encode("utf-8", "surrogateescape")
        if isinstance(found, Mapping):
            return target.emit([found, *opened[1:]], indent=indent)
        return target.emit_value(found, indent=indent)

    def _opened(self, parts: Sequence[Part], file: str) -> list[Mapping]:
        """All documents in their order, each opened by its own metadata."""
        found: dict[int, Mapping] = {}
        for part in parts:
            documents = part.documents
            if part.metadata is not None:
                encrypted = EncryptedFile(file, documents, part.metadata)
                documents = self.keys.open(encrypted, ignore_mac=self.args.ignore_mac).plain.documents
            found.update(zip(part.numbers, documents, strict=True))
        return [found[number] for number in sorted(found)]
