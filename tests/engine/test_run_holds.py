"""Only what is uncertain waits: what each fault of a commit, a store, a key or the API server holds back, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.manifests import documents
from agent.values.errors import ForbiddenError, LimitError, ObjectInvalidError, UnsupportedManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.values.errors import AgentError
    from agent.yaml.limits import Limits

CALM = {"b.yaml": m.config("b"), "c.yaml": m.config("c"), "d.yaml": m.config("d"), "e.yaml": m.config("e")}
GONE = {"gone.yaml": m.config("gone")}
ENCRYPTED = encrypt(m.plain_secret("s"), "s.yaml")


@dataclass
class Case:
    """A fault that a second commit brings, or something that `happens` beside it.

    `problems` are all that is reported, and of the objects of `files` only `writes` are sent.
    """

    files: Mapping[str, str]
    problems: list[str]
    writes: list[str] = field(default_factory=list)
    before: Mapping[str, str] = field(default_factory=dict)
    happens: Callable[[Installation], None] = lambda _: None
    ends: Callable[[Installation], None] = lambda _: None
    spec: Mapping[str, object] = field(default_factory=dict)
    operator: Mapping[str, object] = field(default_factory=dict)
    transient: bool = False


def refuses(name: str, error: AgentError) -> Callable[[Installation], None]:
    def admit(key, tree) -> None:
        if key.name == name:
            raise error

    return lambda world: world.server.admission.append(admit)


def admits(world: Installation) -> None:
    world.server.admission.clear()


def written(world: Installation) -> None:
    world.stores.write("kv/db", password="right")


def away(world: Installation) -> None:
    world.stores.away = True


def back(world: Installation) -> None:
    world.stores.away = False
    written(world)


def keys_lost(world: Installation) -> None:
    world.keys.held.clear()


def symlink(world: Installation) -> None:
    world.git.refused["link.yaml"] = LimitError("a symlink is not followed", file="link.yaml")


def no_symlink(world: Installation) -> None:
    world.git.refused.clear()


WITH_SECRET = {"s.yaml": m.secret("db"), "w.yaml": m.workload(uses="db")}
SECOND = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\nkind: [\n"

CASES = {
    "a file that does not parse": Case({"x.yaml": "kind: [\n"}, ["Yaml x.yaml"]),
    "a file that does not parse holds what it was applied from": Case(
        {"x.yaml": SECOND}, ["Yaml x.yaml"], before={"x.yaml": m.config("x", "old")}
    ),
    "a file that is not a manifest": Case({"x.yaml": "just: text\n"}, ["Manifest x.yaml"]),
    "a file of a renderer": Case(
        {"kustomization.yaml": "resources: [x]\n"}, ["UnsupportedManifest kustomization.yaml"]
    ),
    "a name that is to be generated": Case(
        {"x.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n"}, ["UnsupportedManifest x.yaml"]
    ),
    "one of two documents that cannot be applied": Case(
        {"x.yaml": m.config("x") + "---\n" + m.config("y", annotations={"wave": "soon"})},
        ["Manifest ConfigMap/y"],
        ["apply ConfigMap/x"],
    ),
    "a file that is not handed out": Case({}, ["Limit link.yaml"], happens=symlink, ends=no_symlink),
    "an altered file, and the workload that names its Secret": Case(
        {"s.yaml": ENCRYPTED.replace("name: s", "name: t"), "w.yaml": m.workload(uses="t")},
        ["MacMismatch s.yaml"],
    ),
    "an altered file whose objects were applied": Case(
        {
            "s.yaml": ENCRYPTED.replace("kind: Secret", "kind: Secret\ntype: Opaque"),
            "w.yaml": m.workload(uses="s", image="web:2"),
        },
        ["MacMismatch s.yaml"],
        before={"s.yaml": ENCRYPTED, "w.yaml": m.workload(uses="s")},
    ),
    "a file that no key opens": Case(
        {"s.yaml": encrypt(m.plain_secret("s"), "s.yaml", recipient="age1other"), "w.yaml": m.workload(uses="s")},
        ["DataKey s.yaml"],
        ends=lambda world: world.keys.held.add("age1other"),
    ),
    "a value that is not in its store": Case(WITH_SECRET, ["StoreNotFound Secret/db"], ends=written),
    "a key that is not in its secret": Case(
        WITH_SECRET,
        ["StoreNotFound Secret/db"],
        happens=lambda world: world.stores.write("kv/db", other="x"),
        ends=written,
    ),
    "a version that is not in its store": Case(
        {"s.yaml": m.secret("db", "vault://main/kv/db?version=2#password")},
        ["StoreNotFound Secret/db"],
        happens=written,
        ends=written,
    ),
    "a path that the store refuses": Case(
        WITH_SECRET,
        ["StoreDenied Secret/db"],
        happens=lambda world: world.stores.denied.add("kv/db"),
        ends=lambda world: (world.stores.denied.clear(), written(world))[1],
    ),
    "a store that is away": Case(WITH_SECRET, ["StoreUnavailable Secret/db"], happens=away, ends=back, transient=True),
    "an optional value of a store that is away": Case(
        {"s.yaml": m.secret("db", "vault://main/kv/db?optional=true#password")},
        ["StoreUnavailable Secret/db"],
        happens=away,
        ends=back,
        transient=True,
    ),
    "a store that is not configured": Case(
        {"s.yaml": m.secret("db", "vault://other/kv/db#password")}, ["UnknownStore Secret/db"]
    ),
    "a reference that cannot be read": Case(
        {"s.yaml": m.secret("db", "vault://main/kv/db"), "w.yaml": m.workload(uses="db")}, ["ReferenceSyntax Secret/db"]
    ),
    "a reference of another tool": Case(
        {"s.yaml": m.secret("db", "<path:kv/data/db#password>")}, ["ReferenceSyntax Secret/db"]
    ),
    "a value that breaks the URL around it": Case(
        {"s.yaml": m.secret("db", "postgres://shop:${vault://main/kv/db#password}@db/shop")},
        ["SecretValue Secret/db"],
        happens=lambda world: world.stores.write("kv/db", password="p@ss"),
        ends=written,
    ),
    "data that is not base64": Case(
        {"s.yaml": m.other("Secret", "db", data={"password": "no base64!"}), "w.yaml": m.workload(uses="db")},
        ["Manifest Secret/db"],
    ),
    "a secret where none may stand": Case(
        {"x.yaml": m.config("x", "vault://main/kv/db#password")}, ["Sink ConfigMap/x"], happens=written
    ),
    "a secret where only the Application allows it": Case(
        {"x.yaml": m.config("x", "vault://main/kv/db#password")},
        ["Sink ConfigMap/x"],
        happens=written,
        spec={"secrets": {"allow": ["ConfigMap"]}},
    ),
    "a secret where only the operator allows it": Case(
        {"x.yaml": m.config("x", "vault://main/kv/db#password")},
        ["Sink ConfigMap/x"],
        happens=written,
        operator={"sinks": {"configMaps": True}},
    ),
    "one identity twice": Case(
        {"x.yaml": m.config("x"), "y.yaml": m.config("x", "2"), "z.yaml": m.config("z")},
        ["DuplicateObject ConfigMap/x"],
        ["apply ConfigMap/z"],
    ),
    "an object of another namespace": Case(
        {"x.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: bank}\n"},
        ["ForeignNamespace ConfigMap/x"],
    ),
    "a kind that is not served": Case({"x.yaml": m.gadget("x")}, ["UnknownKind Gadget/x"]),
    "a Secret in the clear where the Application denies it": Case(
        {"s.yaml": m.plain_secret("s"), "w.yaml": m.workload(uses="s")},
        ["PlaintextSecret Secret/s"],
        spec={"secrets": {"plaintext": "deny"}},
    ),
    "a Secret in the clear where the operator denies it": Case(
        {"s.yaml": m.plain_secret("s")}, ["PlaintextSecret Secret/s"], operator={"secrets": {"plaintext": "deny"}}
    ),
    "values that the MAC does not hold, where the operator holds them": Case(
        {"s.yaml": encrypt(m.plain_secret("s") + "immutable: true\n", "s.yaml")},
        ["ClearValues s.yaml"],
        operator={"sops": {"clearValues": "hold"}},
    ),
    "a value of a SealedSecret that does not open": Case(
        {"s.yaml": m.sealed_secret("db"), "w.yaml": m.workload(uses="db")},
        ["SealedSecret Secret/db"],
        operator={"sealedSecrets": {"keys": [{"secretName": "key"}]}},
        happens=lambda world: setattr(world.sealing_keys, "there", False),
        ends=lambda world: setattr(world.sealing_keys, "there", True),
    ),
    "an object that the API server does not take": Case(
        {"x.yaml": m.config("x"), "y.yaml": m.config("y")},
        ["ObjectInvalid ConfigMap/x"],
        ["apply ConfigMap/x: ObjectInvalid", "apply ConfigMap/y"],
        happens=refuses("x", ObjectInvalidError("object is invalid")),
        ends=admits,
    ),
    "an object that RBAC forbids": Case(
        {"x.yaml": m.config("x")},
        ["Forbidden ConfigMap/x"],
        ["apply ConfigMap/x: Forbidden"],
        happens=refuses("x", ForbiddenError("RBAC does not allow it")),
        ends=admits,
    ),
}
FAILED = {"an object that the API server does not take", "an object that RBAC forbids"}
"""What failed is not held: what is desired is certain, and pruning goes on."""


async def prepared(case: Case) -> Installation:
    world = Installation(
        files={**CALM, **GONE, "a.yaml": m.config("a"), **case.before},
        operator=m.operator(**case.operator),
        **case.spec,
    )
    assert (await world.run()).problems == []
    case.happens(world)
    world.push({**CALM, "a.yaml": m.config("a", "2"), **case.files})
    return world


@pytest.mark.parametrize("name", CASES)
async def test_a_fault_holds_what_it_makes_doubtful_and_no_more(name: str) -> None:
    case = CASES[name]
    world = await prepared(case)
    ran = await world.run()
    others = [write for write in ran.writes if write not in {"apply ConfigMap/a", "delete ConfigMap/gone"}]
    assert world.value("ConfigMap/a", "data", "value") == "2", "what is certain is applied"
    assert others == case.writes
    assert [text for text in ran.problems if not text.startswith("PruneRefused")] == case.problems
    assert ran.status.conditions[0].status == "False"
    assert ran.ready == case.problems[0].partition(" ")[0]
    retried = {each.type: each.status for each in ran.status.conditions}
    assert (retried["Reconciling"], retried["Stalled"]) == (("True", "False") if case.transient else ("False", "True"))


@pytest.mark.parametrize("name", CASES)
async def test_nothing_is_pruned_while_anything_is_held(name: str) -> None:
    world = await prepared(CASES[name])
    ran = await world.run()
    if name in FAILED:
        assert world.live("ConfigMap/gone") is None
        return
    assert world.live("ConfigMap/gone") is not None
    assert "PruneRefused ConfigMap/gone" in ran.problems


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].before])
async def test_what_is_held_stays_as_it_was_applied(name: str) -> None:
    case = CASES[name]
    world = await prepared(case)
    names = [each for each in world.recorded if each not in {"ConfigMap/a", "ConfigMap/gone"}]
    before = [world.live(each) for each in names]
    await world.run()
    assert [world.live(each) for each in names] == before


@pytest.mark.parametrize("name", CASES)
async def test_what_was_held_is_applied_and_pruning_goes_on_when_it_is_corrected(name: str) -> None:
    case = CASES[name]
    world = await prepared(case)
    await world.run()
    case.ends(world)
    if case.ends is Case.ends:
        world.push({**CALM, "a.yaml": m.config("a", "2"), "x.yaml": m.config("x", "right")})
    ran = await world.run()
    assert ran.problems == []
    assert ran.ready == "Applied"
    assert world.live("ConfigMap/gone") is None
    assert (await world.run()).quiet


@pytest.mark.parametrize("name", CASES)
async def test_the_report_of_a_fault_stays_as_it_was_first(name: str) -> None:
    world = await prepared(CASES[name])
    await world.run()
    first = (await world.run("retry")).status
    for seconds in (1.0, 37.0, 4000.0):
        world.clock.seconds += seconds
        later = (await world.run("retry")).status
        assert later.failures == first.failures
        assert [each.message for each in later.conditions] == [each.message for each in first.conditions]


async def test_of_many_objects_one_that_is_invalid_keeps_no_other() -> None:
    files = {f"{number}.yaml": m.config(f"n{number}") for number in range(100)}
    world = Installation(files=files)
    refuses("n7", ObjectInvalidError("object is invalid"))(world)
    ran = await world.run()
    assert ran.problems == ["ObjectInvalid ConfigMap/n7"]
    assert len(world.recorded) == 99
    assert (ran.status.counts.applied, ran.status.counts.failed) == (99, 1)


async def test_what_names_an_object_that_failed_waits_for_it() -> None:
    world = Installation(
        files={**CALM, "s.yaml": m.secret("db"), "w.yaml": m.workload(uses="db"), "x.yaml": m.workload("x")}
    )
    written(world)
    refuses("db", ObjectInvalidError("object is invalid"))(world)
    ran = await world.run()
    assert ran.problems == ["ObjectInvalid Secret/db", "Held Deployment/web"]
    assert world.live("Deployment/web") is None
    assert world.live("Deployment/x") is not None
    admits(world)
    assert (await world.run()).problems == []
    assert world.live("Deployment/web") is not None


async def test_a_commit_that_only_adds_what_is_refused_holds_too() -> None:
    world = Installation(files={**CALM, **GONE})
    await world.run()
    world.git.refused["x.yaml"] = UnsupportedManifestError("symbolic links are not followed", file="x.yaml")
    world.push({**CALM, **GONE})
    ran = await world.run("git")
    assert ran.problems == ["UnsupportedManifest x.yaml"]
    assert ran.ready == "UnsupportedManifest"
    world.git.refused.clear()
    world.push({**CALM, **GONE})
    assert (await world.run("git")).problems == []


async def test_more_objects_than_the_agent_takes_are_none() -> None:
    world = Installation(files=CALM)
    await world.run()
    world.limits = world.limits.model_copy(update={"objects": 5})
    world.push({f"{number}.yaml": m.config(f"n{number}") for number in range(6)})
    ran = await world.run()
    assert (ran.writes, ran.ended_by) == ([], "Limit")
    world.edit("ConfigMap/b", "data", "value", to="edited")
    assert (await world.heal()).writes == ["apply ConfigMap/b"], "the last revision stays and is healed"


async def test_more_keys_and_values_than_the_agent_takes_are_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Installation(files=CALM)
    await world.run()
    world.limits = world.limits.model_copy(update={"values": 150_000})
    paths: list[str] = []
    parse_file = documents.parse_file

    def counted(file: documents.File, *, limits: Limits) -> documents.ParsedFile:
        paths.append(file.path)
        return parse_file(file, limits=limits)

    monkeypatch.setattr(documents, "parse_file", counted)
    many = "".join(f"  k{number:05}: some text of it\n" for number in range(40_000))
    world.push({f"{name}.yaml": f"{m.config(name).partition('data:')[0]}data:\n{many}" for name in "uvwxyz"})
    for _ in range(3):
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([], ["Limit"])
    assert 0 < len(paths) < 6, "nor is any of it read again"
    world.edit("ConfigMap/b", "data", "value", to="edited")
    assert (await world.heal()).writes == ["apply ConfigMap/b"], "the last revision stays and is healed"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (encrypt(m.plain_secret("s"), "s.yaml", recipient="age1other"), "DataKey"),
        (ENCRYPTED.replace("kind: Secret", "kind: Secret\ntype: Opaque"), "MacMismatch"),
        (m.config("s") + "---\n" + m.config("s"), "DuplicateObject"),
        (m.config("s", annotations={"wave": "soon"}), "Manifest"),
    ],
)
async def test_what_is_held_before_it_was_ever_applied_is_listed_with_its_file(text: str, reason: str) -> None:
    world = Installation(files={**CALM, "s.yaml": text})
    ran = await world.run()
    assert [problem.split()[0] for problem in ran.problems] == [reason]
    (held,) = [each for each in ran.status.objects if each.sync == "Held"]
    assert held.file == "s.yaml"
