"""A record's bytes, and how each holds the one before.

A line is canonical JSON (RFC 8259, ASCII, keys sorted, no spaces). `hash` is the SHA-256 of the line without `hash`, `prev` the `hash`
of the record before, `seq` counts from 1. A checkpoint also holds `signature`, by Ed25519 (RFC 8032), over the line without `hash`
and `signature`. Every text is escaped, so a terminal that shows a record obeys none of it.

A record has at most LONGEST bytes: a writer keeps to that, and a reader takes no more for a record. Its texts come
from Git, so they are cut, and lists of them end with how many are left out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from agent.values.errors import AuditError
from agent.values.ids import ObjectId
from agent.values.text import LONGEST as LONGEST_TEXT
from agent.values.text import MOST, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from agent.engine.ports import AuditEntry
    from agent.values.ids import Revision

Value: TypeAlias = "str | int | list[str] | dict[str, str | int]"
Content: TypeAlias = dict[str, Value]
"""A record's fields."""

START: Final = "0" * 64
"""What the first record holds as `prev`."""

LONGEST: Final = 64 * 1024
"""Bytes of a line, its newline aside."""

CHECKPOINT: Final = "checkpoint"
_SIGNED: Final = b"signet audit checkpoint v1\n"
_PLACING: Final = 512
"""Bytes that `link` adds: sequence number, two hashes, a signature."""
_FACT: Final = 1024
"""Characters of a fact."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record of a chain."""

    seq: int = 0
    hash: str = START


def _revision(revision: Revision) -> Content:
    found: Content = {
        "revision": {
            "commit": _text(revision.commit),
            "ref": _text(revision.ref),
            "author": _text(revision.author),
            "signature": "unverified",
        }
    }
    if revision.further:
        found["sources"] = _list([f"{name} {each.ref}@{each.commit}" for name, each in revision.further])
    if revision.submodules:
        found["submodules"] = _list([f"{each.path} {each.commit}" for each in revision.submodules])
    return found


def content(entry: AuditEntry, *, agent: str, time: str) -> Content:
    """The fields of an entry, of a size that fits. Raises AuditError for a fact that is neither text, number nor identity, such as a Secret."""
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
        fields |= _revision(entry.revision)
    if entry.object is not None:
        fields["object"] = _text(str(entry.object))
    if entry.files:
        fields["files"] = _list(entry.files)
    if entry.rendered_from:
        fields["renderedFrom"] = _text(entry.rendered_from)
    if entry.fields:
        fields["fields"] = _list(entry.fields)
    if entry.fingerprints:
        fields["fingerprints"] = _facts(entry.fingerprints)
    if entry.secrets:
        fields["secrets"] = _list(entry.secrets)
    if entry.result:
        fields["result"] = _text(entry.result)
    if entry.facts:
        fields["facts"] = _facts(entry.facts)
    return _fitting(fields)


def _fitting(fields: Content) -> Content:
    """Fields whose line has at most LONGEST bytes: the lists are halved until it has. Raises AuditError where that is not enough."""
    while len(canonical(fields)) > LONGEST - _PLACING:
        largest = max(fields, key=lambda name: len(canonical({name: fields[name]})))
        value = fields[largest]
        if isinstance(value, list) and len(value) > 2:
            fields[largest] = [*value[: len(value) // 2], "and more"]
        elif isinstance(value, dict) and len(value) > 1:
            fields[largest] = dict(list(value.items())[: len(value) // 2])
        else:
            raise AuditError("an audit record is larger than any that is read back", limit=LONGEST)
    return fields


def canonical(fields: Content) -> bytes:
    """The bytes that are hashed and signed."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def size(fields: Content) -> int:
    """About how many bytes a record of these fields has."""
    return len(canonical(fields)) + _PLACING


def link(fields: Content, after: Head, sign: Callable[[bytes], str] | None = None) -> tuple[bytes, Head]:
    """The line, without its newline, that follows `after`, and the new head. A checkpoint is signed by `sign` (hex).

    Raises AuditError for a line that would not be read back.
    """
    placed: Content = {**fields, "seq": after.seq + 1, "prev": after.hash}
    if sign is not None:
        placed["signature"] = sign(signed(placed))
    digest = hashlib.sha256(canonical(placed)).hexdigest()
    line = canonical({**placed, "hash": digest})
    if len(line) > LONGEST:
        raise AuditError("an audit record is larger than any that is read back", limit=LONGEST)
    return line, Head(after.seq + 1, digest)


def signed(fields: Content) -> bytes:
    """What a checkpoint's signature is over."""
    return _SIGNED + canonical({name: value for name, value in fields.items() if name not in {"hash", "signature"}})


def lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, each with its newline; of one that is too long for a record only its beginning, which is none either."""
    while line := file.readline(LONGEST + 2):
        if line.endswith(b"\n") or len(line) < LONGEST + 2:
            yield line
            continue
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST)
        yield line + b"\n" if rest else line


def read(line: bytes) -> Content | None:
    """The record of a line whose own hash fits; None for a line that is not as the agent wrote it."""
    if len(line) > LONGEST:
        return None
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
    some = islice(facts.items(), MOST + 1)
    return {_text(name): _number(fact) if type(fact) is int else _text(fact, _FACT) for name, fact in some}


def _number(fact: int) -> int | str:
    """A number of any length may be larger than a reader accepts."""
    return fact if abs(fact) < 2**63 else "a number of more than 64 bits"


def _list(texts: Sequence[object]) -> list[str]:
    """As `values.text.excerpts` cuts a list, which a longer one ends as too."""
    shown = [_text(text) for text in texts[: MOST + 1]]
    return shown if len(texts) <= len(shown) else [*shown[:-1], f"and {len(texts) - MOST} more"]


def _text(value: object, longest: int = LONGEST_TEXT) -> str:
    if isinstance(value, ObjectId):
        return excerpt(str(value), _FACT)
    if not isinstance(value, str):
        raise AuditError("a fact of an audit record is neither text nor number")
    return excerpt(value, longest)
