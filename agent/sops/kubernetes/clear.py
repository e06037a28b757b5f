"""What of a manifest stands in the clear: the values of a Secret, and what the MAC of a SOPS file does not hold in its place.

A SOPS MAC is a hash over values, one behind the other. Of a clear value it holds neither the key nor the type nor where the value ends,
and of null, an empty text, map or list, a key and a document's end it holds nothing; an encrypted value is bound to its keys by its own tag.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from agent.sops.format import cipher
from agent.sops.kubernetes import meaning
from agent.sops.kubernetes.secrets import LAST_APPLIED
from agent.values.errors import ClearValuesError, SopsFormatError
from agent.values.secret import Sealed, Secret
from agent.values.tree import format_path, get, get_text, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.values.tree import Leaf, Object, Path, Tree
    from agent.yaml.nodes import Mapping

_READ_FIRST: Final = frozenset({"apiVersion", "kind", "metadata", "type"})
"""What a manifest has in the clear in any case: it says what the object is, and SOPS rules for Kubernetes leave it so."""
_UNWRITTEN: Final = ("DEFAULT",)
"""The section that every INI file has, also where nothing is in it."""
_TOKEN: Final = "kubernetes.io/service-account-token"
"""A type of Secret, whose token the cluster makes."""
_REFERENCE: Final = r"\A(?:vault|lease)://|\$\{(?:vault|lease)://"
FOREIGN: Final = re.compile(
    r"(?P<avp>\A<path:[^>]+>\Z|<path:[^<>\s#]+#[^<>]+>)"
    r"|\A(?P<bank>(?:>>vault:|vault:(?!//))[^\s#]+#\S+)\Z"
    r"|\$\{(?P<bank_inline>(?:>>)?vault:(?!//)[^\s#{}]+#[^\s{}]+)\}"
    r"|\A(?P<vals>ref\+(?:vault|openbao)://\S+)\Z"
)
"""References for argocd-vault-plugin, bank-vaults and vals, which are refused where they are to be applied."""
_COPY: Final = r'"(?:data|stringData)":\s*\{\s*"'
_NAMED: Final = 10
_LONGEST: Final = 80


def objects(tree: Tree) -> Iterator[Tree]:
    """What a document declares: itself, or the items of a List, and of Lists among them.

    An item without a kind has the one that its list is of, as to apimachinery: a Secret in a SecretList.
    """
    kind, items = get(tree, "kind"), get(tree, "items")
    if kind == "List" and items is None:
        return
    if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
        typed: Object = {"apiVersion": get(tree, "apiVersion"), "kind": kind.removesuffix("List")}
        for item in items:
            if isinstance(item, dict) and kind != "List" and item.get("kind") is None:
                yield from objects({**item, **typed})
            elif item is not None:
                yield from objects(item)
    else:
        yield tree


def plaintext(tree: Object) -> Iterator[str]:
    """The fields of a `v1/Secret` that hold a value for all to read.

    None of an empty one or of a service account token, which the cluster fills in; no reference to a store, of whatever tool; no ciphertext.
    """
    if (tree.get("apiVersion"), tree.get("kind")) != ("v1", "Secret") or tree.get("type") == _TOKEN:
        return
    for field in ("data", "stringData"):
        for path, leaf in walk(tree.get(field)):
            if not _hidden(leaf) and leaf is not None and leaf != "":
                yield format_path((field, *path))
    if re.search(_COPY, get_text(tree, "metadata", "annotations", LAST_APPLIED)):
        yield format_path(("metadata", "annotations", LAST_APPLIED))


def generated(tree: Tree) -> Iterator[str]:
    """The values that a kustomization writes out for a Secret to be made of. What it reads from files is in those."""
    generators = get(tree, "secretGenerator")
    for number, each in enumerate(generators if isinstance(generators, list) else ()):
        literals = get(each, "literals")
        for place, leaf in enumerate(literals if isinstance(literals, list) else ()):
            if isinstance(leaf, str) and not _hidden(leaf.partition("=")[2]):
                yield format_path(("secretGenerator", number, "literals", place))


def patches(tree: Tree) -> Iterator[tuple[Path, str, bool]]:
    """The patches that a kustomization writes out: where, the text, and whether the target is a Secret by what the kustomization says."""
    for field in ("patches", "patchesStrategicMerge", "patchesJson6902"):
        given = get(tree, field)
        for number, each in enumerate(given if isinstance(given, list) else ()):
            text = each if isinstance(each, str) else get(each, "patch")
            if isinstance(text, str) and "\n" in text:
                yield (field, number), text, get(each, "target", "kind") == "Secret"


def patched(patch: Tree, *, targeted: bool) -> bool:
    """Whether a patch gives a Secret values for all to read: a merge, or a list of operations."""
    if isinstance(patch, dict):
        return any(plaintext({"apiVersion": "v1", "kind": "Secret", **patch} if targeted else patch))
    return any(
        targeted
        and str(get(each, "path")).startswith(("/data", "/stringData"))
        and any(not _hidden(leaf) and leaf is not None and leaf != "" for _, leaf in walk(get(each, "value")))
        for each in (patch if isinstance(patch, list) else ())
    )


def unbound(tree: Object) -> Iterator[str]:
    """What of an object in a SOPS file could stand under another key, or nowhere, and the MAC would still fit.

    What says what a Kubernetes object is does not count.
    """
    is_manifest = "apiVersion" in tree and "kind" in tree
    for path, leaf in walk(tree, empty=True):
        is_known = (is_manifest and path[0] in _READ_FIRST) or (path == _UNWRITTEN and isinstance(leaf, dict))
        if not is_known and not _encrypted(leaf):
            yield format_path(path)


def unbound_of(documents: Iterable[Mapping], *, file: str) -> str:
    """What is `unbound` of encrypted documents, as text for people. One that has a key twice is refused by whom it is for."""
    found: list[Tree] = []
    for document in documents:
        with suppress(SopsFormatError):
            found += objects(meaning.tree(document, {}, file=file))
    return listed(field for each in found if isinstance(each, dict) for field in unbound(each))


def caution(fields: str, *, file: str, mac_only_encrypted: bool) -> ClearValuesError:
    """Of a file that has such fields."""
    if mac_only_encrypted:
        message = "the MAC does not cover clear-text values, so they can be changed unnoticed"
    else:
        message = "the MAC does not cover where clear-text values are, so they can be swapped unnoticed"
    return ClearValuesError(message, file=file, fields=fields)


def listed(names: Iterable[str]) -> str:
    """The first of many names, and how many more; empty for none."""
    given = iter(names)
    first = list(islice(given, _NAMED))
    more = sum(1 for _ in given)
    shown = ", ".join(name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…" for name in first)
    return f"{shown} and {more} more" if more else shown


def _hidden(leaf: Leaf) -> bool:
    if not isinstance(leaf, str):
        return _encrypted(leaf)
    return _encrypted(leaf) or re.search(_REFERENCE, leaf) is not None or FOREIGN.search(leaf) is not None


def _encrypted(leaf: Tree) -> bool:
    return isinstance(leaf, Sealed | Secret) or (isinstance(leaf, str) and cipher.parse(leaf) is not None)
