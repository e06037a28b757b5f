"""What many Applications ask of one repository with one credential, and Git is asked once.

A `Question` is asked by one of those who want its answer, in the turn of its own namespace; the others wait without a turn. All of it is
a cache: what is forgotten is asked again. Owned by one event loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from agent.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Hashable

    from agent.adapters.git.trees import Tree
    from agent.engine.repositories import Turn
    from agent.values.ids import Revision

T = TypeVar("T")

MOST_REFS: Final = 10_000
"""Of all mirrors together."""
MOST_FOLLOWERS: Final = 10_000
"""Of one ref. Any more find a commit when they ask themselves."""
_MOST_PAIRS: Final = 4096
"""Of commits, of all mirrors together, of which is known whether one descends from the other."""
TREES_BYTES: Final = 64 * 1024 * 1024
"""What the trees that are kept may take together."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came of a question that was `due`, `began` and `ended` at these seconds of the monotonic clock."""

    due: float
    began: float
    ended: float
    value: T | None = None
    error: AgentError | None = None

    def take(self) -> T:
        """The value. Raises the error, each time as one of its own."""
        if self.error is not None:
            raise self.error.copy()
        assert self.value is not None
        return self.value


class Question(Generic[T]):
    """One at a time: callers that come meanwhile wait for the answer, and ask again only if that does not serve."""

    __slots__ = ("_asking", "_now", "answer")

    def __init__(self, now: Callable[[], float]) -> None:
        self.answer: Answer[T] | None = None
        self._now: Final = now
        self._asking: asyncio.Future[None] | None = None

    async def ask(
        self,
        serves: Callable[[Answer[T]], bool],
        turn: Turn,
        work: Callable[[], Awaitable[T]],
        *,
        due: float | None = None,
    ) -> T:
        """An answer that `serves`: one that is known, that another caller is about to get, or what `work` gives.

        `due` is when it was to be asked.
        """
        while True:
            if self.answer is not None and serves(self.answer):
                return self.answer.take()
            if self._asking is not None:
                await asyncio.wait([self._asking])
                continue
            async with turn():
                if self._asking is None and not (self.answer is not None and serves(self.answer)):
                    return await self._lead(work, due)

    async def _lead(self, work: Callable[[], Awaitable[T]], due: float | None) -> T:
        asking = self._asking = asyncio.get_running_loop().create_future()
        began = self._now()
        due = began if due is None else due
        try:
            value = await work()
        except AgentError as error:
            self.answer = Answer(due, began, self._now(), error=error.copy())
            raise
        else:
            self.answer = Answer(due, began, self._now(), value)
            return value
        finally:
            self._asking = None
            asking.set_result(None)


@dataclass(slots=True)
class Ref:
    """A branch or tag of one mirror: `commit` is what it was last seen at.

    `followers` are Applications that were answered with an older commit or wait for an answer; `waiting` says which of them wait.
    """

    head: Question[str]
    fetched: Question[Revision]
    commit: str = ""
    followers: dict[str, None] = field(default_factory=dict[str, None])
    waiting: dict[str, None] = field(default_factory=dict[str, None])

    def follow(self, application: str) -> None:
        """An Application asks what the ref names."""
        if application and len(self.followers) < MOST_FOLLOWERS:
            self.followers[application] = None
            self.waiting[application] = None

    def seen(self, commit: str) -> tuple[str, ...]:
        """The ref names this commit: gives the Applications that know of another one and do not wait for an answer."""
        if commit == self.commit:
            return ()
        self.commit = commit
        behind = tuple(uid for uid in self.followers if uid not in self.waiting)
        self.followers = dict(self.waiting)
        return behind


class Bounded(Generic[T]):
    """Values by key, of which the ones that were used last are kept."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._kept: Final[OrderedDict[Hashable, T]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = make()
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return found

    def values(self) -> tuple[T, ...]:
        return tuple(self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)


class Known:
    """What is known of all mirrors, by their names; `moved` hears of refs that name another commit.

    Tenants choose both mirrors and refs, so what is kept is bounded over all of them.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.trees: Final = Trees(now)
        self.moved: Callable[[Collection[str], str], None] = lambda _applications, _commit: None
        self._now: Final = now
        self._refs: Final[Bounded[tuple[str, Ref]]] = Bounded(MOST_REFS)
        self._pairs: Final[Bounded[Question[bool]]] = Bounded(_MOST_PAIRS)

    def ref(self, mirror: str, name: str) -> Ref:
        return self._refs.get((mirror, name), lambda: (mirror, Ref(Question(self._now), Question(self._now))))[1]

    def descends(self, mirror: str, old: str, new: str) -> Question[bool]:
        """Whether `new` descends from `old`, which never changes."""
        return self._pairs.get((mirror, old, new), lambda: Question(self._now))

    def lost(self, mirror: str) -> None:
        """The mirror may not hold any more what was fetched into it."""
        for name, ref in self._refs.values():
            if name == mirror:
                ref.fetched.answer = None

    def note(self, ref: Ref, commit: str) -> None:
        """A ref was seen at a commit."""
        if behind := ref.seen(commit):
            self.moved(behind, commit)


class Trees:
    """The trees of commits, by mirror and commit, as many as fit."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now: Final = now
        self._kept: Final[OrderedDict[tuple[str, str], Question[Tree]]] = OrderedDict()
        self.size = 0

    async def get(self, mirror: str, commit: str, turn: Turn, work: Callable[[], Awaitable[Tree]]) -> Tree:
        """The tree of a commit, which `work` lists where it is not kept."""
        key, since = (mirror, commit), self._now()
        question = self._kept.setdefault(key, Question(self._now))
        self._kept.move_to_end(key)

        async def listed() -> Tree:
            try:
                tree = await work()
            except AgentError:
                if self._kept.get(key) is question:
                    del self._kept[key]
                raise
            if self._kept.get(key) is question:
                self.size += tree.weight
            return tree

        found = await question.ask(lambda answer: answer.error is None or answer.ended >= since, turn, listed)
        self._fit()
        return found

    def _fit(self) -> None:
        while self.size > TREES_BYTES and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            if gone.answer is not None and gone.answer.value is not None:
                self.size -= gone.answer.value.weight
