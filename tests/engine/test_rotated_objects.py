"""Which recorded objects a probe finds to be of another version, as a table: of each object by what its own record says."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from memory_world.sources import Stores

from agent.controllers import probing
from agent.engine.record import ApplicationRecord, ObjectRecord, absent_at
from agent.values.ids import ApplicationId, ObjectId

DB, LATE, PINNED = (
    "vault://main/kv/db?optional=true#p",
    "vault://main/kv/late?optional=true#p",
    "vault://main/kv/db?optional=true&version=3#p",
)


@dataclass
class Case:
    """`recorded` are versions by reference, of each object; two versions of `p` stand at kv/db."""

    recorded: dict[str, dict[str, int]]
    changed: str
    errors: list[str] = field(default_factory=list)
    more: tuple[str, ...] = ()
    denied: str = ""


CASES = {
    "the newest version": Case({"a": {DB: 2}}, ""),
    "an older version": Case({"a": {DB: 1}}, "a"),
    "known to lack it at the newest version": Case({"a": {DB: absent_at(2)}}, ""),
    "known to lack it at an older version": Case({"a": {DB: absent_at(1)}}, "a"),
    "one lacks it and another has an older one": Case({"a": {DB: absent_at(2)}, "b": {DB: 1}}, "b"),
    "one is new and another has an older one": Case({"a": {DB: 2}, "b": {DB: 1}}, "b"),
    "one has none and another had one": Case(
        {"a": {LATE: absent_at(0)}, "b": {LATE: 3}}, "b", errors=["StoreNotFound"]
    ),
    "missing still": Case({"a": {LATE: absent_at(0)}, "b": {LATE: absent_at(0)}}, ""),
    "missing altogether by now": Case({"a": {LATE: absent_at(4)}}, ""),
    "a version that is missing still": Case({"a": {PINNED: absent_at(0)}}, ""),
    "a version that lacks the key": Case({"a": {PINNED: absent_at(3)}}, "", more=("",)),
    "a version that appeared": Case({"a": {PINNED: absent_at(0)}}, "a", more=("p",)),
    "a version that one object lacks and another has": Case(
        {"a": {PINNED: absent_at(0)}, "b": {PINNED: 3}}, "a", more=("p",)
    ),
    "a version that may not be read any more": Case(
        {"a": {PINNED: absent_at(0)}, "b": {PINNED: 3}}, "a", errors=["StoreDenied"], denied="kv/db"
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_objects_of_another_version_are_found(name: str) -> None:
    case = CASES[name]
    stores = Stores(denied={case.denied})
    for _ in range(2):
        stores.write("kv/db", p="x")
    for key in case.more:
        stores.write("kv/db", **{key or "other": "x"})
    record = ApplicationRecord(
        objects={
            ObjectId("", "Secret", "shop", name): ObjectRecord("v1", "u", stores=versions)
            for name, versions in case.recorded.items()
        }
    )
    changed, errors = await probing.rotated(stores, ApplicationId("shop", "web", "u"), record)
    assert "".join(sorted(key.name for key in changed)) == case.changed
    assert [error.reason for error in errors] == case.errors


async def test_a_store_that_is_away_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    stores = Stores(denied={f"kv/p{number}" for number in range(300)})
    recorded = {f"vault://main/kv/p{number}#k": 1 for number in range(300)}
    record = ApplicationRecord(objects={ObjectId("", "Secret", "shop", "a"): ObjectRecord("v1", stores=recorded)})
    assert await probing.found(stores, ApplicationId("shop", "app", "u"), record)
    assert len(caplog.records) == 51
    assert vars(caplog.records[-1])["problems"] == 250
