"""What the watches know of live objects: whose it is, what of it is news, and that what was handed out stays as it is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.controllers.live_facts import LiveFacts
from agent.controllers.watching import Watching
from agent.engine.ledger import Ledger
from agent.engine.live import LiveFact
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.manifests.health import Health
from agent.values.ids import IN_CLUSTER, ClusterId, ObjectId

A, B = (ObjectId("", "ConfigMap", "shop", name) for name in "ab")
ELSEWHERE = ClusterId("elsewhere")


def fact(version: str, owner: str | None = "u") -> LiveFact:
    return LiveFact("o", version, owner, "p", Health("Healthy", ""))


def ledger(*recorded: ObjectId) -> Ledger:
    codec, records = SimpleNamespace(encode=lambda *_: {}), SimpleNamespace()
    made = Ledger(records, SimpleNamespace(), codec, SimpleNamespace(), lambda: None, cluster=IN_CLUSTER)
    made.record = ApplicationRecord(objects={key: ObjectRecord("v1", uid="o") for key in recorded})
    return made


def watching(*recorded: ObjectId) -> Watching:
    made = Watching(SimpleNamespace(cluster=IN_CLUSTER), SimpleNamespace(), LiveFacts())
    made.adopt("u", ledger(*recorded))
    return made


def test_a_snapshot_stays_as_it_is():
    made = watching()
    made.observed("u", A, fact("1"))
    taken = made.snapshot("u")
    made.observed("u", A, fact("2"))
    made.observed("u", B, fact("3"))
    assert {key: each.resource_version for key, each in taken.items()} == {A: "1"}
    assert {key: each.resource_version for key, each in made.snapshot("u").items()} == {A: "2", B: "3"}


@pytest.mark.parametrize(("then", "known"), [("9", "10"), ("10", "10"), ("11", "11"), (None, None)])
def test_an_answer_counts_where_it_is_newer(then: str | None, known: str | None):
    made = watching()
    made.observed("u", A, fact("10"))
    made.observed("u", A, fact(then) if then else None)
    found = made.snapshot("u").get(A)
    assert (found and found.resource_version) == known


def test_what_a_run_hands_back_of_an_application_that_was_left_is_not_known():
    made = watching()
    made.release("u")
    made.observed("u", A, fact("1"))
    made.adopt("u", ledger())
    assert made.snapshot("u") == {}


async def test_what_a_ledger_records_counts_until_its_application_is_left():
    facts, mine = LiveFacts(), ledger()
    made = Watching(SimpleNamespace(cluster=IN_CLUSTER), SimpleNamespace(), facts)
    made.adopt("u", mine)
    await mine.save(ApplicationRecord(objects={A: ObjectRecord("v1", holds_secret=True)}))
    assert facts.holds_secret((IN_CLUSTER, A))
    made.release("u")
    made.adopt("u", ledger())
    await mine.save(ApplicationRecord(objects={A: ObjectRecord("v1", holds_secret=True), B: ObjectRecord("v1")}))
    assert not facts.recorders((IN_CLUSTER, A))


@pytest.mark.parametrize(
    ("owner", "recorded", "becomes"),
    [("u", (), True), ("other", (A,), False), (None, (A,), True), (None, (B,), False)],
    ids=["proven", "proven to be another's", "recorded", "neither"],
)
def test_what_came_before_its_application_becomes_its_own(owner: str | None, recorded: tuple[ObjectId], becomes: bool):
    facts = LiveFacts()
    facts.leave((IN_CLUSTER, A), fact("1", owner))
    facts.adopt("u", IN_CLUSTER, {key: ObjectRecord("v1") for key in recorded})
    assert (A in facts.snapshot("u")) == becomes
    facts.release("u")
    facts.adopt("u", IN_CLUSTER, {key: ObjectRecord("v1") for key in recorded})
    assert (A in facts.snapshot("u")) == becomes, "and again, once it was left"


def test_objects_of_one_name_in_two_clusters_are_two():
    facts = LiveFacts()
    facts.leave((ELSEWHERE, A), fact("1", None))
    facts.leave((ELSEWHERE, B), fact("1", "u"))
    facts.adopt("u", IN_CLUSTER, {A: ObjectRecord("v1", holds_secret=True)})
    assert facts.snapshot("u") == {}
    facts.put("u", A, fact("2"))
    facts.adopt("v", ELSEWHERE, {A: ObjectRecord("v1")})
    assert facts.snapshot("v")[A].resource_version == "1"
    assert [list(facts.holders((cluster, A))) for cluster in (IN_CLUSTER, ELSEWHERE)] == [["u"], ["v"]]
    assert [list(facts.recorders((cluster, A))) for cluster in (IN_CLUSTER, ELSEWHERE)] == [["u"], ["v"]]
    assert [facts.holds_secret((cluster, A)) for cluster in (IN_CLUSTER, ELSEWHERE)] == [True, False]


def test_the_indexes_keep_nothing_of_what_is_gone():
    facts = LiveFacts()
    facts.leave((IN_CLUSTER, B), fact("1", "v"))
    facts.adopt("u", IN_CLUSTER, {A: ObjectRecord("v1")})
    facts.put("u", A, fact("1"))
    assert list(facts.of_kind((IN_CLUSTER, "", "ConfigMap"))) == [A]
    assert facts.drop("u", A)
    assert not facts.drop("u", A)
    facts.record("u", {})
    facts.release("u")
    facts.claim((IN_CLUSTER, B))
    assert all(not getattr(facts, name) for name in vars(facts))
