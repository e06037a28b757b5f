"""How a record is stored: as text shards, each under a MAC with the Application's uid, the shard's name and a counter.

So a shard of another Application, an edited one and one older than the head says are all refused.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from agent.engine.guard import Guard
from agent.engine.record import ApplicationRecord, ObjectRecord, QuestionRecord, Runs, Trust
from agent.manifests.suffixes import Standing
from agent.values.errors import AuditError, LimitError
from agent.values.ids import ObjectId, Revision, Submodule
from agent.values.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.values.fingerprint import Fingerprinter

HEAD: Final = "head"
_OBJECTS_PER_SHARD = 2500
_MOST_BYTES = 64 * 1024 * 1024
_COUNTER = re.compile(r"[0-9]{1,18}")


class RecordDamagedError(AuditError):
    """A stored record that does not verify: its objects are applied again."""


def _revision_to_json(revision: Revision | None) -> list[object] | None:
    if revision is None:
        return None
    own: list[object] = [revision.commit, revision.ref, cut(revision.author), revision.authored_at]
    further = [[name, _revision_to_json(each)] for name, each in revision.further]
    modules = [[each.path, each.commit] for each in revision.modules]
    return [*own, further, modules] if modules else [*own, further] if further else own


def _revision_from_json(raw: Any) -> Revision | None:
    if not isinstance(raw, list):
        return None
    commit, ref, author, authored_at, *more = cast("list[Any]", raw)
    given = ((str(name), _revision_from_json(each)) for name, each in (more[0] if more else ()))
    further = tuple((name, each) for name, each in given if each is not None)
    modules = tuple(Submodule(str(path), "", str(pinned)) for path, pinned in (more[1] if len(more) > 1 else ()))
    return Revision(str(commit), str(ref), str(author), int(authored_at), further=further, modules=modules)


def _object_to_json(record: ObjectRecord) -> dict[str, object]:
    full: dict[str, object] = {
        "v": record.api_version,
        "u": record.uid,
        "r": record.desired_digest,
        "a": record.applied,
        "p": record.owned_digest,
        "t": record.roll,
        "s": record.holds_secret,
        "w": dict(record.stores),
        "f": list(record.files),
        "l": dict(record.left),
        "c": record.content,
        "e": record.ended,
        "m": list(record.managers),
        "i": list(record.pointers),
        "k": record.stood,
        "g": dict(record.made),
        "o": record.token,
    }
    return {key: value for key, value in full.items() if value}


def _object_from_json(data: dict[str, object]) -> ObjectRecord:
    def text(key: str) -> str:
        return str(data.get(key, ""))

    stores: dict[str, int] = data.get("w", {})  # pyright: ignore[reportAssignmentType]
    files: list[str] = data.get("f", [])  # pyright: ignore[reportAssignmentType]
    left: dict[str, str] = data.get("l", {})  # pyright: ignore[reportAssignmentType]
    made: dict[str, int] = data.get("g", {})  # pyright: ignore[reportAssignmentType]
    managers: list[str] = data.get("m", [])  # pyright: ignore[reportAssignmentType]
    pointers: list[str] = data.get("i", [])  # pyright: ignore[reportAssignmentType]
    first, digests = (text("v"), text("u")), (text("r"), text("a"), text("p"), text("t"))
    given = (bool(data.get("s")), stores, tuple(files), left, text("c"), text("e"), tuple(managers), tuple(pointers))
    return ObjectRecord(*first, *digests, *given, stood=bool(data.get("k")), made=made, token=text("o"))


def _runs_to_json(ran: Mapping[ObjectId, Runs]) -> list[list[object]]:
    return [[key.key, runs.namespace, [*map(list, runs.endings.items())]] for key, runs in ran.items()]


def _runs_from_json(raw: object) -> dict[ObjectId, Runs]:
    found: list[tuple[str, str, list[tuple[str, str]]]] = raw or []  # pyright: ignore[reportAssignmentType]
    return {ObjectId.from_key(key): Runs(namespace, dict(endings)) for key, namespace, endings in found}


def _standing_from_json(raw: object) -> dict[str, Standing]:
    found: dict[str, tuple[str, str, bool]] = raw or {}  # pyright: ignore[reportAssignmentType]
    return {key: Standing(str(suffix), str(content), bool(rolls)) for key, (suffix, content, rolls) in found.items()}


def _trust_to_json(trust: Trust) -> list[object]:
    return [trust.repository, trust.accepted, trust.commit, trust.seen]


def _trust_from_json(raw: object) -> Trust | None:
    return Trust(str(raw[0]), str(raw[1]), str(raw[2]), int(raw[3])) if isinstance(raw, list) else None  # pyright: ignore[reportUnknownArgumentType]


def _questions_from_json(raw: object) -> QuestionRecord | None:
    if not isinstance(raw, list):
        return None
    failed, passed, confirmed = raw  # pyright: ignore[reportUnknownVariableType]
    return QuestionRecord(tuple(map(str, failed)), str(passed), int(confirmed))  # pyright: ignore[reportUnknownArgumentType]


@dataclass(frozen=True, slots=True)
class Codec:
    """Writes and reads shards for one Application uid. `mac` fingerprints for the purpose `record`."""

    mac: Fingerprinter
    application: str

    def encode(self, record: ApplicationRecord, stored: Mapping[str, str]) -> dict[str, str]:
        """The shards that differ from `stored` (what `load` gave or the last `encode` made); an empty text means: remove."""
        bodies = _bodies(record)
        counters = _counters(stored.get(HEAD, ""))
        counter = counters.get(HEAD, 0) + 1
        changed: dict[str, str] = {}
        known: dict[str, int] = {}
        for name, body in bodies.items():
            old = stored.get(name, "")
            if old and name in counters and self._seal(name, counters[name], body) == old:
                known[name] = counters[name]
            else:
                known[name] = counter
                changed[name] = self._seal(name, counter, body)
        changed.update(dict.fromkeys(set(stored) - set(bodies) - {HEAD}, ""))
        meta: dict[str, object] = {
            "counter": counter,
            "shards": known,
            "generation": record.generation,
            "verified": dict(record.verified),
            "revision": _revision_to_json(record.revision),
            "applying": _revision_to_json(record.applying),
            "epoch": record.epoch,
            "holder": record.holder,
            **({"noted": True} if record.noted else {}),
        }
        # absent where there is nothing to say, as in the earlier records
        meta |= {"ran": _runs_to_json(record.ran)} if record.ran else {}
        meta |= {name: text for name, text in (("rerun", record.rerun), ("asked", record.asked)) if text}
        meta |= {"guard": guard} if (guard := record.guard.to_json()) else {}
        standing = {key: [each.suffix, each.content, each.rolls] for key, each in record.standing.items()}
        meta |= {"standing": standing} if standing else {}
        trust = record.trust
        meta |= {"trust": _trust_to_json(trust)} if trust else {}
        meta |= {"trusts": [*map(_trust_to_json, record.trusts)]} if record.trusts else {}
        meta |= (
            {"questions": [[*questions.failed], questions.passed, questions.confirmed]}
            if (questions := record.questions)
            else {}
        )
        head_now = _pack(meta)
        before = _unpack(stored[HEAD].split(".", 3)[3]) if stored.get(HEAD) else {}
        if changed or {**before, "counter": 0} != {**_unpack(head_now), "counter": 0}:
            changed[HEAD] = self._seal(HEAD, counter, head_now)
        return changed

    def decode(self, shards: Mapping[str, str]) -> ApplicationRecord:
        """The record of stored shards; an empty one where there are none. Raises RecordDamagedError."""
        return _decode(shards, self._open)

    def _seal(self, name: str, counter: int, body: str) -> str:
        mac = self.mac.text(self.application, name, str(counter), body)
        return f"1.{counter}.{mac}.{body}"

    def _open(self, name: str, text: str) -> tuple[int, str]:
        counter, mac, body = _split(name, text)
        if not hmac.compare_digest(mac, self.mac.text(self.application, name, str(counter), body)):
            raise RecordDamagedError("a stored record does not verify", shard=name)
        return counter, body


def unverified(shards: Mapping[str, str]) -> ApplicationRecord:
    """What stored shards say, for people who have no key to verify them: nothing may rely on it. Raises RecordDamagedError.

    Anything may stand there, since nothing was verified.
    """

    def opened(name: str, text: str) -> tuple[int, str]:
        counter, _, body = _split(name, text)
        return counter, body

    try:
        return _decode(shards, opened)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, zlib.error):
        raise RecordDamagedError("a stored record is not readable") from None


def _split(name: str, text: str) -> tuple[int, str, str]:
    """The counter, MAC and body of a shard."""
    version, _, rest = text.partition(".")
    parts = rest.split(".", 2)
    if version != "1" or len(parts) != 3 or not _COUNTER.fullmatch(parts[0]) or not parts[1].isascii():
        raise RecordDamagedError("a stored record is not readable", shard=name)
    return int(parts[0]), parts[1], parts[2]


def _decode(shards: Mapping[str, str], opened: Callable[[str, str], tuple[int, str]]) -> ApplicationRecord:
    if not shards:
        return ApplicationRecord()
    counter, body = opened(HEAD, shards.get(HEAD, ""))
    meta = _unpack(body)
    if meta.get("counter") != counter:
        raise RecordDamagedError("a stored record does not verify", shard=HEAD)
    objects: dict[ObjectId, ObjectRecord] = {}
    for name, expected in _counters(shards[HEAD]).items():
        if name == HEAD:
            continue
        found, part = opened(name, shards.get(name, ""))
        # a newer one is of a writer that was stopped before it wrote the head
        if found < expected:
            raise RecordDamagedError("a stored record is older than its head", shard=name)
        for key, value in _unpack(part).items():
            objects[ObjectId.from_key(key)] = _object_from_json(value)  # pyright: ignore[reportArgumentType]
    verified: dict[str, str] = meta.get("verified", {})  # pyright: ignore[reportAssignmentType]
    guard: dict[str, object] = meta.get("guard", {})  # pyright: ignore[reportAssignmentType]
    return ApplicationRecord(
        _revision_from_json(meta.get("revision")),
        int(str(meta.get("generation", 0))),
        objects,
        verified,
        int(str(meta.get("epoch", 0))),
        str(meta.get("holder", "")),
        _revision_from_json(meta.get("applying")),
        bool(meta.get("noted")),
        _runs_from_json(meta.get("ran")),
        str(meta.get("rerun", "")),
        Guard.from_json(guard),
        _standing_from_json(meta.get("standing")),
        _trust_from_json(meta.get("trust")),
        str(meta.get("asked", "")),
        _questions_from_json(meta.get("questions")),
        tuple(filter(None, map(_trust_from_json, cast("list[object]", meta.get("trusts", []))))),
    )


def _bodies(record: ApplicationRecord) -> dict[str, str]:
    count = max(1, -(-len(record.objects) // _OBJECTS_PER_SHARD))
    split: list[dict[str, object]] = [{} for _ in range(count)]
    for key in sorted(record.objects):
        split[zlib.crc32(key.key.encode()) % count][key.key] = _object_to_json(record.objects[key])
    return {f"objects-{index}": _pack(part) for index, part in enumerate(split)}


def _counters(head: str) -> dict[str, int]:
    if not head:
        return {}
    meta = _unpack(head.split(".", 3)[3])
    shards: dict[str, int] = meta.get("shards", {})  # pyright: ignore[reportAssignmentType]
    return {**shards, HEAD: int(str(meta["counter"]))}


def _pack(value: Mapping[str, object]) -> str:
    """Raises LimitError for what `_unpack` would not read back."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    if len(text) > _MOST_BYTES:
        raise LimitError(
            "a shard of the record is too large to be read back", hint="split the Application", limit=_MOST_BYTES
        )
    return base64.b64encode(zlib.compress(text, 6)).decode()


def _unpack(body: str) -> dict[str, object]:
    decoder = zlib.decompressobj()
    text = decoder.decompress(base64.b64decode(body), _MOST_BYTES)
    if decoder.unconsumed_tail:
        raise RecordDamagedError("a stored record is larger than any that the agent writes")
    value: dict[str, object] = json.loads(text)
    return value
