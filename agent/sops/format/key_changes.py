"""What becomes of a file's keys when they are to be others: who stays, who comes and who goes, group by group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format.groups import Recipients
from agent.sops.format.keys import AzureRecipient, name_of
from agent.values.dataclass import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.sops.format.keys import Recipient


@dataclass(frozen=True, slots=True)
class GroupChange:
    """One group, in the order in which sops shows it."""

    kept: tuple[Recipient, ...]
    added: tuple[Recipient, ...]
    removed: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """From what a file has to what it is to have. Thresholds are 0 where there is one group."""

    before: Recipients
    after: Recipients

    @property
    def groups(self) -> tuple[GroupChange, ...]:
        """Group by group, as many as the longer of the two has."""
        count = max(len(self.before.groups), len(self.after.groups))
        return tuple(_group(_at(self.before, number), _at(self.after, number)) for number in range(count))

    @property
    def thresholds(self) -> tuple[int, int]:
        return needed(self.before), needed(self.after)

    @property
    def any(self) -> bool:
        """Whether there is one at all; the order of keys is none."""
        old, new = self.thresholds
        return old != new or any(group.added or group.removed for group in self.groups)

    @property
    def gone(self) -> tuple[Recipient, ...]:
        """Who could open the file, or a part of its data key, and is nowhere in it any more."""
        left = {name_of(each) for group in self.after.groups for each in group}
        every = dict.fromkeys(each for group in self.before.groups for each in group)
        return tuple(each for each in every if name_of(each) not in left)


def needed(recipients: Recipients) -> int:
    """The threshold that the metadata has: 0 for one group."""
    return (recipients.threshold or len(recipients.groups)) if len(recipients.groups) > 1 else 0


def between(before: Recipients, after: Recipients) -> KeyChange:
    """A key of Azure that is wanted in whichever version is the one that the file has, if it has one."""
    known = {(each.vault_url, each.name): each for each in _azure(before)}

    def settled(recipient: Recipient) -> Recipient:
        if isinstance(recipient, AzureRecipient) and not recipient.version:
            return known.get((recipient.vault_url, recipient.name), recipient)
        return recipient

    return KeyChange(before, replace(after, groups=tuple(tuple(map(settled, group)) for group in after.groups)))


def changed(before: Recipients, *, add: Iterable[Recipient], remove: Iterable[Recipient]) -> Recipients:
    """`add` at the end of the first group, then `remove` out of all; a group may be left empty."""
    gone = {name_of(each) for each in remove}
    first, *others = before.groups or ((),)
    groups = ((*first, *add), *others)
    return Recipients(
        tuple(tuple(each for each in dict.fromkeys(group) if name_of(each) not in gone) for group in groups),
        before.threshold,
    )


def _group(before: tuple[Recipient, ...], after: tuple[Recipient, ...]) -> GroupChange:
    old, new = ({name_of(each) for each in group} for group in (before, after))
    return GroupChange(
        tuple(each for each in after if name_of(each) in old),
        tuple(each for each in after if name_of(each) not in old),
        tuple(each for each in before if name_of(each) not in new),
    )


def _at(recipients: Recipients, number: int) -> tuple[Recipient, ...]:
    return recipients.groups[number] if number < len(recipients.groups) else ()


def _azure(recipients: Recipients) -> Iterator[AzureRecipient]:
    yield from (each for group in recipients.groups for each in group if isinstance(each, AzureRecipient))
