"""Two processes with one identity: the one that renews its Lease stays, and the other is refused."""

from __future__ import annotations

import asyncio
import time

import pytest
from memberships import QUICK, running

from agent.adapters.kubernetes.leases import Leases
from agent.adapters.kubernetes.membership import Membership, Terms
from agent.values.errors import LeaseLostError


async def test_a_recheck_finds_a_process_that_took_over_at_once(connect, namespace):
    slow = Terms(duration=1200, renew=600, safe=1000)
    async with connect() as cluster:
        earlier = Membership(Leases(cluster._session, namespace), "a", token="1", now=time.time, terms=slow)
        later = Membership(Leases(cluster._session, namespace), "a", token="2", now=time.time, terms=QUICK)
        await earlier.acquire()
        async with running(earlier) as (task,):
            await later.acquire()
            earlier.recheck()
            with pytest.raises(LeaseLostError):
                await asyncio.wait_for(task, 30)


async def test_a_later_process_of_an_identity_is_refused_while_the_earlier_renews(member):
    earlier, later = member("a", "1"), member("a", "2")
    await earlier.acquire()
    async with running(earlier) as (task,):
        with pytest.raises(LeaseLostError) as refused:
            await later.acquire()
        assert str(refused.value) == "another process has this agent's identity (identity a)"
        assert "--name" in refused.value.hint
        with pytest.raises(LeaseLostError):
            later.check()
        await later.release()
        await asyncio.sleep(2 * QUICK.renew)
        assert not task.done(), "the one that was there stays"
        earlier.check()


@pytest.mark.parametrize("gone", [False, True])
async def test_a_process_that_is_started_again_joins_within_a_lease(member, gone, controlplane, namespace, caplog):
    earlier, later = member("a", "1"), member("a", "2")
    await earlier.acquire()
    async with running(earlier):
        await asyncio.sleep(2 * QUICK.renew)
    # as by kill -9
    if gone:
        controlplane.delete(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-a")
    with caplog.at_level("INFO"):
        await later.acquire()
    later.check()
    waited = "waiting for the Lease of an earlier process to expire" in caplog.text
    assert waited is not gone
    async with running(later):
        await asyncio.sleep(0)
        later.check()


async def test_one_that_stood_still_ends_when_a_later_process_has_its_identity(member):
    earlier, later = member("a", "1"), member("a", "2")
    await earlier.acquire()
    await later.acquire()
    async with running(earlier, later) as (task, other):
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(task, 10)
        with pytest.raises(LeaseLostError):
            earlier.check()
        await earlier.release()
        later.check()
        assert not other.done()


async def test_of_two_that_wait_for_the_same_identity_one_is_refused(member):
    dead, second, third = member("a", "1"), member("a", "2"), member("a", "3")
    await dead.acquire()
    ended = await asyncio.gather(second.acquire(), third.acquire(), return_exceptions=True)
    assert sorted(type(each).__name__ for each in ended) == ["LeaseLostError", "NoneType"]


async def test_a_note_on_a_lease_is_no_renewal(member, controlplane, namespace):
    dead, later = member("a", "1"), member("a", "2")
    await dead.acquire()
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-a"
    taking = asyncio.create_task(later.acquire())
    await asyncio.sleep(QUICK.renew)
    await asyncio.to_thread(controlplane.merge, path, {"metadata": {"annotations": {"note": "edited"}}})
    await taking
    later.check()
