"""A record's bytes, and how each holds the one before.

A line is canonical JSON (RFC 8259, ASCII, keys sorted, no spaces). `hash` is the SHA-256 of the line without `hash`, `prev` the `hash`
of the record before, `seq` counts from 1. A checkpoint also holds `signature`, by Ed25519 (RFC 8032), over the line without `hash`
and `signature`. Every text is escaped, so a terminal that shows a record obeys none of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from agent.values.errors import AuditError
from agent.values.ids import ObjectId
from agent.values.text import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.reconcile.ports import AuditEntry

Value: TypeAlias = "str | int | list[str] | dict[str, str | int]"
Content: TypeAlias = dict[str, Value]
"""A record's fields."""

START: Final = "0" * 64
"""What the first record holds as `prev`."""

CHECKPOINT: Final = "checkpoint"
_SIGNED: Final = b"signet audit checkpoint v1\n"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record of a chain."""

    seq: int = 0
    hash: str = START


def content(entry: AuditEntry, *, agent: str, time: str) -> Content:
    """The fields of an entry. Raises AuditError for a fact that is neither text, number nor identity, such as a Secret."""
    fields: Content = {
        "agent": _text(agent),
        "time": _text(time),
        "phase": entry.phase,
        "run": _text(entry.run),
        "cause": _text(entry.cause),
        "application": _text(str(entry.application)),
        "uid": _text(entry.application.uid),
        "action": _text(entry.action),
    }
    if entry.revision is not None:
        fields["revision"] = {
            "commit": _text(entry.revision.commit),
            "ref": _text(entry.revision.ref),
            "author": _text(entry.revision.author),
            "signature": "unverified",
        }
    if entry.object is not None:
        fields["object"] = _text(str(entry.object))
    if entry.fields:
        fields["fields"] = [_text(field) for field in entry.fields]
    if entry.fingerprints:
        fields["fingerprints"] = _facts(entry.fingerprints)
    if entry.secrets:
        fields["secrets"] = [_text(label) for label in entry.secrets]
    if entry.result:
        fields["result"] = _text(entry.result)
    if entry.facts:
        fields["facts"] = _facts(entry.facts)
    return fields


def canonical(fields: Content) -> bytes:
    """The bytes that are hashed and signed."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def link(fields: Content, after: Head, sign: Callable[[bytes], str] | None = None) -> tuple[bytes, Head]:
    """The line, without its newline, that follows `after`, and the new head. A checkpoint is signed by `sign` (hex)."""
    placed: Content = {**fields, "seq": after.seq + 1, "prev": after.hash}
    if sign is not None:
        placed["signature"] = sign(signed(placed))
    digest = hashlib.sha256(canonical(placed)).hexdigest()
    return canonical({**placed, "hash": digest}), Head(after.seq + 1, digest)


def signed(fields: Content) -> bytes:
    """What a checkpoint's signature is over."""
    return _SIGNED + canonical({name: value for name, value in fields.items() if name not in {"hash", "signature"}})


def read(line: bytes) -> Content | None:
    """The record of a line whose own hash fits; None for a line that is not as the agent wrote it."""
    try:
        fields: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    record = cast("Content", fields)
    if (
        not all(_is_value(value) for value in record.values())
        or not (_is_count(record.get("seq")) and _is_digest(record.get("prev")) and _is_digest(record.get("hash")))
        or line != canonical(record)
    ):
        return None
    body: Content = {name: value for name, value in record.items() if name != "hash"}
    return record if hashlib.sha256(canonical(body)).hexdigest() == record["hash"] else None


def head(record: Content) -> Head:
    """The place of a record that `read` gave."""
    return Head(int(cast("int", record["seq"])), str(record["hash"]))


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in cast("list[object]", value))
    if isinstance(value, dict):
        return all(isinstance(item, str | int) for item in cast("dict[str, object]", value).values())
    return isinstance(value, str | int)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64


def _facts(facts: Mapping[str, object]) -> dict[str, str | int]:
    return {_text(name): fact if type(fact) is int else _text(fact) for name, fact in facts.items()}


def _text(value: object) -> str:
    if isinstance(value, ObjectId):
        return escape(str(value))
    if not isinstance(value, str):
        raise AuditError("a fact of an audit record is neither text nor number")
    return escape(value)
