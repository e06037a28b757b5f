"""`agent diff -f` says what the next run does: its JSON against that run's writes and causes, a scenario a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from memory_world.cluster import name_of
from whole_runs import manifests as m
from whole_runs.installation import Installation
from whole_runs.previewing import User, asking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.api.operator import OperatorSettings

__all__ = ["asking"]

FOUR = {f"{name}.yaml": m.config(name) for name in "abcd"}
WEB = {"db.yaml": m.secret(), "web.yaml": m.workload(uses="db")}
IMMUTABLE = {"web.yaml": m.workload(app="one")}
JOB = {
    "job.yaml": m.workload(
        "job",
        kind="Job",
        annotations={"replace": "true"},
        env=[{"name": "PASSWORD", "value": "vault://main/kv/db#password"}],
    )
}
APPLIED = {"create", "change", "roll", "replace"}
STAYS = {"hold", "conflict", "keep"}


@dataclass(frozen=True)
class Row:
    """`before` is applied, then `meddle` happens, then `change` is committed; None takes a file away.

    `found` are the actions that are named, with their cause where one is applied.
    """

    before: Mapping[str, str] = field(default_factory=dict)
    change: Mapping[str, str | None] = field(default_factory=dict)
    found: Mapping[str, str] = field(default_factory=dict)
    meddle: Callable[[Installation], object] = lambda _: None
    spec: Mapping[str, object] = field(default_factory=dict)
    triggers: tuple[str, ...] = ("interval",)


def edit(world: Installation) -> None:
    world.edit("ConfigMap/a", "data", "value", to="edited")


def edit_secret(world: Installation) -> None:
    world.edit("Secret/db", "data", "password", to="ZWRpdGVk")


def edit_replicas(world: Installation) -> None:
    world.make(m.autoscaler(), by="keda")
    world.edit("Deployment/web", "spec", "replicas", to=5, by="kubectl-edit")


def strip(world: Installation) -> None:
    world.edit("ConfigMap/a", "metadata", "labels", "signet-gitops.dev/application", to="none")


def copy(world: Installation) -> None:
    of = world.live("ConfigMap/a")
    assert of is not None
    kept = {name: of["metadata"][name] for name in ("labels", "annotations", "namespace")}
    world.server.create({**of, "metadata": {**kept, "name": "copy"}}, "another-tool")


def rotate(world: Installation) -> None:
    world.stores.write("kv/db", password="second", user="shop")


def lose_record(world: Installation) -> None:
    world.lose_record()
    world.restart()


def theirs(world: Installation, text: str = m.config("new", "theirs"), name: str = "ConfigMap/new") -> None:
    world.put_other("other")
    if world.live(name) is None:
        world.make(text, owner="other")
    else:
        world.give_to(name, "other")


def away(world: Installation) -> None:
    world.stores.away = True


def both(*many: Callable[[Installation], object]) -> Callable[[Installation], None]:
    def all_of(world: Installation) -> None:
        for each in many:
            each(world)

    return all_of


ONCE = m.config("new", annotations={"apply": "if-not-present"})
REPLACE = {"web.yaml": m.workload(app="two", annotations={"replace": "true"})}

JOBS = {"destination": {"namespaces": ["jobs"], "createNamespace": {"labels": {"tier": "batch"}}}}


def there(name: str, data: str = "1") -> str:
    return m.config(name, data).replace('"name":', '"namespace": "jobs", "name":', 1)


ROWS = {
    "nothing": Row(FOUR),
    "a first commit": Row({}, FOUR, {f"ConfigMap/{name}": "create commit" for name in "abcd"}),
    "labels of every object": Row(
        FOUR,
        {"a.yaml": m.config("a", "2")},
        {"ConfigMap/a": "change commit"},
        spec={"commonMetadata": {"labels": {"team": "shop"}}},
    ),
    "one of each": Row(
        FOUR,
        {"a.yaml": m.config("a", "2"), "b.yaml": None, "e.yaml": m.config("e")},
        {"ConfigMap/a": "change commit", "ConfigMap/b": "prune", "ConfigMap/e": "create commit"},
    ),
    "a live edit": Row(FOUR, {}, {"ConfigMap/a": "change live-edit"}, edit),
    "a live edit of what the commit changes": Row(
        FOUR, {"a.yaml": m.config("a", "2")}, {"ConfigMap/a": "change commit"}, edit
    ),
    "a live deletion": Row(
        FOUR, {}, {"ConfigMap/a": "create live-deletion"}, lambda world: world.delete("ConfigMap/a")
    ),
    "a live deletion of what the commit changes": Row(
        FOUR,
        {"a.yaml": m.config("a", "2")},
        {"ConfigMap/a": "create commit"},
        lambda world: world.delete("ConfigMap/a"),
    ),
    "replicas of Git that a person edits beside an autoscaler": Row(
        {"web.yaml": m.workload(replicas=3)}, {}, {}, edit_replicas
    ),
    "replicas that a person edits beside an autoscaler": Row({"web.yaml": m.workload()}, {}, {}, edit_replicas),
    "a label that a person took away": Row(FOUR, {}, {"ConfigMap/a": "change live-edit"}, strip),
    "a live edit of a Secret rolls nothing": Row(WEB, {}, {"Secret/db": "change live-edit"}, edit_secret),
    "a Secret that the commit changes rolls its workload": Row(
        WEB,
        {"db.yaml": m.secret(value="vault://main/kv/db#user")},
        {"Secret/db": "change commit", "Deployment/web": "roll roll"},
    ),
    "a store has another version": Row(
        WEB, {}, {"Secret/db": "change secret-source", "Deployment/web": "roll roll"}, rotate, triggers=()
    ),
    "what is gone already": Row(FOUR, {"a.yaml": None}, {}, lambda world: world.delete("ConfigMap/a")),
    "most of it goes": Row(
        FOUR, {f"{name}.yaml": None for name in "abc"}, {f"ConfigMap/{name}": "keep" for name in "abc"}
    ),
    "a lost record": Row(FOUR, {}, {f"ConfigMap/{name}": "change record-lost" for name in "abcd"}, lose_record),
    "a lost record and a commit": Row(
        FOUR,
        {"a.yaml": None},
        {"ConfigMap/a": "prune", **{f"ConfigMap/{name}": "change record-lost" for name in "bcd"}},
        lose_record,
    ),
    "a copy with our labels and proof": Row(FOUR, {"a.yaml": None}, {"ConfigMap/a": "prune"}, copy),
    "what the cluster has already": Row(
        FOUR, {"a.yaml": m.config("a", "edited")}, {"ConfigMap/a": "change commit"}, edit
    ),
    # holds, and what they keep from being pruned
    "a value that the store does not have": Row(
        {**WEB, **FOUR},
        {"db.yaml": m.secret(value="vault://main/kv/none#x"), "a.yaml": None},
        {"Secret/db": "hold", "Deployment/web": "hold", "ConfigMap/a": "keep"},
    ),
    "a key that the store does not have": Row(
        FOUR,
        {"s.yaml": m.secret("s", "vault://main/kv/db#x"), "a.yaml": None},
        {"Secret/s": "hold", "ConfigMap/a": "keep"},
    ),
    "an optional value that the store does not have": Row(
        FOUR,
        {"s.yaml": m.secret("s", "vault://main/kv/none?optional=true#x"), "a.yaml": None},
        {"Secret/s": "create commit", "ConfigMap/a": "prune"},
    ),
    "a store that is away": Row(
        {**WEB, **FOUR},
        {"db.yaml": m.secret(value="vault://main/kv/db#user"), "a.yaml": None, "b.yaml": m.config("b", "2")},
        {"Secret/db": "hold", "Deployment/web": "hold", "ConfigMap/a": "keep", "ConfigMap/b": "change commit"},
        away,
    ),
    "an optional value of a store that is away": Row(
        FOUR,
        {"s.yaml": m.secret("s", "vault://main/kv/db?optional=true#x"), "a.yaml": None},
        {"Secret/s": "hold", "ConfigMap/a": "keep"},
        away,
    ),
    "a value that is no base64": Row(
        FOUR,
        {"s.yaml": m.other("Secret", "s", data={"x": "?"}), "a.yaml": None},
        {"Secret/s": "hold", "ConfigMap/a": "keep"},
    ),
    # conflicts
    "another Application's object": Row(FOUR, {"new.yaml": m.config("new")}, {"ConfigMap/new": "conflict"}, theirs),
    "an object that another Application took": Row(
        FOUR,
        {"a.yaml": m.config("a", "2")},
        {"ConfigMap/a": "conflict"},
        lambda world: theirs(world, name="ConfigMap/a"),
    ),
    "what names an object in conflict": Row(
        FOUR,
        WEB,
        {"Secret/db": "conflict", "Deployment/web": "hold"},
        lambda world: theirs(world, m.plain_secret(), "Secret/db"),
    ),
    "another Application's object that is to be left to others": Row(
        FOUR, {"new.yaml": ONCE}, {"ConfigMap/new": "conflict"}, theirs
    ),
    "fields of another manager": Row(
        FOUR,
        {"new.yaml": m.config("new"), "web.yaml": m.workload()},
        {"ConfigMap/new": "conflict", "Deployment/web": "create commit"},
        lambda world: world.make(m.config("new", "theirs"), "terraform"),
        spec={"sync": {"force": False}},
    ),
    "fields that kubectl applied": Row(
        FOUR,
        {"new.yaml": m.config("new")},
        {"ConfigMap/new": "change commit"},
        lambda world: world.make(m.config("new", "theirs"), "kubectl-client-side-apply"),
        spec={"sync": {"force": False}},
    ),
    # replaced
    "an immutable field": Row(IMMUTABLE, {"web.yaml": m.workload(app="two")}, {"Deployment/web": "hold"}),
    "an object that may be replaced": Row(IMMUTABLE, REPLACE, {"Deployment/web": "replace commit"}),
    "an object that may be replaced, of another Application": Row(
        IMMUTABLE, REPLACE, {"Deployment/web": "conflict"}, lambda world: theirs(world, name="Deployment/web")
    ),
    "an object that may be replaced, of another Application, where it is new": Row(
        FOUR,
        REPLACE,
        {"Deployment/web": "conflict"},
        lambda world: theirs(world, m.workload(app="one"), "Deployment/web"),
    ),
    "an object that may be replaced, without an owner": Row(
        FOUR, REPLACE, {"Deployment/web": "hold"}, lambda world: world.make(m.workload(app="one"), "terraform")
    ),
    "a Job that stands, of which a value that cannot be changed in place is another one": Row(
        JOB,
        {},
        {},
        rotate,
        spec={"operator": m.operator(sinks={"env": True}), "secrets": {"allow": ["Env"]}},
        triggers=(),
    ),
    # made once
    "made where it is missing": Row(FOUR, {"new.yaml": ONCE}, {"ConfigMap/new": "create commit"}),
    "left to others": Row(FOUR, {"new.yaml": ONCE}, {}, lambda world: world.make(m.config("new", "theirs"))),
    "made once, and gone": Row(
        {**FOUR, "new.yaml": ONCE},
        {},
        {"ConfigMap/new": "create live-deletion"},
        lambda world: world.delete("ConfigMap/new"),
    ),
    "made once, and changed in Git": Row(
        {**FOUR, "new.yaml": ONCE},
        {"new.yaml": m.config("new", "2", annotations={"apply": "if-not-present"})},
        {},
    ),
    "made once, and another one since": Row(
        {**FOUR, "new.yaml": ONCE},
        {},
        {},
        both(lambda world: world.delete("ConfigMap/new"), lambda world: world.make(m.config("new", "theirs"))),
    ),
    "a namespace of its own": Row(
        FOUR,
        {"e.yaml": there("e")},
        {"Namespace/jobs": "create commit", "ConfigMap/e": "create commit"},
        spec=JOBS,
    ),
    "several namespaces": Row(
        {**FOUR, "e.yaml": there("e"), "f.yaml": there("f")},
        {"e.yaml": None, "f.yaml": there("f", "2")},
        {"ConfigMap/e": "prune", "ConfigMap/f": "change commit"},
        spec=JOBS,
    ),
    "a label of a namespace that was made": Row(
        {**FOUR, "e.yaml": there("e")},
        {},
        {"Namespace/jobs": "change live-edit"},
        lambda world: world.edit("Namespace/jobs", "metadata", "labels", "tier", to="edited"),
        spec=JOBS,
    ),
    "what others add to a namespace": Row(
        {**FOUR, "e.yaml": there("e")},
        {},
        {},
        lambda world: world.edit("Namespace/jobs", "metadata", "labels", "mesh", to="on"),
        spec=JOBS,
    ),
    "a namespace that stands already": Row(
        FOUR,
        {"e.yaml": there("e")},
        {"ConfigMap/e": "create commit"},
        lambda world: world.server.create(m.namespace("jobs"), "installer"),
        spec=JOBS,
    ),
    "a namespace that is not asked for": Row(FOUR, {"e.yaml": there("e")}, {"ConfigMap/e": "hold"}),
    "left alone": Row(FOUR, {"a.yaml": m.config("a", "2", annotations={"reconcile": "disabled"})}, {}),
}


OPERATOR = m.operator(destinations=[{"applicationNamespace": "shop", "namespaces": ["jobs"]}])


def world_of(files: Mapping[str, str], operator: OperatorSettings = OPERATOR, **spec: object) -> Installation:
    world = Installation(files=files, operator=operator, **spec)
    world.stores.write("kv/db", password="first", user="shop")
    return world


def tree_of(row: Row) -> dict[str, str]:
    return {path: text for path, text in {**row.before, **row.change}.items() if text is not None}


@pytest.mark.parametrize("name", ROWS)
async def test_a_diff_predicts_the_next_run(asking: Callable[..., User], name: str) -> None:
    row = ROWS[name]
    world = world_of(row.before, **row.spec)
    assert (await world.run()).problems == []
    row.meddle(world)
    said = await asking(world, store=world.stores).diff(tree_of(row))

    found = {
        name: f"{each} {said.causes.get(name, '') if each in APPLIED else ''}".strip()
        for name, each in said.actions.items()
    }
    assert found == row.found, said.errors
    assert said.unknown == []
    assert said.code == (2 if said.of("hold", "conflict") or said.problems else 1 if said.actions else 0)

    if row.change:
        world.push(tree_of(row))
    ran = await world.run(*row.triggers) if row.triggers else await world.probe()
    assert ran is not None
    sent = {write for write in ran.writes if ":" not in write and not write.startswith("patch")}
    deletions = {f"delete {name}" for name in said.of("prune", "replace")}
    assert sent == deletions | {f"apply {name}" for name in said.of(*APPLIED)}
    stays = {name_of(each.object) for each in ran.changes if each.action in STAYS}
    assert stays | {problem.split()[1] for problem in ran.problems} == said.of(*STAYS)
    assert {name: ran.causes[name] for name in said.of(*APPLIED)} == {
        name: said.causes[name] for name in said.of(*APPLIED)
    }
