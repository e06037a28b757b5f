"""A file's SealedSecrets, and the Secrets in the clear that they open as. Nothing here touches a disk."""

from __future__ import annotations

import base64
import re
import unicodedata
from typing import TYPE_CHECKING

from agent.cli import plaintext
from agent.manifests import sealed_secrets
from agent.manifests.documents import identity_of
from agent.manifests.references import has_reference
from agent.values.dataclass import dataclass, field
from agent.values.errors import ManifestError
from agent.values.ids import ObjectId
from agent.values.secret import Sealed, Secret
from agent.values.tree import get_text
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.read import manifests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.adapters.keys.sealed_secrets import SealingKeys
    from agent.values.tree import Object, Tree
    from agent.yaml.nodes import Value

FIELDS = ("stringData", "data")
"""Where a Secret holds values."""

_DOCUMENT = re.compile(rb"^(?=---)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """A SealedSecret, with the comment at the head of its document."""

    tree: Object
    comment: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A Secret in the clear, what it is called, and the sealing keys that opened its values."""

    document: Mapping = field(repr=False)
    name: str
    keys: tuple[str, ...]


def split(data: bytes, file: str) -> tuple[list[Found], bytes]:
    """The SealedSecrets of a file, and the bytes of its other documents. Raises YamlError, LimitError, ManifestError."""
    manifests.parse(data, file=file)  # for errors with the lines of the whole file
    found: list[Found] = []
    rest: list[bytes] = []
    for part in _DOCUMENT.split(data) if not file.endswith(".json") else [data]:
        [tree] = [document.tree for document in manifests.parse(part, file=file)] or [None]
        items = list(_items(tree))
        sealed = [item for item in items if isinstance(item, dict) and sealed_secrets.is_sealed_secret(item)]
        if not sealed:
            rest.append(part)
        elif len(sealed) < len(items):
            raise ManifestError(
                "a List holds SealedSecrets among other objects", hint="write each as a document of its own"
            )
        else:
            found += [Found(item, _comment(part) if item is sealed[0] else ()) for item in sealed]
    left = b"".join(rest)
    return found, left if any(line.strip(b"- \t\r") for line in left.splitlines()) else b""


def _items(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, dict) and isinstance(tree.get("items"), list) and str(tree.get("kind")).endswith("List"):
        items = tree["items"]
        assert isinstance(items, list)
        for item in items:
            yield from _items(item)
    elif tree is not None:
        yield tree


def _comment(part: bytes) -> tuple[str, ...]:
    """The lines of comment before the first key."""
    found: list[str] = []
    for line in part.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text.startswith("#"):
            found.append(text[1:])
        elif text and not text.startswith("---"):
            break
    return tuple(found)


def name_of(tree: Object) -> str:
    """As errors and tables call an object. Raises ManifestError."""
    named = identity_of(tree)
    if named is None:
        raise ManifestError("a SealedSecret has no well-formed name", field="metadata.name")
    return str(ObjectId(*named))


def opened(found: Found, keys: SealingKeys, namespace: str) -> Made:
    """Raises ManifestError, SealedSecretError."""
    unwrapped = sealed_secrets.secret(found.tree, namespace=get_text(found.tree, "metadata", "namespace") or namespace)
    values = {each.key: keys.unseal(each) for each in unwrapped.values}
    texts = {key: plaintext.text(value.secret) for key, value in values.items()}
    clear = unwrapped.tree.get("stringData")
    texts |= {key: text for key, text in (clear if isinstance(clear, dict) else {}).items() if isinstance(text, str)}
    entries: list[Entry | Comment] = [Comment(text) for text in found.comment]
    entries += [Entry(key, _node(value)) for key, value in unwrapped.tree.items() if key not in FIELDS]
    entries += [Entry(name, Mapping(tuple(items))) for name, items in _data(texts).items() if items]
    names = dict.fromkeys(value.key for value in values.values())
    return Made(Mapping(tuple(entries)), name_of(unwrapped.tree), tuple(names))


def _data(texts: dict[str, str]) -> dict[str, list[Entry]]:
    """Text as text, for the people who edit it; as base64 what is none, or what the agent would read as a reference."""
    fields: dict[str, list[Entry]] = {name: [] for name in FIELDS}
    for key, text in texts.items():
        is_text = not any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t" for char in text)
        if is_text and not has_reference(text):
            fields["stringData"].append(Entry(key, text))
        else:
            raw = text.encode("utf-8", "surrogateescape")
            fields["data"].append(Entry(key, base64.b64encode(raw).decode()))
    return fields


def _node(tree: Tree) -> Value:
    if isinstance(tree, dict):
        return Mapping(tuple(Entry(key, _node(value)) for key, value in tree.items()))
    if isinstance(tree, list):
        return Sequence(tuple(_node(item) for item in tree))
    assert not isinstance(tree, Secret | Sealed)
    return tree
