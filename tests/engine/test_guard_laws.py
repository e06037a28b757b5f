"""A law of deletions, over sequences of commits, specs, confirmations, restarts and faults: what a guard protects goes by a confirmation
that named exactly that, and whatever a guard does not protect goes.

The oracle knows the rules of docs/operations.md, what stands in the cluster and what users did; nothing of how the agent remembers it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from memory_world.sources import commit_of
from whole_runs import manifests as m
from whole_runs.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from whole_runs.ran import Ran

NAMES = "abcdefghijklP"
"""Config maps, and a volume claim."""
LAYERS = (["base"], ["base", "more"], ["more"])


def manifest(name: str) -> str:
    return m.claim("P") if name == "P" else m.config(name)


def files(base: Iterable[str], more: Iterable[str]) -> dict[str, str]:
    return {
        f"{folder}/{name}.yaml": manifest(name)
        for folder, names in (("base", base), ("more", more))
        for name in names
        if folder == "base" or name not in base
    }


def tick(number: int) -> dict[str, str]:
    """Every commit touches every layer: one that touches none is not what a run says it applies."""
    return {f"{folder}/tick.yaml": f"# {number}\n" for folder in ("base", "more")}


def names_of(texts: Iterable[str], verb: str) -> set[str]:
    """The objects of requests that were answered well, or of problems."""
    return {text.rpartition("/")[2] for text in texts if text.startswith(f"{verb} ") and ": " not in text}


some = st.frozensets(st.sampled_from(NAMES))
first = st.frozensets(st.sampled_from("abcdeP"), min_size=1)
later = st.frozensets(st.sampled_from("fghijkl"), min_size=1)
STEP = st.one_of(
    st.tuples(st.just("run")),
    st.tuples(st.just("run")),
    st.tuples(st.just("run"), st.sampled_from(["away", "lease"])),
    st.tuples(st.just("push"), some, later),
    st.tuples(st.just("remove"), first),
    st.tuples(st.just("remove"), first),
    st.tuples(st.just("remove"), later),
    st.tuples(st.just("add"), later),
    st.tuples(st.just("add"), later),
    st.tuples(st.just("add"), first),
    st.tuples(st.just("back to"), st.integers(1, 4)),
    st.tuples(st.just("layers"), st.sampled_from(LAYERS)),
    st.tuples(st.just("prune"), st.booleans()),
    st.tuples(st.just("restart")),
    st.tuples(st.just("delete by hand"), st.sampled_from(NAMES)),
    st.tuples(st.just("confirm what was asked")),
    st.tuples(st.just("confirm what was asked")),
    st.tuples(st.just("confirm what was asked before"), st.integers(0, 3)),
    st.tuples(st.just("confirm the commit")),
    st.tuples(st.just("confirm nothing")),
)


@dataclass
class Oracle:
    """`questions` are the sets that were asked about, by what confirms each. `agreed` is what `word` confirmed and was not deleted yet."""

    layers: list[str] = field(default_factory=lambda: ["base"])
    prune: bool = True
    commits: list[tuple[frozenset[str], frozenset[str]]] = field(default_factory=list)
    head: int = 0
    word: str = ""
    read: str = ""
    protected: frozenset[str] = frozenset()
    agreed: frozenset[str] = frozenset()
    asked: tuple[int, frozenset[str]] = (0, frozenset())
    questions: dict[str, tuple[int, frozenset[str]]] = field(default_factory=dict)

    @property
    def desired(self) -> frozenset[str]:
        base, more = self.commits[self.head - 1]
        return (base if "base" in self.layers else frozenset()) | (
            more - base if "more" in self.layers else frozenset()
        )

    def judge(self, there: frozenset[str], recorded: set[str]) -> tuple[frozenset[str], frozenset[str]]:
        """What a run is to delete, and what it is to ask about."""
        gone, size = there - self.desired, len(there | (self.desired & recorded))
        many = len(gone) == size or (len(gone) >= 3 and 2 * len(gone) > size)
        self.protected = gone & (self.protected | self.agreed | {"P"} | (gone if many else frozenset()))
        if self.word != self.read or (self.word not in self.questions and self.word != commit_of(self.head)):
            self.agreed = frozenset()
        self.agreed &= self.protected
        left = self.protected - self.agreed
        if self._names(left):
            self.agreed |= left
        self.read = self.word
        left = self.protected - self.agreed
        self.asked = (self.head, left)
        return (gone - left if self.prune else frozenset()), (left if self.prune else frozenset())

    def _names(self, left: frozenset[str]) -> bool:
        """Whether the confirmation, which is read once, is for exactly this: a commit is where nothing else was asked about at it."""
        if self.word == self.read:
            return False
        if self.word in self.questions:
            return self.questions[self.word][1] == left
        return self.word == commit_of(self.head) and (
            self.asked[0] != self.head or self.asked[1] in {left, frozenset()}
        )


async def play(steps: list[tuple]) -> None:
    world, oracle = Installation(layers=["base"]), Oracle()
    push(world, oracle, frozenset("abcdeP"), frozenset("f"))
    for step in [("run",), *steps, ("run",), ("run",)]:
        if step[0] == "run":
            await run(world, oracle, *step[1:])
        elif step[0] in {"push", "remove", "add", "back to"}:
            commit(world, oracle, step)
        elif step[0].startswith("confirm"):
            confirm(world, oracle, step)
        else:
            happen(world, oracle, step)


def commit(world: Installation, oracle: Oracle, step: tuple) -> None:
    base, more = oracle.commits[oracle.head - 1]
    match step:
        case ("push", base, more):
            push(world, oracle, base, more)
        case ("remove", names):
            push(world, oracle, base - names, more - names)
        case ("add", names):
            push(world, oracle, base | names, more)
        case (_, number):
            oracle.head = world.git.head_number = min(number, len(oracle.commits))


def happen(world: Installation, oracle: Oracle, step: tuple) -> None:
    match step:
        case ("layers", layers):
            oracle.layers = layers
            world.spec(layers=layers)
        case ("prune", on):
            oracle.prune = on
            world.spec(prune=on)
        case ("restart",):
            world.restart()
        case (_, name):
            if name in there(world):
                world.delete(kind_of(name))


def confirm(world: Installation, oracle: Oracle, step: tuple) -> None:
    questions = list(oracle.questions)
    match step:
        case ("confirm what was asked",) if questions:
            oracle.word = questions[-1]
        case ("confirm what was asked before", back) if questions:
            oracle.word = questions[-1 - back % len(questions)]
        case ("confirm the commit",):
            oracle.word = commit_of(oracle.head)
        case _:
            oracle.word = ""
    world.annotate(confirm_prune=oracle.word)


def push(world: Installation, oracle: Oracle, base: frozenset[str], more: frozenset[str]) -> None:
    oracle.commits.append((base, more))
    oracle.head = len(oracle.commits)
    assert oracle.head == world.git.push({**files(base, more), **tick(oracle.head)})


def kind_of(name: str) -> str:
    return "PersistentVolumeClaim/P" if name == "P" else f"ConfigMap/{name}"


def there(world: Installation) -> frozenset[str]:
    return frozenset(name for name in NAMES if world.live(kind_of(name)) is not None)


async def run(world: Installation, oracle: Oracle, fault: str = "") -> None:
    before = there(world)
    recorded = {name.rpartition("/")[2] for name in world.recorded} if world.shards else set()
    deleted, asked = oracle.judge(before, recorded)
    first = next((f"apply {kind_of(name)}" for name in sorted(oracle.desired - before)), "")
    fault = fault if first else ""
    if fault:
        world.meanwhile(first, lambda: setattr(world, "lease", False) if fault == "lease" else _cut_off(world))
    ran = await world.run("interval", "spec")
    done = before - there(world)
    assert done == names_of(ran.writes, "delete")
    assert done <= deleted, f"{sorted(done - deleted)} are protected"
    if not fault:
        assert done == deleted
        assert names_of(ran.problems, "PruneRefused") == asked
    note(oracle, ran)
    if fault == "lease":
        world.lease = True
        await world.another_agent_takes()
        world.restart()
    world.traffic.away = False
    world.traffic.between.clear()


def _cut_off(world: Installation) -> None:
    world.traffic.away = True


def note(oracle: Oracle, ran: Ran) -> None:
    """The question of a run, as a user reads it."""
    asked = {str(error.facts["confirm"]) for error in ran.errors if error.reason == "PruneRefused"}
    assert len(asked) <= 1
    for text in asked:
        oracle.questions.pop(text, None)
        oracle.questions[text] = oracle.asked


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=14))
def test_what_is_protected_goes_by_a_confirmation_that_named_exactly_that(steps: list[tuple]) -> None:
    asyncio.run(play(steps))
