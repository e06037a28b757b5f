"""One agent's hold on an Application: what shows it, what ends it, and what it costs."""

from __future__ import annotations

import asyncio

import pytest

from agent.engine.fence import FRESH_SECONDS, Fence
from agent.values.errors import ClusterUnavailableError, LeaseLostError


class World:
    """What a fence asks of others."""

    def __init__(self) -> None:
        self.mine = True
        self.stands = True
        self.away = False
        self.now = 0.0
        self.asked = 0
        self.fence = Fence(lambda: self.mine, self._stands, lambda: self.now, asyncio.Lock())
        self.answer = asyncio.Event()
        self.answer.set()

    async def _stands(self) -> bool:
        self.asked += 1
        await self.answer.wait()
        if self.away:
            raise ClusterUnavailableError("away")
        return self.stands


async def test_what_is_shown_counts_for_a_second():
    world = World()
    await world.fence.show()
    await world.fence.show()
    world.now = FRESH_SECONDS / 2
    await world.fence.show()
    assert world.asked == 1
    world.now = FRESH_SECONDS
    await world.fence.show()
    assert world.asked == 2
    await world.fence.show(afresh=True)
    assert world.asked == 3


async def test_a_write_of_the_head_shows_it_too():
    world = World()
    world.fence.shown()
    await world.fence.show()
    assert world.asked == 0


async def test_many_requests_at_once_ask_once():
    world = World()
    await asyncio.gather(*(world.fence.show() for _ in range(50)))
    assert world.asked == 1


async def test_none_goes_on_while_the_question_is_not_answered():
    world = World()
    world.answer.clear()
    waiting = [asyncio.create_task(world.fence.show()) for _ in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    world.stands = False
    world.answer.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in outcomes] == [LeaseLostError] * 5
    assert world.asked == 1


async def test_a_question_under_way_does_not_answer_one_that_was_asked_afresh():
    world = World()
    world.answer.clear()
    first = asyncio.create_task(world.fence.show())
    for _ in range(5):
        await asyncio.sleep(0)
    again = [asyncio.create_task(world.fence.show(afresh=True)) for _ in range(3)]
    world.answer.set()
    await asyncio.gather(first, *again)
    assert world.asked == 2, "one for all that asked after it was sent"


async def test_another_epoch_ends_the_hold_for_good():
    world = World()
    world.stands = False
    with pytest.raises(LeaseLostError):
        await world.fence.show()
    world.stands = True
    world.now = 10.0
    with pytest.raises(LeaseLostError):
        await world.fence.show()
    assert not world.fence.holds
    assert world.asked == 1


async def test_an_application_that_is_counted_as_anothers_for_a_moment_stays_lost():
    world = World()
    world.mine = False
    with pytest.raises(LeaseLostError):
        world.fence.check()
    world.mine = True
    with pytest.raises(LeaseLostError):
        world.fence.check()
    assert world.asked == 0


async def test_an_answer_that_did_not_come_is_asked_for_again():
    world = World()
    world.away = True
    with pytest.raises(ClusterUnavailableError):
        await world.fence.show()
    world.away = False
    await world.fence.show()
    assert world.asked == 2
    assert world.fence.holds


async def test_a_hold_that_was_ended_asks_nothing():
    world = World()
    world.fence.end()
    with pytest.raises(LeaseLostError):
        await world.fence.show(afresh=True)
    assert world.asked == 0
