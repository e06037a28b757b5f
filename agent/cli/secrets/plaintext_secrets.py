"""What a repository shows to all who read it, or lets them exchange: Secrets and private keys, and clear values in encrypted files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.cli.errors import PrivateKeyError
from agent.sops.format.metadata import ENTRY
from agent.sops.kubernetes import clear, meaning
from agent.values.errors import AgentError, PlaintextSecretError
from agent.values.tree import format_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.sops.files.parts import Part
    from agent.sops.stores import Store
    from agent.values.tree import Object, Tree
    from agent.yaml.nodes import Mapping

_SECRET = re.compile(rb"""\bkind["']?\s*:\s*(?:[!&|>]\S*\s+)*["']?Secret""")
_GENERATOR = b"secretGenerator"
_BREAKS = rb"(?:\\[rn]|\s)+"
_PRIVATE = re.compile(
    rb"\bAGE-SECRET-KEY-(?:PQ-)?1[02-9AC-HJ-NP-Z]{50}"
    rb"|-----BEGIN (?:(?:RSA |EC |DSA )?PRIVATE KEY-----" + _BREAKS + rb"[A-Za-z0-9+/]{40}"
    rb"|OPENSSH PRIVATE KEY-----" + _BREAKS + rb"b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"
    rb"|PGP PRIVATE KEY BLOCK-----" + _BREAKS + rb"[A-Za-z0-9+/])"
)
"""Keys that no passphrase protects, and those of PGP, whose packets would have to be read for that; not the mere words for one."""


def of(data: bytes, store: Store, *, file: str) -> tuple[AgentError, ...]:
    """A warning for each Secret in the clear of a file, and for private keys; none of Secrets where it does not parse, as a template."""
    return (*private_keys(data, file=file), *_secrets(data, store, file))


def private_keys(data: bytes, *, file: str) -> Iterator[AgentError]:
    """A warning at the first private key of a file, of whatever type."""
    found = _PRIVATE.search(data)
    if found is not None:
        line = data.count(b"\n", 0, found.start()) + 1
        yield PrivateKeyError("the file has a private key", file=file, line=line)


def _secrets(data: bytes, store: Store, file: str) -> Iterator[AgentError]:
    if store.flat or store.single or (_SECRET.search(data) is None and _GENERATOR not in data):
        return
    # Only here, since most files have none.
    from agent.yaml.read import manifests

    try:
        documents = manifests.parse(data, file=file, strict=False)
    except AgentError:
        return
    for each in documents:
        yield from _in_clear(each.line, each.tree, file)


def among(documents: Sequence[Mapping], *, file: str) -> Iterator[AgentError]:
    """A warning for each Secret in the clear of what was parsed already."""
    for line, tree in _trees(documents, file):
        yield from _in_clear(line, tree, file)


def _in_clear(line: int, tree: Tree, file: str) -> Iterator[AgentError]:
    for found in clear.objects(tree):
        fields = clear.listed(clear.plaintext(found)) if isinstance(found, dict) else ""
        if fields:
            yield PlaintextSecretError("a Secret is in the clear", file=file, line=line, fields=fields)
    if fields := clear.listed((*clear.generated(tree), *_patches(tree, file))):
        yield PlaintextSecretError("a Secret is made of values in the clear", file=file, line=line, fields=fields)


def _patches(tree: Tree, file: str) -> Iterator[str]:
    """Those of a kustomization that hold values of a Secret."""
    for path, text, targeted in clear.patches(tree):
        # Only here, since most files have none.
        from agent.yaml.read import manifests

        try:
            documents = manifests.parse(text.encode("utf-8", "surrogateescape"), file=file, strict=False)
        except AgentError:
            continue  # text of another kind
        if any(clear.patched(each.tree, targeted=targeted) for each in documents):
            yield format_path(path)


def unbound(encrypted: Sequence[Part], *, file: str) -> Iterator[AgentError]:
    """A warning where parts of a file have values that the MAC does not hold in their places, or not at all."""
    if fields := clear.unbound_of((each for part in encrypted for each in part.documents), file=file):
        loose = any(part.metadata is not None and part.metadata.selection.mac_only_encrypted for part in encrypted)
        yield clear.caution(fields, file=file, mac_only_encrypted=loose)


def _trees(documents: Sequence[Mapping], file: str) -> Iterator[tuple[int, Object]]:
    for document in documents:
        line = next((entry.line for entry in document.entries()), 0)
        try:
            tree = meaning.tree(document, {}, file=file)
        except AgentError:
            continue  # a duplicate key, which is reported elsewhere
        tree.pop(ENTRY, None)
        yield line, tree
