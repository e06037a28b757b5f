"""The values of a conflict in the clear, amid ciphertext: for a person who asked to see them in their own work tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.yaml.matching import same
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from agent.yaml.nodes import Value


def uncovered(plain: Many[Mapping], sealed: Many[Mapping], other: Many[Mapping]) -> list[Mapping]:
    """`sealed`, which is `plain` encrypted, with plaintext where `other` has something else."""
    if len(plain) != len(other):
        return list(plain)
    return [_mapping(*versions) for versions in zip(plain, sealed, other, strict=True)]


def _mapping(plain: Mapping, sealed: Mapping, other: Mapping) -> Mapping:
    theirs = {entry.key: entry.value for entry in other.entries()}
    items: list[Entry | Comment] = []
    for item, hidden in zip(plain.items, sealed.items, strict=True):
        if isinstance(item, Comment) or isinstance(hidden, Comment):
            items.append(hidden)
        elif item.key in theirs:
            items.append(Entry(item.key, _value(item.value, hidden.value, theirs[item.key]), item.line))
        else:
            items.append(item)
    return Mapping(tuple(items))


def _value(plain: Value, sealed: Value, other: Value) -> Value:
    if same(plain, other):
        return sealed
    if isinstance(plain, Mapping) and isinstance(sealed, Mapping) and isinstance(other, Mapping):
        return _mapping(plain, sealed, other)
    if isinstance(plain, Sequence) and isinstance(sealed, Sequence) and isinstance(other, Sequence):
        return _sequence(plain, sealed, other)
    return plain


def _sequence(plain: Sequence, sealed: Sequence, other: Sequence) -> Sequence:
    if not len(plain.items) == len(sealed.items) == len(other.items):
        return plain
    items: list[Value | Comment] = []
    for item, hidden, theirs in zip(plain.items, sealed.items, other.items, strict=True):
        if isinstance(item, Comment) or isinstance(hidden, Comment) or isinstance(theirs, Comment):
            items.append(hidden)
        else:
            items.append(_value(item, hidden, theirs))
    return Sequence(tuple(items))
