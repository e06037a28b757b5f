"""A file's data key as it is wrapped: for each recipient of the one group, or split among several groups.

With one group any key opens the file. With more, the data key is shared out by Shamir's scheme, a part to a group, and `threshold`
groups must each be opened by one of their keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format import cipher
from agent.sops.format.keys import DEFAULT_ORDER, kind_of, recipient_of, short_name_of
from agent.values.dataclass import dataclass
from agent.values.errors import AgentError, DataKeyError, NoMasterKeyError
from agent.values.text import excerpts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence

    from agent.sops.format.keys import MasterKeys, Recipient, WrappedKey
    from agent.values.secret import Secret


_REASON = 1024
"""Characters of why one key does not open."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom a data key is for, group by group. `threshold` is how many groups are needed; 0 is all of them."""

    groups: tuple[tuple[Recipient, ...], ...] = ()
    threshold: int = 0

    @classmethod
    def one_group(cls, *recipients: Recipient) -> Recipients:
        """Any of these; none of them is no group."""
        return cls((tuple(dict.fromkeys(recipients)),)) if recipients else cls()

    @property
    def all(self) -> tuple[Recipient, ...]:
        """Those of all groups."""
        return tuple(each for group in self.groups for each in group)


@dataclass(frozen=True, slots=True)
class WrappedDataKey:
    """What the metadata has of the data key: its groups of keys and the threshold, 0 where it has none."""

    groups: tuple[tuple[WrappedKey, ...], ...]
    threshold: int = 0

    @classmethod
    def one_group(cls, *keys: WrappedKey) -> WrappedDataKey:
        return cls((keys,))

    @property
    def keys(self) -> tuple[WrappedKey, ...]:
        """The keys of all groups."""
        return tuple(key for group in self.groups for key in group)

    @property
    def recipients(self) -> Recipients:
        return Recipients(tuple(tuple(recipient_of(key) for key in group) for group in self.groups), self.threshold)

    @property
    def needed(self) -> int:
        """How many groups have to be opened."""
        return min(self.threshold or len(self.groups), len(self.groups)) if len(self.groups) > 1 else 1


def in_order(keys: Sequence[WrappedKey], order: Sequence[str]) -> list[WrappedKey]:
    """The keys as they are tried: by the place of their kind in `order`, then as the file has them."""
    return sorted(keys, key=lambda key: order.index(kind_of(key)) if kind_of(key) in order else len(order))


def is_known(wrapped: WrappedDataKey, opened: Collection[WrappedKey]) -> bool:
    """Whether `unwrap_data_key` would have to ask for nothing."""
    return sum(any(key in opened for key in group) for group in wrapped.groups) >= wrapped.needed


def unwrap_data_key(
    wrapped: WrappedDataKey,
    master_keys: MasterKeys,
    *,
    file: str,
    order: Sequence[str] = DEFAULT_ORDER,
    opened: MutableMapping[WrappedKey, Secret] | None = None,
) -> Secret:
    """The data key, by the first key of each group that opens, of as many groups as are needed.

    `opened` keeps what keys gave, so that files which share a data key ask for it once. Raises DataKeyError, whose fact `keys` has
    every key and why it did not open; where one failed only for now, its transient error.
    """
    parts = _parts(wrapped, master_keys, file, order, {} if opened is None else opened)
    return parts[0] if len(wrapped.groups) == 1 else cipher.join_data_key(parts)


def check_openable(wrapped: WrappedDataKey, master_keys: MasterKeys, *, file: str) -> None:
    """As `unwrap_data_key`, for keys that only say which of the wrapped keys they would open. Raises DataKeyError."""
    _ = _parts(wrapped, master_keys, file, DEFAULT_ORDER, {})


def _parts(
    wrapped: WrappedDataKey,
    master_keys: MasterKeys,
    file: str,
    order: Sequence[str],
    opened: MutableMapping[WrappedKey, Secret],
) -> list[Secret]:
    """What the groups gave, of as many as are needed."""
    parts: list[Secret] = []
    failed: dict[WrappedKey, AgentError] = {}
    for group in sorted(wrapped.groups, key=lambda group: not any(key in opened for key in group)):
        if len(parts) < wrapped.needed and (part := _part(group, master_keys, order, opened, failed)) is not None:
            parts.append(part)
    if len(parts) == wrapped.needed:
        return parts
    for error in failed.values():
        if error.transient:
            raise error.with_facts(file=file) from None
    reasons = "; ".join(excerpts(_reasons(wrapped, failed, order), _REASON))
    if len(wrapped.groups) == 1:
        raise DataKeyError(
            "no key opens the data key",
            hint="use the private key of one of its recipients, or have it encrypted for yours: agent updatekeys, by someone who opens it",
            file=file,
            keys=reasons,
        )
    raise DataKeyError(
        "too few key groups open the data key",
        hint="one private key of each required group is needed; the reason is shown after each key",
        file=file,
        needed=wrapped.needed,
        opened=len(parts),
        keys=reasons,
    )


def _part(
    group: Sequence[WrappedKey],
    master_keys: MasterKeys,
    order: Sequence[str],
    opened: MutableMapping[WrappedKey, Secret],
    failed: MutableMapping[WrappedKey, AgentError],
) -> Secret | None:
    for key in group:
        if key in opened:
            return opened[key]
    for key in in_order(group, order):
        try:
            opened[key] = master_keys.unwrap(key)
        except AgentError as error:
            failed[key] = error
        else:
            return opened[key]
    return None


def _reasons(wrapped: WrappedDataKey, failed: Mapping[WrappedKey, AgentError], order: Sequence[str]) -> Iterator[str]:
    for number, group in enumerate(wrapped.groups, 1):
        for key in in_order(group, order):
            if key in failed:
                of_group = f"group {number}, " if len(wrapped.groups) > 1 else ""
                yield f"{of_group}{kind_of(key)} {short_name_of(key)}: {failed[key]}"


def wrap_data_key(
    recipients: Recipients,
    data_key: Secret,
    master_keys: MasterKeys,
    *,
    created_at: str,
    random_bytes: Callable[[int], bytes],
    before: WrappedDataKey | None = None,
) -> WrappedDataKey:
    """The data key for every recipient, once in each group.

    `before` is the same data key as it was wrapped until now: with one group then and now, a recipient that stays keeps the entry. Raises
    DataKeyError, NoMasterKeyError, and SopsEncryptError for a threshold that the groups cannot have.
    """
    groups = [tuple(dict.fromkeys(group)) for group in recipients.groups if group]
    if not groups:
        raise NoMasterKeyError("no key to encrypt for")
    kept = {recipient_of(key): key for key in before.keys} if before and len(before.groups) == len(groups) == 1 else {}
    threshold = (recipients.threshold or len(groups)) if len(groups) > 1 else 0
    parts = [data_key]
    if len(groups) > 1:
        parts = cipher.split_data_key(data_key, len(groups), threshold, random_bytes)
    return WrappedDataKey(
        tuple(
            tuple(kept.get(each) or master_keys.wrap(each, part, created_at=created_at) for each in group)
            for group, part in zip(groups, parts, strict=True)
        ),
        threshold,
    )
