"""An object that others keep changing is healed more and more slowly, and at once again after it was left alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from agent.controllers import fights
from agent.controllers.managed import Hold, ManagedApplication
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.values.ids import ApplicationId, ObjectId


def test_the_first_heals_are_immediate() -> None:
    fight = None
    for second in range(fights.PATIENCE):
        fight = fights.healed(fight, float(second))
        assert fights.delay(fight, float(second)) == 0
        assert not fight.fought


def test_then_each_wait_is_longer_up_to_a_limit() -> None:
    fight, now, waits = None, 0.0, []
    for _ in range(fights.PATIENCE + 12):
        fight = fights.healed(fight, now)
        waits.append(fights.delay(fight, now))
        now += waits[-1]
    assert waits[fights.PATIENCE :] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert fight is not None
    assert fight.fought


def test_an_object_that_was_left_alone_starts_over() -> None:
    fight = None
    for _ in range(fights.PATIENCE + 3):
        fight = fights.healed(fight, 0.0)
    later = fights.healed(fight, 4 + fights.WINDOW + 1)
    assert later.heals == 1
    assert fights.delay(later, 4 + fights.WINDOW + 1) == 0


def test_what_is_kept_of_an_object_goes_with_it() -> None:
    stays, gone = (ObjectId("", "ConfigMap", "shop", name) for name in "ab")
    ledger = SimpleNamespace(record=ApplicationRecord(objects={stays: ObjectRecord("v1", "uid-a")}))
    managed = ManagedApplication(ApplicationId("shop", "web", "uid"), hold=cast("Hold", SimpleNamespace(ledger=ledger)))
    for key in (stays, gone):
        managed.fights[key] = fights.healed(None, 0.0)
        managed.drift_seen[key] = 0.0
    managed.forget_gone()
    assert (list(managed.fights), list(managed.drift_seen)) == ([stays], [stays])


def test_what_comes_back_after_each_removal_is_insisted_on_however_slowly_it_comes() -> None:
    fight = None
    for number in range(fights.PATIENCE + 1):
        assert not fight or not fight.insisted
        fight = fights.healed(fight, number * 3600.0, ["data.extra"])
    assert fight is not None
    assert not fight.fought
    assert fight.insisted == {"data.extra"}
    assert fights.healed(fight, fights.PATIENCE * 3600.0, ["data.other"]).insisted == {"data.extra"}


def test_removals_of_long_ago_do_not_count() -> None:
    fight = None
    for _ in range(fights.PATIENCE + 1):
        fight = fights.healed(fight, 0.0, ["data.extra"])
    later = fights.healed(fight, 2 * fights.FORGOTTEN, ["data.extra"])
    assert later.removed == {"data.extra": 1}


def test_removals_are_counted_for_as_many_fields_as_are_named_of_an_object() -> None:
    fight = None
    for number in range(200):
        fight = fights.healed(fight, 0.0, [f"data.k{number}"])
    assert fight is not None
    assert list(fight.removed) == [f"data.k{number}" for number in range(150, 200)]
