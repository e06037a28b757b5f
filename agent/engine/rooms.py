"""How much memory a run may take for what it reads.

All manifests of all Applications share the agent's memory. What they take there is estimated by what makes it grow: bytes of text, and keys
and values. A run that needs more than it has room for is given up before it reads on, and begins again with as much as one may have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.values.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from agent.engine.state import State
    from agent.manifests.documents import Document, File

VALUE: Final = 150
"""Bytes that a key or value takes, from reading to applying. Between 60 and 160 were measured, by what is around it."""
TEXT: Final = 4
"""Bytes that one of a file takes: its content, and what of it are texts, which one character can make four times as large."""
_MARKERS: Final = (b":", b":", b"?", b"?", b",", b"-", b"[", b"{")
"""Each key or value of a file has one of them; a key and its value share theirs."""


class LargerError(Exception):
    """A run needs more room than it has. Nothing was written yet."""


class Room:
    """What a run has: `most` bytes, all there are where nothing is said, of which so many are `taken`.

    `whole`: no run gets more. `settled` is called with what is left.
    """

    def __init__(
        self,
        most: int = 1 << 62,
        taken: int = 0,
        *,
        whole: bool = False,
        settled: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._most: int = most
        self._taken: int = taken
        self._kept: Final = taken
        self._whole: Final = whole
        self._settled: Final = settled

    @property
    def text(self) -> int:
        """Bytes of files that there is room for."""
        return max(self._most - self._taken, 0) // TEXT

    def take(self, size: int) -> None:
        """So many bytes more are needed. Raises LargerError, and LimitError where no run has so many."""
        self.check(size)
        self._taken += size

    def check(self, size: int) -> None:
        """Raises as `take` would."""
        if self._taken + size > self._most:
            raise self.lacking()

    def lacking(self) -> LargerError | LimitError:
        """What to raise where more is needed."""
        if not self._whole:
            return LargerError()
        return LimitError(
            "the manifests need more memory than one Application may have",
            hint="split the Application, or raise the agent's memory: see Sizing in docs/operations.md",
            limit=self._most,
        )

    def begin_again(self) -> None:
        """What was read is dropped."""
        self._taken = self._kept

    def settle(self) -> None:
        """Nothing more will be read: others get what is left."""
        left, self._most = self._most - self._taken, self._taken
        if left > 0:
            self._settled(left)


def of_files(files: Iterable[File]) -> int:
    """What the contents of files need."""
    return TEXT * sum(len(file.data) for file in files)


def expected(files: Iterable[File], most: int) -> int:
    """The most that documents of these files can need, of which each has at most so many values."""
    return VALUE * sum(
        most if b"*" in file.data and b"&" in file.data else min(most, sum(map(file.data.count, _MARKERS)))
        for file in files
    )


def of_documents(found: Iterable[Document]) -> int:
    """What documents need."""
    return VALUE * sum(each.size for each in found)


def of_copies(found: Iterable[Document]) -> int:
    """What compiling and assembling documents needs for a while: copies of one after the other, the largest of which takes as much again."""
    return VALUE * max((each.size for each in found), default=0)


def of_state(state: State) -> int:
    """What is kept of an Application between runs."""
    files = sum(each.text * TEXT + of_documents(each.documents) for each in state.parsed.values())
    return files + (state.compiled.rendered if state.compiled else 0)


def of_rendered(found: Collection[Document]) -> int:
    """What documents that were rendered need: they stand beside what the renderer gave."""
    return 2 * of_documents(found)
