"""Leases: who is live, who may write, and what happens when an agent stops, dies, pauses or is replaced."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from agent.adapters.kubernetes.lease import Membership, Terms, boot_time
from agent.adapters.kubernetes.resources import CONFIG_MAP
from agent.values.errors import LeaseLostError

QUICK = Terms(duration=2, renew=0.2, safe=1.2)


class Clock:
    """The boot-time clock, and time that the process spent paused."""

    def __init__(self) -> None:
        self.paused = 0.0

    def __call__(self) -> float:
        return boot_time() + self.paused


@pytest.fixture
def member(cluster, namespace):
    def make(identity: str, token: str = "1", session=None, clock=boot_time) -> Membership:
        session = session or cluster._session
        return Membership(session, namespace, identity, token=token, now=time.time, clock=clock, terms=QUICK)

    return make


@asynccontextmanager
async def running(*members: Membership):
    tasks = [asyncio.create_task(member.run()) for member in members]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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


async def test_a_paused_agent_may_not_write_when_it_wakes(connect, member, namespace, eventually):
    clock = Clock()
    mine = member("a", clock=clock)
    await mine.acquire()
    async with connect(guard=mine.check) as cluster:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": namespace}}
        await cluster.apply(CONFIG_MAP, body)
        clock.paused = QUICK.safe
        with pytest.raises(LeaseLostError):
            await cluster.apply(CONFIG_MAP, body)
        async with running(mine):
            await eventually(lambda: _may_write(mine))
            await cluster.apply(CONFIG_MAP, body)


async def test_a_later_process_of_the_same_identity_ends_the_earlier(member):
    earlier, later = member("a", "1"), member("a", "2")
    await earlier.acquire()
    async with running(earlier) as (task,):
        await later.acquire()
        later.check()
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(task, 10)
        with pytest.raises(LeaseLostError):
            earlier.check()
        await earlier.release()
    async with running(later):
        await asyncio.sleep(0)
        later.check()


async def test_an_apiserver_that_is_away_stops_writes_until_it_is_back(connect, relay, member, eventually):
    async with connect(port=relay.port) as cluster:
        mine = member("a", session=cluster._session)
        await mine.acquire()
        async with running(mine) as (task,):
            relay.refuse = True
            relay.cut()
            await eventually(lambda: not _may_write(mine))
            await eventually(lambda: mine.members == ())
            relay.refuse = False
            await eventually(lambda: _may_write(mine))
            await eventually(lambda: mine.members == ("a",))
            assert not task.done()


async def test_a_deleted_or_edited_lease_is_taken_again(member, controlplane, namespace, eventually):
    mine = member("a")
    await mine.acquire()
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-a"
    async with running(mine) as (task,):
        controlplane.delete(path)
        await eventually(lambda: controlplane.request("GET", path)[0] == 200)
        controlplane.merge(path, {"metadata": {"annotations": {"note": "edited"}}})
        version = controlplane.get(path)["metadata"]["resourceVersion"]
        await eventually(lambda: controlplane.get(path)["metadata"]["resourceVersion"] != version)
        assert not task.done()
        mine.check()


async def test_a_right_that_is_taken_away_stops_writes_until_it_is_given_back(
    connect, controlplane, member, namespace, eventually
):
    controlplane.create_service_account(namespace, "agent")
    metadata = {"name": "agent", "namespace": namespace}
    api = "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]}
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}
    subject = {"kind": "ServiceAccount", "name": "agent", "namespace": namespace}
    reference = {"apiGroup": api, "kind": "Role", "name": "agent"}
    controlplane.apply(role)
    binding = {"apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": metadata}
    controlplane.apply({**binding, "roleRef": reference, "subjects": [subject]})
    token = controlplane.service_account_token(namespace, "agent")
    async with connect(token=token) as cluster:
        mine = member("a", session=cluster._session)
        await mine.acquire()
        async with running(mine) as (task,):
            controlplane.apply({**role, "rules": []})
            await eventually(lambda: not _may_write(mine))
            controlplane.apply(role)
            await eventually(lambda: _may_write(mine))
            assert not task.done()


async def test_a_release_leaves_no_lease_behind(member, controlplane, namespace):
    mine = member("a")
    await mine.acquire()
    await mine.release()
    assert controlplane.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")["items"] == []
    await mine.release()


def _may_write(member: Membership) -> bool:
    try:
        member.check()
    except LeaseLostError:
        return False
    return True
