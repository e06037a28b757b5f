"""Leases: which agents are live, how they come and go, and when an agent may write."""

from __future__ import annotations

import asyncio
import time

import pytest
from memberships import QUICK, Clock, Scripted, running, turns

from agent.adapters.kubernetes.leases import Leases
from agent.adapters.kubernetes.membership import Membership, Terms, boot_time
from agent.values.errors import LeaseLostError


async def test_no_write_before_the_lease_is_held_and_none_after(member):
    mine = member("a")
    with pytest.raises(LeaseLostError):
        mine.check()
    await mine.acquire()
    mine.check()
    assert mine.members == ("a",)
    await mine.release()
    with pytest.raises(LeaseLostError):
        mine.check()
    assert mine.members == ()


async def test_a_lease_that_changed_meanwhile_is_given_back_all_the_same(member, namespace, controlplane):
    mine = member("a")
    await mine.acquire()
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-a"
    await asyncio.to_thread(controlplane.merge, lease, {"metadata": {"annotations": {"renewed": "and cut short"}}})
    await mine.release()
    assert (await asyncio.to_thread(controlplane.request, "GET", lease))[0] == 404


async def test_members_come_and_go(member, eventually):
    first, second = member("a"), member("b")
    await first.acquire()
    async with running(first):
        await second.acquire()
        assert second.members == ("a", "b")
        async with running(second):
            await eventually(lambda: first.members == ("a", "b"))
        # cancelled without a release, as by kill -9: the Lease runs out
        started = time.monotonic()
        await eventually(lambda: first.members == ("a",))
        assert time.monotonic() - started > QUICK.safe
        await second.acquire()
        await eventually(lambda: first.members == ("a", "b"))
        await second.release()
        await eventually(lambda: first.members == ("a",))
        first.check()


async def test_newcomers_and_those_that_go_are_seen_without_a_renewal(connect, namespace, eventually):
    slow = Terms(duration=1200, renew=600, safe=1000)
    async with connect() as cluster:
        first, second = (
            Membership(Leases(cluster._session, namespace), name, token="1", now=time.time, terms=slow) for name in "ab"
        )
        await first.acquire()
        async with running(first):
            await second.acquire()
            await eventually(lambda: first.members == ("a", "b"))
            await second.release()
            await eventually(lambda: first.members == ("a",))


async def test_the_lease_of_a_dead_agent_goes_and_keeps_no_later_one_waiting(
    member, controlplane, namespace, eventually
):
    first, dead, third = member("a"), member("b"), member("c")
    await dead.acquire()
    await first.acquire()
    assert first.members == ("a", "b")
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-b"
    async with running(first):
        await eventually(lambda: controlplane.request("GET", path)[0] == 404)
        assert first.members == ("a",)
        await third.acquire()
        assert third.members == ("a", "c")


async def test_a_lease_that_is_removed_while_it_is_taken_is_made_again(member, controlplane, namespace, monkeypatch):
    earlier, later = member("a", "1"), member("a", "1")
    await earlier.acquire()
    get, removed = later._leases.get, []

    async def removed_behind(identity):
        found = await get(identity)
        if found is not None and not removed:
            removed.append(found)
            lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-a"
            await asyncio.to_thread(controlplane.delete, lease)
        return found

    monkeypatch.setattr(later._leases, "get", removed_behind)
    await later.acquire()
    later.check()
    assert removed
    assert later.members == ("a",)


async def test_an_agent_that_slept_counts_no_other_as_dead_before_it_looked(member, eventually):
    clock = Clock()
    # a busy machine may keep an agent from renewing for some seconds
    unhurried = Terms(duration=30, renew=0.2, safe=18)
    first, second = member("a", clock=clock, terms=unhurried), member("b", terms=unhurried)
    await first.acquire()
    await second.acquire()
    seen: set[tuple[str, ...]] = set()
    async with running(first, second):
        await eventually(lambda: first.members == ("a", "b"))
        clock.paused = 3 * unhurried.duration
        await eventually(lambda: seen.add(first.members) or first.term == 2)
        await eventually(lambda: seen.add(first.members) or first.members == ("a", "b"))
    assert ("a",) not in seen


async def test_what_the_watch_said_meanwhile_is_newer_than_the_list():
    mine = Scripted(lambda: 0.0, "b")
    await mine.acquire()
    mine.leases.answering.clear()
    looking = asyncio.create_task(mine._look())
    await turns()
    mine._watched.add("b")
    mine._seen.pop("b")
    mine.leases.answering.set()
    await looking
    assert mine.members == ("a",)


async def test_two_dead_agents_of_which_another_removes_one():
    now = [0.0]
    mine = Scripted(lambda: now[0], "b", "c")
    await mine.acquire()
    removed = []

    async def delete(identity, *_):
        removed.append(identity)
        mine._seen.pop("c", None)
        return False

    mine.leases.delete = delete
    now[0], mine._valid_until = 20.0, 100.0
    await mine._look()
    assert removed == ["b", "c"]
    assert mine.members == ("a",)


async def test_rechecks_keep_a_pace():
    now = [0.0]
    mine = Scripted(lambda: now[0])
    await mine.acquire()
    async with running(mine):
        for _ in range(100):
            mine.recheck()
            await turns(5)
        assert mine.leases.put <= 3
        assert mine.leases.listed <= 3


async def test_a_defect_ends_the_membership_rather_than_its_renewals(monkeypatch):
    mine = Scripted(boot_time)
    await mine.acquire()

    async def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(mine, "_follow", broken)
    mine.recheck()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(mine.run(), 10)


async def test_a_release_leaves_no_lease_behind(member, controlplane, namespace):
    mine = member("a")
    await mine.acquire()
    await mine.release()
    assert controlplane.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")["items"] == []
    await mine.release()
