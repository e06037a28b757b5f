"""The `sops` entry of a file: who can open it, what is encrypted, and the MAC.

Both field orders are read (before and since sops 3.13); the alphabetical one is written. Keys of clouds' KMSes are kept as they are.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.sops.data import plain_map
from agent.sops.keys import AgeKey, OtherKey, PgpKey, TransitKey, kind_of
from agent.sops.selection import SELECTORS, Selection
from agent.values.errors import SopsFormatError
from agent.yaml.nodes import Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.sops.data import Data
    from agent.sops.keys import WrappedKey
    from agent.sops.selection import Selector
    from agent.yaml.nodes import Value

ENTRY = "sops"
VERSION = "3.13.3"
"""Of the sops whose format is written."""

_KINDS = ("kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age")
"""In the order in which sops lists, and so tries, the keys of a file."""
_NAMES = {"kms": ("arn",), "gcp_kms": ("resource_id",), "hckms": ("key_id",), "azure_kv": ("vault_url", "name")}
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Metadata:
    """`lastmodified` is RFC 3339 to the second, as the MAC is bound to it; `mac` the encrypted MAC, empty where there is none."""

    keys: tuple[WrappedKey, ...]
    selection: Selection
    lastmodified: str = ""
    mac: str = ""
    version: str = VERSION


def parse(node: Mapping, *, file: str) -> Metadata:
    """Read the entry. Raises SopsFormatError for what sops would refuse, and for key groups."""
    data = plain_map(node, file=file)
    version = _text(data, "version", file)
    if not _VERSION.search(version):
        raise _malformed("version", file)
    found: list[Selector] = [name for name in SELECTORS if _text(data, name, file)]
    if len(found) > 1:
        raise SopsFormatError("more than one selector", hint="a file has one rule of what is encrypted", file=file)
    only_encrypted = _flag(data, "mac_only_encrypted", file)
    return Metadata(
        _keys(data, file),
        Selection(found[0], _text(data, found[0], file), only_encrypted)
        if found
        else Selection(mac_only_encrypted=only_encrypted),
        _time(data, "lastmodified", file),
        _text(data, "mac", file),
        version,
    )


def emit(metadata: Metadata) -> Mapping:
    """The entry's value as sops 3.13 writes it: alphabetical at every level, empty fields left out."""
    fields: dict[str, Data] = {}
    for kind in _KINDS:
        entries: list[Data] = [_key_fields(key) for key in metadata.keys if kind_of(key) == kind]
        if entries:
            fields[kind] = entries
    fields |= {"lastmodified": metadata.lastmodified, "mac": metadata.mac, "version": metadata.version}
    fields[metadata.selection.selector] = metadata.selection.pattern
    if metadata.selection.mac_only_encrypted:
        fields["mac_only_encrypted"] = True
    node = _node(fields)
    assert isinstance(node, Mapping)
    return node


def _keys(data: dict[str, Data], file: str) -> tuple[WrappedKey, ...]:
    groups = _entries(data, "key_groups", file)
    if not any(data.get(kind) for kind in _KINDS) and groups:
        if len(groups) > 1:
            raise SopsFormatError(
                "the data key is split among key groups, which is not supported",
                hint="encrypt with one group of keys",
                file=file,
            )
        data = groups[0]
    keys = tuple(_key(kind, entry, file) for kind in _KINDS for entry in _entries(data, kind, file))
    if not keys:
        raise SopsFormatError("no keys in the file's metadata", file=file)
    return keys


def _key(kind: str, entry: dict[str, Data], file: str) -> WrappedKey:
    if kind == "age":
        return AgeKey(_text(entry, "recipient", file), _text(entry, "enc", file))
    created_at = _time(entry, "created_at", file)
    if kind == "pgp":
        return PgpKey(_text(entry, "fp", file), created_at, _text(entry, "enc", file))
    if kind == "hc_vault":
        return TransitKey(
            _text(entry, "vault_address", file),
            _text(entry, "engine_path", file),
            _text(entry, "key_name", file),
            created_at,
            _text(entry, "enc", file),
        )
    name = "/".join(_text(entry, part, file) for part in _NAMES[kind])
    return OtherKey(kind, name, json.dumps(entry, sort_keys=True))


def _key_fields(key: WrappedKey) -> Data:
    match key:
        case AgeKey():
            return {"recipient": key.recipient, "enc": key.enc}
        case PgpKey():
            return {"fp": key.fp, "created_at": key.created_at, "enc": key.enc}
        case TransitKey():
            return {
                "vault_address": key.vault_address,
                "engine_path": key.engine_path,
                "key_name": key.key_name,
                "created_at": key.created_at,
                "enc": key.enc,
            }
        case OtherKey():
            entry: Data = json.loads(key.text)
            return entry


def _node(data: Data) -> Value:
    if isinstance(data, dict):
        return Mapping(tuple(Entry(name, _node(data[name])) for name in sorted(data)))
    if isinstance(data, list):
        return Sequence(tuple(_node(item) for item in data))
    return data


def _entries(data: dict[str, Data], name: str, file: str) -> list[dict[str, Data]]:
    found = data.get(name) or []
    if not isinstance(found, list):
        raise _malformed(name, file)
    return list(_mappings(found, name, file))


def _mappings(items: Iterable[Data], name: str, file: str) -> Iterable[dict[str, Data]]:
    for item in items:
        if not isinstance(item, dict):
            raise _malformed(name, file)
        yield item


def _text(data: dict[str, Data], name: str, file: str) -> str:
    found = data.get(name)
    if found is None:
        return ""
    if isinstance(found, dict | list):
        raise _malformed(name, file)
    return found if isinstance(found, str) else str(found)


def _flag(data: dict[str, Data], name: str, file: str) -> bool:
    match data.get(name):
        case None | False | "false" | "":
            return False
        case True | "true":
            return True
        case _:
            raise _malformed(name, file)


def _time(data: dict[str, Data], name: str, file: str) -> str:
    found = _TIME.fullmatch(_text(data, name, file))
    if found is None:
        raise _malformed(name, file)
    second, zone = found.groups()
    return second + ("Z" if zone in ("+00:00", "-00:00") else zone)


def _malformed(name: str, file: str) -> SopsFormatError:
    return SopsFormatError("a field of the file's metadata is malformed", file=file, field=f"{ENTRY}.{name}")
