"""Two sides' metadata become one: recipients, the data key, what is encrypted.

A recipient that either side removed is out, and a data key that they know is not used again; nor is one that only one side has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.files.encrypt import newer
from agent.sops.format.groups import Recipients, WrappedDataKey
from agent.sops.format.key_changes import needed
from agent.sops.format.keys import kind_of, name_of, recipient_of
from agent.values.dataclass import dataclass, field
from agent.values.errors import MergeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.sops.format.keys import Recipient
    from agent.sops.format.metadata import Metadata
    from agent.sops.format.selection import Selection
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class Side:
    """A version of the file: its metadata, and its data key."""

    metadata: Metadata
    data_key: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class MergedKeys:
    """What the merged file has. `data_key` None: a new one; `before` are the entries that wrap the one that stays."""

    recipients: Recipients
    selection: Selection
    version: str
    data_key: Secret | None = field(repr=False)
    before: WrappedDataKey | None


def merge(base: Side | None, ours: Side, theirs: Side, *, file: str) -> MergedKeys:
    """Raises MergeError where both sides changed groups, threshold or selection, each in its own way."""
    recipients = _recipients(base, ours, theirs, file)
    selection = _selection(base, ours, theirs, file)
    version = newer(ours.metadata.version, theirs.metadata.version)
    if ours.data_key != theirs.data_key:
        # Of a key that one side alone brought, it is unknown who else has it; a rotation is not undone by another one.
        return MergedKeys(recipients, selection, version, None, None)
    holders = [side for side in (theirs, ours, base) if side is not None and side.data_key == ours.data_key]
    left = {_name(each) for group in recipients.groups for each in group}
    if any(_name(recipient_of(key)) not in left for side in holders for key in side.metadata.data_key.keys):
        return MergedKeys(recipients, selection, version, None, None)
    return MergedKeys(recipients, selection, version, ours.data_key, _before(recipients, holders))


def _before(recipients: Recipients, holders: list[Side]) -> WrappedDataKey | None:
    for side in reversed(holders):
        if side.metadata.data_key.recipients == recipients:
            return side.metadata.data_key
    if len(recipients.groups) == 1:
        return WrappedDataKey.one_group(*(key for side in holders for key in side.metadata.data_key.keys))
    return None


def _recipients(base: Side | None, ours: Side, theirs: Side, file: str) -> Recipients:
    mine, other = ours.metadata.data_key.recipients, theirs.metadata.data_key.recipients
    old = base.metadata.data_key.recipients if base is not None else None
    if _same(mine, other) or (old is not None and _same(old, other)):
        return mine
    if old is not None and _same(old, mine):
        return other
    if old is None:
        old = Recipients(((),) * len(mine.groups), mine.threshold)
        if needed(mine) != needed(other):
            raise _apart(file)
    if not len(old.groups) == len(mine.groups) == len(other.groups):
        raise _apart(file)
    groups = tuple(tuple(_group(*versions)) for versions in zip(old.groups, mine.groups, other.groups, strict=True))
    if not all(groups):
        raise MergeError("no recipient of either side is left", hint="merge it by hand", file=file)
    thresholds = {needed(mine), needed(other)} - {needed(old)}
    if len(thresholds) > 1:
        raise _apart(file)
    return Recipients(groups, next(iter(thresholds), needed(old)))


def _apart(file: str) -> MergeError:
    return MergeError(
        "both sides changed the key groups, each in its own way",
        hint="take one side, and change its groups with agent updatekeys or agent groups",
        file=file,
    )


def _group(
    base: tuple[Recipient, ...], ours: tuple[Recipient, ...], theirs: tuple[Recipient, ...]
) -> Iterator[Recipient]:
    old, mine, other = ({_name(each) for each in group} for group in (base, ours, theirs))
    gone = (old - mine) | (old - other)
    yield from (each for each in ours if _name(each) not in gone)
    yield from (each for each in theirs if _name(each) not in gone | mine)


def _same(one: Recipients, other: Recipients) -> bool:
    """Whether groups hold the same, in whatever order."""
    return needed(one) == needed(other) and [set(map(_name, group)) for group in one.groups] == [
        set(map(_name, group)) for group in other.groups
    ]


def _name(recipient: Recipient) -> tuple[str, str]:
    return kind_of(recipient), name_of(recipient)


def _selection(base: Side | None, ours: Side, theirs: Side, file: str) -> Selection:
    mine, other = ours.metadata.selection, theirs.metadata.selection
    old = base.metadata.selection if base is not None else None
    if mine in (old, other):
        return other
    if other == old:
        return mine
    raise MergeError(
        "both sides changed what is encrypted, each in its own way",
        hint="take one side, and change its values with agent edit",
        file=file,
    )
