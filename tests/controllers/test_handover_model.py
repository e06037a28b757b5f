"""Handing an Application from agent to agent, in every order to a depth: nothing reverts, deletes or lies, and the model finds what would."""

from __future__ import annotations

import sys

import pytest
from handover_model.explorer import explore
from handover_model.faults import FAULTS
from handover_model.stories import STORIES

DEPTHS = {
    "paused while idle": (1, 24),
    "paused in a run": (1, 30),
    "paused in a run that is taken back": (1, 24),
    "paused in a heal": (1, 16),
    "paused too shortly for others to notice": (1, 5),
    "a newcomer": (2, 250),
    "a newcomer in a run": (1, 40),
    "a newcomer that goes again": (1, 30),
    "a newcomer beside a commit": (1, 35),
    "waiting for a wave": (1, 24),
    "two of one name": (1, 18),
    "a failure that is the old owner's": (1, 10),
    "cut off": (1, 28),
    "killed": (1, 9),
}
"""In how many places an order differs from the usual one, and how many orders there are at least: fewer would be looked at in vain."""


def test_every_story_is_looked_at() -> None:
    assert DEPTHS.keys() == STORIES.keys()


@pytest.mark.parametrize("story", STORIES)
def test_no_order_of_events_does_harm(story: str) -> None:
    differences, least = DEPTHS[story]
    found = explore(STORIES[story], differences)
    assert found.wrong == (), " | ".join(found.happened)
    assert found.orders >= least
    sys.stdout.write(f"{found.orders} orders\n")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, story, differences = FAULTS[fault]
    plant(monkeypatch)
    found = explore(STORIES[story], differences)
    assert found.wrong
    sys.stdout.write(f"{found.orders} orders until: {found.wrong[0]}\n")
