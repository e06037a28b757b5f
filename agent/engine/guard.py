"""The guard of deletions: what waits for a confirmation, and what was confirmed. It is part of the record, so it outlives everything but that.

A guarded object waits until it is confirmed, or Git has it again, or it is gone: whatever else changes of the commit, the spec or the
Application's size. A confirmation names one set of objects: those of its digest or, where it is a commit alone, those that wait at that
commit. It is heard once: what it named when it was read first is all that it ever names.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agent.values.ids import ObjectId, short

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_CONFIRMATION: Final = re.compile(r"(?:sha256:)?([0-9a-f]{7,64})(?:-([0-9a-f]{8}))?")
"""A commit or a digest, and behind it, as a question gives it, which objects."""


_DIGEST: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class Guard:
    """`waiting` are the objects that were asked about last, at `commit`; `agreed` those that were confirmed and still stand.

    `heard` is the confirmation that was read last. It is `spent` unless nothing waited at its commit when it was read first. `renamed`
    maps what waits to the one object that came in the commit that it left.
    """

    waiting: frozenset[ObjectId] = frozenset()
    commit: str = ""
    agreed: frozenset[ObjectId] = frozenset()
    heard: str = ""
    spent: bool = False
    renamed: Mapping[ObjectId, ObjectId] = field(default_factory=dict["ObjectId", "ObjectId"])

    @property
    def known(self) -> frozenset[ObjectId]:
        """What goes by a confirmation alone, however few it is of by now."""
        return self.waiting | self.agreed

    def after(self, guarded: Collection[ObjectId], *, confirmation: str, commit: str, last: bool = False) -> Guard:
        """The guard after a run that found these objects guarded, `confirmation` on the Application, and this commit.

        `last`: the Application goes, which a confirmation that nothing waited for yet may have been given for.
        """
        found = _CONFIRMATION.fullmatch(confirmation)
        heard, named = (confirmation, found[2]) if found else ("", None)
        is_new = heard != self.heard
        is_meant = found is not None and (named is not None or commit.removeprefix(_DIGEST).startswith(found[1]))
        agreed = self.agreed.intersection(guarded) if is_meant and not is_new else frozenset[ObjectId]()
        asked = frozenset(guarded) - agreed
        fits = named == digest(asked) if named is not None else self.commit != commit or self.waiting == asked
        if is_meant and fits and (is_new or (last and not self.spent)):
            agreed, asked = agreed | asked, frozenset[ObjectId]()
        spent = bool(heard) and (not is_meant or bool(guarded) or (self.spent and not is_new))
        return Guard(asked, commit if asked else "", agreed, heard, spent, self._renamed_among(asked))

    def without(self, gone: Iterable[ObjectId]) -> Guard:
        """Some objects are not there any more."""
        waiting = self.waiting.difference(gone)
        return replace(
            self,
            waiting=waiting,
            commit=self.commit if waiting else "",
            agreed=self.agreed.difference(gone),
            renamed=self._renamed_among(waiting),
        )

    def _renamed_among(self, keys: Collection[ObjectId]) -> dict[ObjectId, ObjectId]:
        return {old: new for old, new in self.renamed.items() if old in keys}

    def to_json(self) -> dict[str, object]:
        """Empty where there is nothing to remember."""
        full: dict[str, object] = {
            "w": sorted(key.key for key in self.waiting),
            "c": self.commit,
            "a": sorted(key.key for key in self.agreed),
            "h": self.heard,
            "s": self.spent,
            "r": {old.key: new.key for old, new in self.renamed.items()},
        }
        return {name: value for name, value in full.items() if value}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Guard:
        """The inverse."""

        def keys(name: str) -> frozenset[ObjectId]:
            listed: list[str] = data.get(name, [])  # pyright: ignore[reportAssignmentType]
            return frozenset(map(ObjectId.from_key, listed))

        renamed: dict[str, str] = data.get("r", {})  # pyright: ignore[reportAssignmentType]
        return cls(
            keys("w"),
            str(data.get("c", "")),
            keys("a"),
            str(data.get("h", "")),
            bool(data.get("s")),
            {ObjectId.from_key(old): ObjectId.from_key(new) for old, new in renamed.items()},
        )


NOTHING_WAITS: Final = Guard()


def digest(keys: Iterable[ObjectId]) -> str:
    """Which objects a confirmation names: 8 hex digits."""
    return _short("\n".join(sorted(key.key for key in keys)))


def confirmation(commit: str, keys: Iterable[ObjectId]) -> str:
    """What confirms the deletion of these objects at a commit, and of no others."""
    return f"{_word(commit)}-{digest(keys)}"


def confirmation_to_replace(commit: str, key: ObjectId, uid: str) -> str:
    """What confirms that this one live object is lost to a new one at a commit: never a deletion, nor that the new one is replaced too."""
    return f"{_word(commit)}-{_short(f'replace {key.key} {uid}')}"


def _word(commit: str) -> str:
    return short(commit).removeprefix(_DIGEST)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
