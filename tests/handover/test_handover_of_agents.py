"""Applications are handed from agent to agent, and nothing is reverted, deleted or said that is not so.

Four agents as processes, the API server's audit log as judge: `python -m bench.handover` plays the same, as often as one likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.handover import scenarios
from bench.handover.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="module")
def fleet() -> Generator[Fleet]:
    with Fleet(agent_fields=True) as running:
        running.begin(scenarios.APPLICATIONS, gates=scenarios.GATES)
        yield running


@pytest.mark.parametrize("name", scenarios.ACTS)
def test_a_hand_over_reverts_deletes_and_loses_nothing(fleet: Fleet, name: str):
    verdict = scenarios.play(fleet, name)
    # how long it took is the benchmark's to judge: other work on the machine makes it longer
    faults = [fault for fault in verdict.faults if fault.kind != "slow"]
    assert not faults, "\n".join(str(fault) for fault in faults)
