"""Trees changed at random: what the laws are held against, and inputs that are well formed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.yaml.nodes import Comment, Entry, Mapping, Sequence, Timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence as Many
    from random import Random

    from agent.yaml.nodes import Value

_NEW: Final[tuple[Value, ...]] = (
    "new", 7, 2.5, -0.0, 1e300, True, None, Timestamp("2024-01-02T03:04:05.6Z"), -(1 << 63), (1 << 63) - 1, "", " ",
    " lead", "tail ", "b\nc\n", "\n", "\n\nx", "#h: x", "a: b", "- a", "yes", "null", "1_000", "0o7", "<<", "ENC[",
    "é", "\U0001f4a5", "\ufeff", "\x07", "\t", "\r\n", "\u2028", "\udcff", "it's", 'say "x"', "`", '"""', "\\", "\\n",
    "%", "*a", "&a", "!x", "x" * 200, Mapping(), Sequence(), Sequence(("q",)),
    Mapping((Entry("n", Sequence((Mapping((Entry("m", "v"),)),))),)),
)  # fmt: skip
_KEYS: Final = ("k", "sops", "a b", "", "<<", "#", "é", "x_unencrypted", "data", "yes", "1", "=", "k:", "[", "\n")
_COMMENTS: Final = (" c", "", " a: b", "\t", " ENC[AES256_GCM,data:QQ==,iv:QQ==,tag:QQ==,type:comment]", "#")


def changed(documents: Many[Mapping], chance: Random) -> list[Mapping]:
    """The documents with some values, keys and comments changed, added, taken out or moved."""
    found = [_changed(each, chance) for each in documents]
    return [each for each in found if isinstance(each, Mapping)]


def _changed(value: Value, chance: Random) -> Value:
    if not isinstance(value, Mapping | Sequence):
        return chance.choice(_NEW) if chance.random() < 0.15 else value
    items: list[Entry | Comment | Value] = []
    for item in value.items:
        if chance.random() < 0.05:
            continue
        if isinstance(item, Comment):
            items.append(Comment(chance.choice(_COMMENTS)) if chance.random() < 0.1 else item)
        elif isinstance(item, Entry):
            items.append(Entry(item.key, _changed(item.value, chance)))
        else:
            items.append(_changed(item, chance))
        if chance.random() < 0.07:
            items.append(_added(chance, keyed=isinstance(value, Mapping)))
    if chance.random() < 0.03:
        chance.shuffle(items)
    return _whole(value, items)


def _added(chance: Random, *, keyed: bool) -> Entry | Comment | Value:
    if chance.random() < 0.2:
        return Comment(chance.choice(_COMMENTS))
    new = chance.choice(_NEW)
    if not keyed:
        return new
    return Entry(chance.choice(_KEYS) if chance.random() < 0.3 else f"new{chance.getrandbits(40)}", new)


def _whole(value: Mapping | Sequence, items: Many[Entry | Comment | Value]) -> Value:
    if isinstance(value, Sequence):
        return Sequence(tuple(item for item in items if not isinstance(item, Entry)))
    # A key that stands twice would be refused, wherever it came from; Go tells keys apart by their text.
    entries: dict[object, Entry | Comment] = {}
    for item in items:
        if isinstance(item, Comment):
            entries[len(entries), "comment"] = item
        elif isinstance(item, Entry):
            entries[str(item.key)] = item
    return Mapping(tuple(entries.values()))
