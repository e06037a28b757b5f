"""The `sops` entry of a file: who can open it, what is encrypted, and the MAC.

Both field orders are read (before and since sops 3.13); the alphabetical one is written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.sops.format.data import plain_map
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import KINDS, AgeKey, AzureKey, GcpKmsKey, HuaweiKey, KmsKey, PgpKey, TransitKey, kind_of
from agent.sops.format.selection import SELECTORS, Selection
from agent.values.dataclass import dataclass
from agent.values.errors import SopsFormatError
from agent.yaml import timestamps
from agent.yaml.nodes import Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.sops.format.data import Data
    from agent.sops.format.keys import WrappedKey
    from agent.sops.format.selection import Selector
    from agent.yaml.nodes import Value

ENTRY = "sops"
VERSION = "3.13.3"
"""Of the sops whose format is written."""

_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_VERSION = (
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    rf"(?:-(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
"""As semver.org has it, and a `v` before it."""
_NUMERIC_VERSION = rf"{_NUMBER}(?:\.{_NUMBER})?"
_MOST_GROUPS = 255
_FRACTION = r"\.[0-9]+"


@dataclass(frozen=True, slots=True)
class Metadata:
    """`lastmodified` is RFC 3339 to the second, as the MAC is bound to it; `mac` the encrypted MAC, empty where there is none."""

    data_key: WrappedDataKey
    selection: Selection
    lastmodified: str = ""
    mac: str = ""
    version: str = VERSION


def parse(node: Mapping, *, file: str) -> Metadata:
    """Read the entry. Raises SopsFormatError for what sops would refuse."""
    data = plain_map(node, file=file)
    found: list[Selector] = [name for name in SELECTORS if _text(data, name, file)]
    if len(found) > 1:
        raise SopsFormatError("more than one selector", hint="a file has one rule of what is encrypted", file=file)
    only_encrypted = _flag(data, "mac_only_encrypted", file)
    return Metadata(
        _data_key(data, file),
        Selection(found[0], _text(data, found[0], file), only_encrypted)
        if found
        else Selection(mac_only_encrypted=only_encrypted),
        _time(data, "lastmodified", file),
        _text(data, "mac", file),
        _version(data, file),
    )


def emit(metadata: Metadata) -> Mapping:
    """The entry's value as sops 3.13 writes it: alphabetical at every level, empty fields left out."""
    groups = metadata.data_key.groups
    fields: dict[str, Data] = {}
    if len(groups) == 1:
        fields |= {kind: entries for kind, entries in _group_fields(groups[0]).items() if entries}
    else:
        # Within a group, sops leaves out only what newer versions brought.
        always: dict[str, Data] = {"age": [], "hc_vault": []}
        grouped: list[Data] = [always | _group_fields(group) for group in groups]
        fields["key_groups"] = grouped
    if metadata.data_key.threshold:
        # Of one group too, where one was asked for.
        fields["shamir_threshold"] = metadata.data_key.threshold
    fields |= {"lastmodified": metadata.lastmodified, "mac": metadata.mac, "version": metadata.version}
    if metadata.selection.pattern:
        fields[metadata.selection.selector] = metadata.selection.pattern
    if metadata.selection.mac_only_encrypted:
        fields["mac_only_encrypted"] = True
    node = _node(fields)
    assert isinstance(node, Mapping)
    return node


def _data_key(data: dict[str, Data], file: str) -> WrappedDataKey:
    flat = _group(data, file)
    groups = (flat,) if flat else tuple(_group(group, file) for group in _entries(data, "key_groups", file))
    if not any(groups):
        raise SopsFormatError("no keys in the file's metadata", file=file)
    threshold = data.get("shamir_threshold", 0)
    if isinstance(threshold, str) and threshold.isdecimal() and threshold.isascii():
        threshold = int(threshold[:4])
    if not isinstance(threshold, int) or isinstance(threshold, bool) or not 0 <= threshold <= _MOST_GROUPS:
        raise _malformed("shamir_threshold", file)
    return WrappedDataKey(groups, threshold)


def _group(data: dict[str, Data], file: str) -> tuple[WrappedKey, ...]:
    return tuple(_key(kind, entry, file) for kind in KINDS for entry in _entries(data, kind, file))


def _group_fields(group: tuple[WrappedKey, ...]) -> dict[str, Data]:
    fields: dict[str, list[Data]] = {}
    for key in group:
        fields.setdefault(kind_of(key), []).append(_key_fields(key))
    return {**fields}


def _key(kind: str, entry: dict[str, Data], file: str) -> WrappedKey:  # noqa: PLR0911  # one per kind
    def text(name: str) -> str:
        return _text(entry, name, file)

    if kind == "age":
        return AgeKey(text("recipient"), text("enc"))
    created_at = _time(entry, "created_at", file)
    match kind:
        case "pgp":
            return PgpKey(text("fp"), created_at, text("enc"))
        case "hc_vault":
            return TransitKey(text("vault_address"), text("engine_path"), text("key_name"), created_at, text("enc"))
        case "kms":
            context = _context(entry, file)
            return KmsKey(text("arn"), text("role"), context, text("aws_profile"), created_at, text("enc"))
        case "gcp_kms":
            return GcpKmsKey(text("resource_id"), created_at, text("enc"))
        case "azure_kv":
            return AzureKey(text("vault_url"), text("name"), text("version"), created_at, text("enc"))
        case _:
            return HuaweiKey(text("key_id"), created_at, text("enc"))


def _context(entry: dict[str, Data], file: str) -> tuple[tuple[str, str], ...]:
    found = entry.get("context") or {}
    if not isinstance(found, dict):
        raise _malformed("kms.context", file)
    return tuple((name, _text(found, name, file)) for name in sorted(found))


def _key_fields(key: WrappedKey) -> dict[str, Data]:
    match key:
        case KmsKey():
            fields: dict[str, Data] = {"arn": key.arn, "aws_profile": key.aws_profile}
            if key.role:
                fields["role"] = key.role
            if key.context:
                fields["context"] = dict(key.context)
            return fields | {"created_at": key.created_at, "enc": key.enc}
        case _:
            return {name: getattr(key, name) for name in key.__match_args__}


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
        case None | False | "false" | "False" | "FALSE" | "f" | "F" | "0" | "" | 0:
            return False
        case True | "true" | "True" | "TRUE" | "t" | "T" | "1" | 1:
            return True
        case _:
            raise _malformed(name, file)


def _version(data: dict[str, Data], file: str) -> str:
    """A number, as YAML takes `version: 3.7`, gets the parts that sops wants. Text is what is there: half of a version is damage."""
    found = _text(data, "version", file)
    if found == VERSION:
        return found
    if isinstance(data.get("version"), str):
        if re.fullmatch(_VERSION, found):
            return found
    elif re.fullmatch(_NUMERIC_VERSION, found):
        return found + ".0" * (2 - found.count("."))
    raise _malformed("version", file)


def _time(data: dict[str, Data], name: str, file: str) -> str:
    found = timestamps.parse_rfc3339(_text(data, name, file))
    if found is None:
        raise _malformed(name, file)
    return re.sub(_FRACTION, "", found.text) if "." in found.text else found.text


def _malformed(name: str, file: str) -> SopsFormatError:
    return SopsFormatError("a field of the file's metadata is malformed", file=file, field=f"{ENTRY}.{name}")
