"""What may be deleted, as a table."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.desired.compiler import DesiredState
from agent.engine import prune
from agent.engine.live import LiveFact
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.manifests.health import Health
from agent.manifests.layers import Desired
from agent.values.errors import ManifestError
from agent.values.ids import ObjectId, Revision
from agent.values.problems import Problem

COMMIT = "1f0c3b2a9d4e5f60718293a4b5c6d7e8f9012345"
REVISION = Revision(COMMIT, "main", "dev", 0)
OBSERVED = {("", "ConfigMap"), ("", "PersistentVolumeClaim")}


def config(name: str) -> ObjectId:
    return ObjectId("", "ConfigMap", "shop", name)


def claim(name: str) -> ObjectId:
    return ObjectId("", "PersistentVolumeClaim", "shop", name)


def fact(owner: str | None, *, keep: bool = False) -> LiveFact:
    return LiveFact("u", "1", owner, "p", Health("Healthy", ""), keep=keep)


@dataclass
class Case:
    recorded: str
    """Names of ConfigMaps that are recorded, ours and live."""
    desired: str
    allowed: str
    confirmed: str = ""
    enabled: bool = True
    held: bool = False
    claims: str = ""
    extra: dict[ObjectId, LiveFact] = field(default_factory=dict)


CASES = {
    "one file deleted": Case("abcde", "abcd", "e"),
    "two of five": Case("abcde", "abc", "de"),
    "two of three are not many": Case("abc", "a", "bc"),
    "three of five are many": Case("abcde", "ab", ""),
    "three of six are not over half": Case("abcdef", "abc", "def"),
    "all": Case("a", "", ""),
    "all, confirmed": Case("a", "", "a", confirmed=COMMIT),
    "many, confirmed by the beginning of the commit": Case("abcde", "ab", "cde", confirmed=COMMIT[:7]),
    "too short a confirmation": Case("abcde", "ab", "", confirmed=COMMIT[:6]),
    "a confirmation of another commit": Case("abcde", "ab", "", confirmed="2" * 40),
    "anything held": Case("abcde", "abcd", "", held=True),
    "pruning off": Case("abcde", "abcd", "", enabled=False),
    "a volume claim": Case("abcd", "abcd", "", claims="v"),
    "a volume claim, confirmed": Case("abcd", "abcd", "v", claims="v", confirmed=COMMIT),
    "an object that is not recorded but proven ours": Case("abcd", "abcd", "x", extra={config("x"): fact("uid")}),
    "an object of another Application": Case("abcd", "abcd", "", extra={config("x"): fact("other")}),
    "an object that nothing proves": Case("abcd", "abcd", "", extra={config("x"): fact(None)}),
    "an object that asks to be kept": Case("abcd", "abcd", "", extra={config("x"): fact("uid", keep=True)}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_deleted(case: Case) -> None:
    recorded = [*map(config, case.recorded), *map(claim, case.claims)]
    problem = Problem(ManifestError("broken"), file="x.yaml")
    decision = prune.decide(
        DesiredState(
            REVISION,
            {config(name): Desired(config(name), "v1", {}, ()) for name in case.desired},
            problems=(problem,) if case.held else (),
        ),
        record=ApplicationRecord(objects={key: ObjectRecord("v1", uid="u") for key in recorded}),
        live={**{key: fact("uid") for key in recorded}, **case.extra},
        application="uid",
        policy=prune.Policy(case.enabled, case.confirmed),
        observed=OBSERVED,
    )
    assert "".join(sorted(key.name for key in decision.allowed)) == case.allowed


def test_a_held_object_is_never_a_candidate() -> None:
    held = config("h")
    decision = prune.decide(
        DesiredState(REVISION, {}, held={held: ManifestError("broken")}),
        record=ApplicationRecord(objects={held: ObjectRecord("v1", uid="u")}),
        live={held: fact("uid")},
        application="uid",
        policy=prune.Policy(confirmed=COMMIT),
        observed=OBSERVED,
    )
    assert decision.allowed == ()
    assert decision.refused == {}


def test_every_refusal_says_what_to_do() -> None:
    recorded = [config(name) for name in "abcde"]
    decision = prune.decide(
        DesiredState(REVISION, {}),
        record=ApplicationRecord(objects={key: ObjectRecord("v1", uid="u") for key in recorded}),
        live={key: fact("uid") for key in recorded},
        application="uid",
        policy=prune.Policy(),
        observed=OBSERVED,
    )
    assert set(decision.refused) == set(recorded)
    assert all("confirm-prune" in error.hint for error in decision.refused.values())


def test_objects_of_a_kind_that_cannot_be_watched_count_among_the_many() -> None:
    recorded = [config(name) for name in "abcde"]
    decision = prune.decide(
        DesiredState(REVISION, {config("a"): Desired(config("a"), "v1", {}, ())}),
        record=ApplicationRecord(objects={key: ObjectRecord("v1", uid="u") for key in recorded}),
        live={},
        application="uid",
        policy=prune.Policy(),
        observed=(),
    )
    assert decision.allowed == ()


@pytest.mark.parametrize("held", [False, True])
def test_what_does_not_stand_any_more_is_said_to_be_gone(held: bool) -> None:
    """`c` was deleted by hand, `n` is of a first apply that never came, `x` of a kind of which nothing is known."""
    unwatched = ObjectId("", "Service", "shop", "x")
    recorded = {config(name): ObjectRecord("v1", uid="u" if name != "n" else "") for name in "abcdefn"}
    decision = prune.decide(
        DesiredState(
            REVISION,
            {config(name): Desired(config(name), "v1", {}, ()) for name in "adef"},
            problems=(Problem(ManifestError("broken")),) if held else (),
        ),
        record=ApplicationRecord(objects={**recorded, unwatched: ObjectRecord("v1", uid="u")}),
        live={config(name): fact("uid") for name in "abdef"},
        application="uid",
        policy=prune.Policy(),
        observed=OBSERVED,
    )
    assert {key.name for key in (*decision.allowed, *decision.refused)} == {"b", "x"}
    assert decision.gone == {config("c"), config("n")}
