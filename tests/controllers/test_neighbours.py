"""Which Application waits for which: in any order of events, none keeps waiting for one that stands, and none checks again without a cause."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api import application as applications
from agent.controllers.dependencies import SOON, Neighbours
from agent.desired import dependencies, gate
from agent.desired.gate import Version
from agent.engine.state import State
from agent.values.ids import ApplicationId, Revision

if TYPE_CHECKING:
    from agent.api.application import Application
    from agent.controllers.managed import ManagedApplication
    from agent.values.tree import Object, Tree

URL = "https://git.example.com/x.git"
NAMES = ("a", "b", "c", "d")


def tree(name: str, needs: tuple[str, ...] = (), url: str = URL, uid: str = "", **spec: object) -> Object:
    return {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "shop", "uid": uid or name, "generation": 1},
        "spec": cast(
            "Tree",
            {
                "source": {"url": url, "revision": {"branch": "main"}},
                "dependsOn": [{"name": each} for each in needs],
                **spec,
            },
        ),
    }


def revision(number: int) -> Revision:
    return Revision(f"{number:012d}" + "0" * 28, "refs/heads/main", "", 0)


def status_of(commit: int, *, ready: bool = True, healthy: bool = True) -> Object:
    conditions: list[Tree] = [
        {"type": kind, "status": str(found), "reason": "Tested"}
        for kind, found in (("Ready", ready), ("Healthy", healthy))
    ]
    return {"observedGeneration": 1, "checkedRevision": str(revision(commit)), "conditions": conditions}


@dataclass
class World:
    """Applications whose agents do nothing but ask the gate."""

    woken: list[tuple[str, float]] = field(default_factory=list)
    applications: dict[str, Application] = field(default_factory=dict)
    statuses: dict[str, Object] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    head: int = 1

    def __post_init__(self) -> None:
        self.neighbours = Neighbours(lambda uid, delay: self.woken.append((uid, delay)))

    def take(self) -> list[tuple[str, float]]:
        woken, self.woken = self.woken, []
        return woken

    def put(self, name: str, needs: tuple[str, ...] = (), url: str = URL, **spec: object) -> None:
        self.applications[name] = applications.parse(tree(name, needs, url, **spec))
        self.seen(name)

    def report(self, name: str, status: Object) -> None:
        self.statuses[name] = status
        self.seen(name)

    def seen(self, name: str) -> None:
        self.neighbours.seen(self.managed(name))

    def managed(self, name: str, uid: str = "") -> ManagedApplication:
        found = SimpleNamespace(
            id=ApplicationId("shop", name, uid or name),
            application=self.applications.get(name),
            generation=1,
            found=self.statuses.get(name, {}),
        )
        return cast("ManagedApplication", found)

    def begin(self, name: str) -> None:
        self.neighbours.begins(name)
        newest = revision(self.head)
        before = self.states.get(name, State())
        against = dependencies.check(self.applications[name], newest, self.neighbours)
        found = gate.decide(Version(newest.commit, ""), before.gate.admitted, against)
        self.states[name] = State(checked=newest, gate=found)

    def end(self, name: str) -> None:
        state = self.states[name]
        self.neighbours.ended(name, state)
        assert state.checked is not None
        self.report(name, status_of(int(state.checked.commit[:12]), ready=not state.gate.closed))

    def run(self, name: str) -> bool:
        """Whether it was let in."""
        self.begin(name)
        self.neighbours.ended(name, self.states[name])
        return not self.states[name].gate.closed


class TestOfWaking:
    def test_who_waits_starts_at_once_when_the_last_of_its_dependencies_stands(self) -> None:
        world = World()
        world.put("a")
        world.put("b")
        world.put("web", ("a", "b"))
        world.report("a", status_of(1))
        assert not world.run("web")
        world.take()
        world.report("b", status_of(1))
        assert world.take() == [("web", 0.0)]
        assert world.run("web")

    def test_one_whose_commit_was_not_asked_for_is_woken_when_another_comes_to_depend_on_it(self) -> None:
        world = World()
        world.put("a")
        web, other = (ApplicationId("shop", name, name) for name in ("a", "b"))
        assert not world.neighbours.followed(web)
        assert not world.neighbours.followed(other)
        world.put("web", ("a",))
        assert world.take() == [("a", 0.0)]
        assert world.neighbours.followed(web)
        world.put("further", ("a",))
        assert world.take() == []
        for name in ("web", "further"):
            world.put(name)
        assert not world.neighbours.followed(web)
        world.neighbours.gone(world.managed("a"))
        world.put("web", ("a",))
        assert world.take() == []

    def test_what_else_changed_is_said_soon(self) -> None:
        world = World()
        world.put("a")
        world.put("web", ("a",))
        assert not world.run("web")
        world.take()
        world.report("a", status_of(1, healthy=False))
        assert world.take() == [("web", SOON)]
        world.report("a", status_of(1, healthy=False))
        assert world.take() == [], "nothing changed"

    def test_who_does_not_wait_is_left_alone(self) -> None:
        world = World()
        world.put("a")
        world.put("web", ("a",))
        world.report("a", status_of(1))
        assert world.run("web")
        world.take()
        for healthy in (False, True, False, True):
            world.report("a", status_of(1, healthy=healthy))
        assert world.take() == []

    def test_a_newer_commit_of_the_same_source_brings_what_depends_on_it_along(self) -> None:
        world = World()
        world.put("a")
        world.put("web", ("a",))
        world.put("other", ("a",), url="https://git.example.com/other.git")
        world.report("a", status_of(1))
        assert world.run("web")
        assert world.run("other")
        world.take()
        world.report("a", status_of(2, healthy=False))
        assert world.take() == []
        world.report("a", status_of(2))
        assert world.take() == [("web", 0.0)]

    @pytest.mark.parametrize(
        ("url", "shared"),
        [
            ("https://git.example.com/x", True),
            ("https://GIT.example.com:443/x.git/", True),
            ("ssh://git@git.example.com/x.git", True),
            ("git@git.example.com:x.git", True),
            ("https://git.example.com:8443/x.git", False),
            ("https://git.example.com/y.git", False),
            ("https://git.example.com/~x.git", False),
        ],
    )
    def test_a_source_is_shared_however_its_url_is_written(self, url: str, shared: bool) -> None:
        world = World(head=2)
        world.put("a")
        world.put("web", ("a",), url=url)
        world.report("a", status_of(1))
        assert world.run("web") is not shared, "it waits for the same commit"

    def test_one_that_is_behind_is_asked_to_follow(self) -> None:
        world = World(head=2)
        world.put("a")
        world.put("web", ("a",))
        world.report("a", status_of(1))
        world.take()
        assert not world.run("web")
        assert world.take() == [("a", 0.0)]
        world.report("a", status_of(1, ready=False))
        world.take()
        assert not world.run("web")
        assert world.take() == [], "it is at work, or cannot"

    def test_what_changed_during_a_run_is_not_missed(self) -> None:
        world = World()
        world.put("a")
        world.put("web", ("a",))
        world.report("a", status_of(1))
        world.report("a", status_of(1, healthy=False))
        world.take()
        world.begin("web")
        world.report("a", status_of(1))
        assert world.take() == [], "it is not known to wait yet"
        world.neighbours.ended("web", world.states["web"])
        assert world.take() == [("web", 0.0)]
        assert world.run("web")

    def test_one_that_comes_and_one_that_goes_are_noticed(self) -> None:
        world = World()
        world.put("web", ("a",))
        assert not world.run("web")
        world.put("a")
        world.report("a", status_of(1))
        assert world.take()[-1] == ("web", 0.0)
        assert world.run("web")
        world.head = 2
        world.report("a", status_of(1))
        assert not world.run("web")
        world.take()
        world.neighbours.gone(world.managed("a"))
        assert world.take() == [("web", SOON)]
        assert ("shop", "a") not in world.neighbours

    def test_the_end_of_an_earlier_one_of_the_same_name_is_not_its_own(self) -> None:
        world = World()
        world.put("a")
        world.report("a", status_of(1))
        again = world.managed("a", uid="a2")
        world.neighbours.seen(again)
        world.neighbours.gone(world.managed("a"))
        assert world.neighbours["shop", "a"].stands
        world.neighbours.gone(again)
        assert len(world.neighbours) == 0

    def test_a_circle_is_looked_at_again_when_anything_in_it_is_named_otherwise(self) -> None:
        world = World()
        world.put("a", ("b",))
        world.put("b", ("c",))
        world.put("c", ("a",))
        assert [world.run(name) for name in "abc"] == [False] * 3
        world.take()
        world.put("c")
        assert {"a", "b", "c"} <= {uid for uid, _ in world.take()}

    def test_circles_are_woken_once_until_they_have_run(self) -> None:
        world, names = World(), [f"c{number}" for number in range(20)]
        for number, name in enumerate(names):
            world.put(name, (names[number - 1],))
        for name in names:
            world.run(name)
        world.take()
        for name in names:
            world.put(name, ())
            world.put(name, ("elsewhere",))
        woken = world.take()
        assert {*woken} == {(name, SOON) for name in names}
        assert len(woken) <= 3 * len(names), "once for the circle, and once for each change of what it needs"

    def test_a_circle_that_ended_while_it_was_looked_at_is_none(self) -> None:
        world = World()
        world.put("a", ("b",))
        world.put("b", ("c",))
        world.put("c", ("a",))
        world.begin("a")
        world.put("c")
        world.neighbours.ended("a", world.states["a"])
        assert ("a", 0.0) in world.take()

    def test_what_is_gone_is_forgotten(self) -> None:
        world = World()
        world.put("a")
        world.put("web", ("a", "b"))
        world.run("web")
        for name in ("web", "a"):
            world.neighbours.gone(world.managed(name))
        kept = [value for value in vars(world.neighbours).values() if isinstance(value, dict)]
        assert len(kept) > 5
        assert not any(kept)


class TestOfStanding:
    @pytest.mark.parametrize(
        ("spec", "status", "obstacle"),
        [
            ({}, status_of(1), ""),
            ({}, {}, "no agent has handled its spec yet"),
            ({}, {**status_of(1), "observedGeneration": 0}, "no agent has handled its spec yet"),
            ({"suspend": True}, status_of(1), "it is suspended"),
            ({}, status_of(1, ready=False), "it is not ready: Tested"),
            ({}, status_of(1, ready=False, healthy=False), "it is not ready: Tested"),
            ({}, status_of(1, healthy=False), "it is not healthy: Tested"),
            ({}, {"observedGeneration": 1}, "it is not ready"),
            ({}, {"observedGeneration": 1, "conditions": "none"}, "it is not ready"),
            ({}, {"observedGeneration": 1, "conditions": [7, {"type": "Ready", "status": 7}]}, "it is not ready"),
            (
                {},
                {
                    **status_of(1),
                    "conditions": [
                        *cast("list[Tree]", status_of(1)["conditions"]),
                        {"type": "Waiting", "status": "True"},
                    ],
                },
                "it waits itself",
            ),
        ],
    )
    def test_it_is_ready_and_healthy_under_the_spec_that_it_has(
        self, spec: dict[str, object], status: Object, obstacle: str
    ) -> None:
        found = dependencies.neighbour(applications.parse(tree("a", **spec)), 1, status)
        assert (found.obstacle, found.stands) == (obstacle, not obstacle)

    def test_one_that_is_being_deleted_and_one_whose_spec_is_not_valid_do_not_stand(self) -> None:
        given = tree("a")
        given["metadata"] = {**cast("Object", given["metadata"]), "deletionTimestamp": "2026-01-01T00:00:00Z"}
        assert dependencies.neighbour(applications.parse(given), 1, status_of(1)).obstacle == "it is being deleted"
        assert dependencies.neighbour(None, 1, status_of(1)).obstacle == "its spec is not valid"

    def test_what_another_says_is_one_short_word(self) -> None:
        status = status_of(1, ready=False)
        cast("list[Object]", status["conditions"])[0]["reason"] = "x\x1b[2J" + "y" * 10_000
        status["checkedRevision"] = "z" * 10_000
        found = dependencies.neighbour(applications.parse(tree("a")), 1, status)
        assert len(found.obstacle) < 100
        assert "\x1b" not in found.obstacle
        assert len(found.sources[0][2]) < 300


class Overlapping(World):
    """Runs, statuses and specs overlap as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.running: set[str] = set()

    def happens(self, step: str, name: str, needs: list[str]) -> None:
        if step == "put":
            self.put(name, tuple(needs))
            self.woken.append((name, 0.0))  # a spec that changed starts a run
        elif step == "push":
            self.head += 1
        elif name in self.applications:
            getattr(self, f"to_{step}")(name)

    def to_begin(self, name: str) -> None:
        if name not in self.running:
            self.running.add(name)
            self.begin(name)

    def to_end(self, name: str) -> None:
        if name in self.running:
            self.running.discard(name)
            self.end(name)

    def to_break(self, name: str, *, healthy: bool = False) -> None:
        if name in self.states and name not in self.running:
            state = self.states[name]
            assert state.checked is not None
            self.report(name, status_of(int(state.checked.commit[:12]), ready=not state.gate.closed, healthy=healthy))

    def to_cure(self, name: str) -> None:
        self.to_break(name, healthy=True)

    def to_go(self, name: str) -> None:
        self.running.discard(name)
        self.neighbours.gone(self.managed(name))
        for kept in (self.applications, self.statuses, self.states):
            kept.pop(name, None)

    def rest(self) -> bool:
        """Applications that were woken run until no more are; whether that ends."""
        for name in sorted(self.running):
            self.end(name)
        for _ in range(200):
            woken = dict.fromkeys(uid for uid, _ in self.take() if uid in self.applications)
            for name in woken:
                self.begin(name)
                self.end(name)
            if not woken:
                return True
        return False

    def waits_for_nothing(self, name: str) -> bool:
        state = self.states[name]
        assert state.checked is not None
        return state.gate.closed and not dependencies.check(self.applications[name], state.checked, self.neighbours)


STEPS = st.tuples(
    st.sampled_from(("put", "begin", "begin", "end", "break", "cure", "push", "go")),
    st.sampled_from(NAMES),
    st.sets(st.sampled_from(NAMES), max_size=2).map(sorted),
)


@given(st.lists(STEPS, max_size=60))
def test_at_rest_no_application_waits_for_what_stands(steps: list[tuple[str, str, list[str]]]) -> None:
    world = Overlapping()
    for step in steps:
        world.happens(*step)
    assert world.rest()
    assert [name for name in world.states if world.waits_for_nothing(name)] == []


def test_commits_of_every_source_that_both_follow_count() -> None:
    further = [{"name": "p", "url": "https://git.example.com/p.git", "revision": {"branch": "main"}}]
    at = {**status_of(1), "checkedRevision": f"{revision(1).own}, p {revision(5).own}"}
    db = dependencies.neighbour(applications.parse(tree("db", sources=further)), 1, at)
    web = applications.parse(tree("web", ("db",), "https://git.example.com/other.git", sources=further))
    for number, waits in ((5, False), (6, True)):
        newest = Revision(revision(9).commit, "refs/heads/main", "", 0, further=(("p", revision(number)),))
        errors = dependencies.check(web, newest, {("shop", "db"): db})
        assert [str(each.facts["because"]) for each in errors] == [f"it is at {revision(5).own}"] * waits
    cut = {**at, "checkedRevision": f"{revision(1).own}, p refs/hea…"}
    assert len(dependencies.neighbour(applications.parse(tree("db", sources=further)), 1, cut).sources) == 1
