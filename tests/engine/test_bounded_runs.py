"""What a run keeps, writes and reports of a commit does not grow by number times length of what stands in it."""

from __future__ import annotations

import logging
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import cost
import pytest

from agent.api import application as applications
from agent.api.status import ApplicationStatus
from agent.controllers import status
from agent.controllers.live_facts import LiveFacts
from agent.controllers.managed import ManagedApplication
from agent.controllers.reporting import Reporter
from agent.controllers.status import Standing
from agent.controllers.watching import Watching
from agent.desired.compiler import DesiredState
from agent.engine import audit_entries, plan, shards, written
from agent.engine.assembling import Assembled, Assembler
from agent.engine.causes import Cause, Trigger
from agent.engine.changes import Step
from agent.engine.context import Fingerprints
from agent.engine.live import Observer
from agent.engine.outcome import Outcome
from agent.engine.ports import Resolved
from agent.engine.prune import Policy
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.engine.results import Result
from agent.engine.shards import Codec
from agent.engine.state import State
from agent.manifests.layers import Desired
from agent.manifests.ownership import Owner
from agent.manifests.references import Reference
from agent.sops.files import sealed
from agent.values import derive
from agent.values.errors import LimitError, ManifestError
from agent.values.ids import IN_CLUSTER, ApplicationId, ObjectId, Revision
from agent.values.problems import Problem
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.engine.context import Run
    from agent.engine.ledger import Ledger
    from agent.engine.ports import TargetPort
    from agent.values.tree import Object, Tree

KEY = ObjectId("example.com", "Thing", "shop", "web")
PRINTS = Fingerprints.derive(Secret(b"k" * 32, "test"))
REVISION = Revision("a" * 40, "main", "Dev <dev@example.com>", 0)
APPLICATION = applications.parse(
    {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
        "spec": {"source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}},
    }
)


def thing(leaf: Tree, *, leaves: int = 6000, levels: int = 100) -> Object:
    """Many leaves below keys of a thousand characters: 161 KiB of YAML."""
    tree: Object = {f"leaf-{number}": leaf for number in range(leaves)}
    for level in range(levels):
        tree = {f"{level}".ljust(1000, "k"): tree}
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "web", "namespace": "shop"}} | tree


def state(tree: Object) -> DesiredState:
    return DesiredState(REVISION, {KEY: Desired(KEY, "example.com/v1", tree, ("thing.yaml",))})


def test_a_commit_that_changes_much_is_compared_as_far_as_it_is_reported() -> None:
    before, after = state(thing("1")), state(thing("2"))
    known = ApplicationRecord(objects={KEY: ObjectRecord("example.com/v1", uid="u", desired_digest="old")})
    finished = {KEY: Assembled(KEY, after.objects[KEY].tree, ObjectRecord("example.com/v1", desired_digest="new"))}
    with cost.at_most(seconds=1):
        tracemalloc.start()
        try:
            steps = plan.compute(after, finished, {KEY: Cause.COMMIT}, plan.Basis(known, "u", Policy(), before=before))
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()
    fields = steps.steps[0].fields
    assert len(fields) == 51
    assert fields[-1] == "and more"
    assert max(map(len, fields)) == 256


def test_a_heal_tells_the_first_fields_that_it_put_right() -> None:
    live, answer = thing("1", leaves=3000), thing("2", leaves=3000)
    done = written.explained(Result(KEY, "heal"), live, answer)
    assert len(done.fields) == 51
    assert max(map(len, done.fields)) == 256
    assert written.explained(Result(KEY, "heal"), None, answer).fields == ()


def test_an_audit_entry_has_the_first_secrets_and_how_many_more_there_are() -> None:
    tree = thing(Secret("x", "sops:" + "p" * 5000), leaves=2000)
    step = Step(Assembled(KEY, tree, ObjectRecord("example.com/v1")), Cause.NEW)
    run = SimpleNamespace(id="r", application_id=APPLICATION.id, revision=REVISION, fingerprints=PRINTS)
    entry = audit_entries.of_step(cast("Run", run), step, "intent")
    assert entry.fingerprints is not None
    assert list(entry.fingerprints.values())[-1] == "and 1950 more"
    assert max(map(len, entry.fingerprints)) == 256
    assert [len(label) for label in entry.secrets] == [256]


def test_a_status_looks_at_the_failures_that_it_shows() -> None:
    problems = tuple(Problem(ManifestError("wrong", field=f"{number}" + "\x1b" * 4000)) for number in range(20_000))
    outcome = Outcome(State(), replace(state(thing("1", leaves=1)), problems=problems), problems)
    with cost.at_most(seconds=1):
        shown = status.compute(
            APPLICATION,
            Standing(),
            outcome,
            ApplicationStatus(),
            triggers=frozenset({Trigger.INTERVAL}),
            started=0.0,
            now=0.0,
        )
    assert len(shown.model_dump_json()) <= 33_000
    assert shown.conditions[0].message.endswith("(and 19999 more)")


async def test_the_log_names_as_many_problems_as_the_status(caplog: pytest.LogCaptureFixture) -> None:
    class Cluster:
        events = 0

        async def update_status(self, *_: object) -> None: ...

        async def event(self, *_: object, **__: object) -> None:
            self.events += 1

    problems = tuple(Problem(ManifestError("wrong", file="f" * 100_000, n=number)) for number in range(5000))
    results = tuple(Result(replace(KEY, name=f"{n}"), "heal", fields=("f" * 256,) * 51) for n in range(300))
    cluster = Cluster()
    metrics = SimpleNamespace(
        reconciled=lambda *_: None,
        objects=lambda *_: None,
        held=lambda *_: None,
        waits=lambda *_: None,
        refused=lambda *_: None,
        synced=lambda *_: None,
        healed=lambda _: None,
    )
    ports = SimpleNamespace(
        home=cluster,
        live=SimpleNamespace(snapshot=lambda _: {}),
        metrics=metrics,
        clock=SimpleNamespace(now=lambda: 0.0, monotonic=lambda: 0.0),
    )
    managed = ManagedApplication(APPLICATION.id, APPLICATION)
    reporter = Reporter(ports, "agent-0")
    with caplog.at_level(logging.INFO, "signet"):
        for _ in range(7):
            await reporter.run_ended(
                managed,
                APPLICATION,
                Outcome(State(), None, problems, results=results),
                triggers=frozenset(),
                started=0.0,
                seconds=0.0,
            )
    lines = caplog.records[: len(caplog.records) // 7]
    assert sum(line.message == "problem" for line in lines) == 50
    assert [vars(line)["problems"] for line in lines if line.message == "more problems"] == [4950]
    assert sum(len(str(vars(line))) for line in lines) < 2 << 20
    assert cluster.events < 7 * 30


def test_a_shard_that_could_not_be_read_back_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = Codec(PRINTS.records, "u")
    files = tuple(f"{number}/{'f' * 500}" for number in range(200))
    large = ApplicationRecord(objects={KEY: ObjectRecord("v1", uid="u", files=files)})
    stored = codec.encode(large, {})
    monkeypatch.setattr(shards, "_MOST_BYTES", 64 * 1024)
    with pytest.raises(shards.RecordDamagedError):
        codec.decode(stored)
    with pytest.raises(LimitError, match="too large to be read back"):
        codec.encode(large, {})


def assembler() -> Assembler:
    return Assembler(Owner("i", ApplicationId("shop", "app", "uid")), PRINTS.owners, PRINTS.applied, lambda: 0.0)


MEGABYTE = Secret("x" * (1 << 20), "vault:main/secret/shop#large@1")
LARGE = Reference("main", "secret/shop", "large")
OBJECTS: dict[str, Object] = {
    "in many keys": {"stringData": {f"key-{number}": str(LARGE) for number in range(5000)}},
    "many times in a text": {"stringData": {"text": f"${{{LARGE}}}" * 5000}},
}


@pytest.mark.parametrize("fields", OBJECTS.values(), ids=OBJECTS)
def test_a_value_of_a_store_is_not_multiplied_past_what_an_api_server_takes(fields: Object) -> None:
    tree: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}, **fields}
    item = Desired(ObjectId("", "Secret", "shop", "db"), "v1", tree, ())
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="larger than the API server accepts"):
            assembler().build(item, tree, {LARGE: Resolved(MEGABYTE, 1)}, desired_digest="r", roll="")
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


def test_a_size_is_of_all_texts_together() -> None:
    assert derive.size({"a": [Secret("abc", "x"), Secret(b"12", "x"), Secret(7, "x"), "clear"]}) == 5


def sops_file(leaves: int, levels: int) -> bytes:
    value = "ENC[AES256_GCM,data:AA==,iv:AAAAAAAAAAAAAAAAAAAAAA==,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]"
    above = "".join(f"{' ' * level}{'k' * 400}{level}:\n" for level in range(levels))
    below = "".join(f"{' ' * levels}l{number}: {value}\n" for number in range(leaves))
    keys = "sops:\n  age:\n  - recipient: age1x\n    enc: x\n  lastmodified: '2026-01-01T00:00:00Z'\n  version: 3.9.0\n"
    return (above + below + keys + f"  mac: {value}\n").encode()


def test_encrypted_values_have_no_places_that_are_together_much_longer_than_their_file() -> None:
    assert sealed.open_file(sops_file(1000, 0), file="s.yaml")
    assert sealed.open_file(sops_file(20, 9), file="s.yaml")
    with pytest.raises(LimitError, match="too long for so many of them"):
        sealed.open_file(sops_file(1000, 9), file="s.yaml")


async def test_whole_live_objects_are_kept_of_a_few_that_drift() -> None:
    observer = Observer("i", PRINTS.owners, PRINTS.owned)
    keys = [ObjectId("", "ConfigMap", "shop", f"c{number}") for number in range(500)]
    objects = {key: ObjectRecord("v1", uid="u", owned_digest="p") for key in keys}
    watching = Watching(cast("TargetPort", None), observer, LiveFacts())
    watching.adopt("u", cast("Ledger", SimpleNamespace(record=ApplicationRecord(objects=objects), cluster=IN_CLUSTER)))
    drifted: list[ObjectId] = []
    watching.drifted, watching.changed = lambda _, key: drifted.append(key), lambda _: None

    def edited(key: ObjectId, version: int) -> None:
        live: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": "shop", "name": key.name, "uid": "o", "resourceVersion": str(version)},
        }
        watching._note("u", key, observer.observe(live))

    for key in keys:
        edited(key, 1)
    assert drifted == keys, "each of them is healed"
    known = watching.snapshot("u")
    assert sum(fact.object is not None for fact in known.values()) == 50
    for key in keys[:50]:
        watching.observed("u", key, replace(known[key], resource_version="2", object=None))
    edited(keys[499], 3)
    assert watching.snapshot("u")[keys[499]].object is not None
