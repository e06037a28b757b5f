"""What happens to the agents of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.api import names
from agent.values.tree import get_object
from handover_model.agents import Agent
from handover_model.world import Rest, Step, Story

if TYPE_CHECKING:
    from collections.abc import Callable

    from handover_model.world import World

C1 = {"kept": 1, "changed": 1, "removed": 1}
C2 = {"kept": 1, "changed": 2, "added": 2}
C3 = {"kept": 1, "changed": 3, "added": 3, "removed": 3}


def start(name: str, identity: str = "", *, seconds: float = 0.0) -> Step:
    def do(world: World) -> None:
        agent = world.agents[name] = Agent(world, name, identity or name)
        world.live = tuple(sorted({*world.live, agent.identity}))
        agent.start()

    return Step(f"{name} starts", do, seconds)


def _to(label: str, name: str, do: Callable[[Agent], None], seconds: float) -> Step:
    return Step(f"{name} {label}", lambda world: do(world.agents[name]), seconds)


def stop(name: str) -> Step:
    def do(agent: Agent) -> None:
        agent.stopped = True

    return _to("is stopped", name, do, 0)


def go_on(name: str, *, lapsed: bool = True, seconds: float = 0.0) -> Step:
    def do(agent: Agent) -> None:
        agent.stopped, agent.lapsed = False, lapsed

    return _to("goes on", name, do, seconds)


def look(name: str, *, seconds: float = 0.0) -> Step:
    """An agent renews its Lease and sees who else is there."""

    return _to("looks", name, Agent.look, seconds)


def expire(name: str, *, seconds: float = 15.0) -> Step:
    """The others have not seen an agent renew its Lease for so long that it counts as dead; they notice when they look."""

    def do(agent: Agent) -> None:
        agent.world.live = tuple(each for each in agent.world.live if each != agent.identity)

    return _to("counts as dead", name, do, seconds)


def push(*, ask: bool = False) -> Step:
    """A commit; `ask` requests a sync of it."""

    def do(world: World) -> None:
        world.head += 1
        if ask:
            request(world)

    return Step("push and request" if ask else "push", do)


def request(world: World) -> None:
    tree = world.application()
    annotations = {names.ANNOTATION_REQUESTED_AT: str(world.steps)}
    world.server.put(
        next(key for key in world.server.objects if key.kind == names.KIND),
        {**tree, "metadata": {**get_object(tree, "metadata"), "annotations": annotations}},
    )


def together(*steps: Step) -> Step:
    """Several things at once."""

    def do(world: World) -> None:
        for step in steps:
            step.do(world)

    return Step(" and ".join(step.label for step in steps), do)


def edit(name: str, value: int) -> Step:
    """A person changes a live object."""

    def do(world: World) -> None:
        key = world.key_of(name)
        if world.server.get(key) is not None:
            world.server.update(key, {("data", "value"): str(value)}, "kubectl-edit")

    return Step(f"{name} is edited", do)


def end(name: str) -> Step:
    """SIGTERM: the Lease is deleted, so that others see at once that the agent is gone."""

    def do(agent: Agent) -> None:
        agent.world.live = tuple(each for each in agent.world.live if each != agent.identity)
        agent.end()

    return _to("ends", name, do, 0)


def kill(name: str) -> Step:
    return _to("is killed", name, Agent.kill, 0)


def cut(name: str) -> Step:
    def do(agent: Agent) -> None:
        agent.cut = True

    return _to("is cut off", name, do, 0)


def join(name: str, *, seconds: float = 0.0) -> Step:
    def do(agent: Agent) -> None:
        agent.cut = False

    return _to("is connected again", name, do, seconds)


def miss(name: str) -> Step:
    return _to("finds its Lease not renewed", name, Agent.miss, 10)


def lose_source(name: str) -> Step:
    def do(agent: Agent) -> None:
        agent.sourceless = True

    return _to("cannot reach Git", name, do, 0)


def ask() -> Step:
    return Step("a sync is requested", request)


def ready(name: str) -> Step:
    """What waits is waited for no longer."""
    return Step(f"{name} is ready", lambda world: _set_ready(world, name, "True"))


def unready(name: str) -> Step:
    """From the next change on, it is waited for."""
    return Step(f"{name} is not ready", lambda world: _set_ready(world, name, "False"))


def _set_ready(world: World, name: str, status: str) -> None:
    key = world.key_of(name)
    found = world.server.get(key)
    if found is not None:
        world.server.put(key, {**found, "status": {"conditions": [{"type": "Ready", "status": status}]}})


def beforehand(waits: frozenset[str]) -> tuple[Step | Rest, ...]:
    """How the first commit was applied."""
    return (start("first"), Rest(2), *(ready(name) for name in waits), Rest(10))


BOTH = (start("a"), start("b"), Rest(5))
ALONE = (start("a"), Rest(5))

STORIES = {
    "paused while idle": Story(
        (C1, C2),
        BOTH,
        (stop("a"), push(), expire("a"), look("b"), Rest(10), go_on("a"), look("a"), Rest(5), look("b")),
    ),
    "paused in a run": Story(
        (C1, C2, C3),
        BOTH,
        (
            push(ask=True),
            stop("a"),
            push(),
            expire("a"),
            look("b"),
            Rest(10),
            go_on("a"),
            look("a"),
            Rest(5),
            look("b"),
        ),
    ),
    "paused in a run that is taken back": Story(
        (C1, C2, C1),
        BOTH,
        (push(ask=True), stop("a"), push(), expire("a"), look("b"), Rest(5), go_on("a"), look("a"), look("b")),
    ),
    "paused in a heal": Story(
        (C1, C2),
        BOTH,
        (edit("changed", 9), stop("a"), push(), expire("a"), look("b"), Rest(10), go_on("a"), look("a"), look("b")),
    ),
    "paused too shortly for others to notice": Story(
        (C1, C2), BOTH, (edit("kept", 9), stop("a"), push(), go_on("a", seconds=12), edit("changed", 9), look("a"))
    ),
    "a newcomer": Story(
        (C1, C2, C3),
        ALONE,
        (push(ask=True), start("b"), push(), edit("changed", 9), Rest(2), look("a")),
        preference=("b", "a"),
        pause=1.5,
    ),
    "a newcomer in a run": Story(
        (C1, C2, C3),
        ALONE,
        (push(ask=True), together(push(), start("b")), Rest(2), look("a")),
        preference=("b", "a"),
        pause=1.5,
        slow_watches=True,
    ),
    "a newcomer that goes again": Story(
        (C1, C2, C3),
        ALONE,
        (start("b"), push(ask=True), look("a"), end("b"), push(), look("a"), edit("kept", 9)),
        preference=("b", "a"),
    ),
    "a newcomer beside a commit": Story(
        (C1, C2), ALONE, (start("b"), push(ask=True), Rest(2), look("a")), preference=("b", "a"), slow_watches=True
    ),
    "waiting for a wave": Story(
        ({**C1, "gate": 1}, {**C2, "gate": 2}, {**C1, "gate": 1}),
        (*ALONE, unready("gate"), push(ask=True), Rest(2)),
        (ready("gate"), push(), start("b"), Rest(3), look("a")),
        preference=("b", "a"),
        waits=frozenset({"gate"}),
    ),
    "two of one name": Story(
        (C1, C2), ALONE, (start("again", "a"), push(ask=True), edit("changed", 9), Rest(2), look("a")), pause=1.5
    ),
    "a failure that is the old owner's": Story(
        (C1, C2),
        BOTH,
        (lose_source("a"), Rest(310), kill("a"), expire("a"), look("b")),
    ),
    "cut off": Story(
        (C1, C2, C3),
        BOTH,
        (
            cut("a"),
            push(ask=True),
            miss("a"),
            expire("a", seconds=5),
            look("b"),
            join("a"),
            push(),
            look("a"),
            look("b"),
        ),
    ),
    "killed": Story((C1, C2, C3), BOTH, (push(ask=True), kill("a"), push(), expire("a"), look("b"))),
}
