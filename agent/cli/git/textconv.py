"""`agent textconv`: an encrypted file as text that `git diff` and `git log -p` can compare.

See gitattributes(5), "Performing text diffs of binary files". Git must not keep what this prints (`cachetextconv`), since it would
store it in the repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.files import content, file_types, layout
from agent.cli.keys import encryption, key_sources
from agent.cli.keys.key_sources import Access
from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.format import cipher
from agent.sops.format.keys import kind_of, name_of
from agent.sops.format.selection import Selected
from agent.sops.format.walk import rewrite
from agent.values import fingerprint
from agent.values.dataclass import dataclass
from agent.values.errors import AgentError
from agent.values.fingerprint import Fingerprinter
from agent.values.text import steady
from agent.yaml.nodes import Comment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.sops.format.metadata import Metadata
    from agent.sops.format.walk import Place, Scalar
    from agent.sops.stores import Store
    from agent.values.secret import Secret

_EXAMPLES = """\
examples:
  agent git-setup                                       sets it up; Git then calls it by itself
  agent textconv --fingerprints secret.yaml             which values differ, not what they are: git-setup's default
  agent textconv secret.yaml                            the plaintext: what `agent git-setup --plaintext-diffs` sets up

A fingerprint is keyed by the file's data key: equal values of one place show the same one as long as that key stays. Recipients stand
at the end. What no available key opens is shown as it is. Git must not cache this: diff.signet.cachetextconv stays false.
"""
_PURPOSE = "textconv"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print an encrypted file for git diff: decrypted, or with fingerprints for values."
    parser.epilog = _EXAMPLES
    parser.add_argument("file")
    parser.add_argument("--fingerprints", action="store_true", help="show which values differ, and not what they are")
    key_sources.add_order_option(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    data = content.read(args.file)
    store = stores.of(args.file)
    shown = data
    if file_types.looks_encrypted(data, store):
        try:
            shown = _shown(args, data, store)
        except AgentError as error:
            # A failure here would end the whole of `git diff`.
            terminal.note(f"agent: {args.file}: shown as it is: {error.message}")
    terminal.write_bytes(_steady(shown))
    return 0


def _steady(data: bytes) -> bytes:
    """For the person who reads the diff: nothing in it turns the direction of text, so that what stands there is what is shown."""
    return steady(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _shown(args: argparse.Namespace, data: bytes, store: Store) -> bytes:
    opened = encryption.Keys(flags.typed(Access, args)).open(decrypt.read(data, file=args.file, store=store))
    documents, metadata = opened.plain.documents, opened.plain.metadata
    if args.fingerprints:
        selected = Selected(metadata.selection)
        visitor = _Fingerprints(Fingerprinter.derive(opened.data_key, _PURPOSE))
        documents = tuple(rewrite(each, selected, visitor, file=args.file) for each in documents)
    text = layout.written(documents, file=args.file, store=store, indent=None, before=data)
    if text and not text.endswith(b"\n"):
        text += b"\n"
    lines = "".join(f"# sops: {line}\n" for line in _facts(metadata, opened.data_key))
    return text + lines.encode("utf-8", "surrogateescape")


def _facts(metadata: Metadata, data_key: Secret) -> Iterator[str]:
    """What else a commit may change: whom the file is for, under which data key, and what of it is encrypted."""
    groups = metadata.data_key.groups
    for number, group in enumerate(groups, 1):
        for key in group:
            yield f"{f'group {number}: ' if len(groups) > 1 else ''}{kind_of(key)} {name_of(key)}"
    if len(groups) > 1:
        yield f"groups needed: {metadata.data_key.needed}"
    yield f"data key {fingerprint.shown(Fingerprinter.derive(data_key, _PURPOSE).text('data key'))}"
    if metadata.selection.pattern:
        yield f"{metadata.selection.selector} {metadata.selection.pattern}"
    if metadata.selection.mac_only_encrypted:
        yield "mac_only_encrypted"


@dataclass(frozen=True, slots=True)
class _Fingerprints:
    """In place of what is encrypted. The place counts, so that equal values of two places cannot be recognized."""

    fingerprinter: Fingerprinter

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        return self._of(value, place) if place.encrypted and value != "" else value

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        return Comment(f" {self._of(comment, place)}", comment.inline) if place.encrypted and comment.text else comment

    def _of(self, value: cipher.Text, place: Place) -> str:
        text = cipher.plain_bytes(value).decode("utf-8", "surrogateescape")
        return fingerprint.shown(self.fingerprinter.text(place.aad, cipher.type_of(value), text))
