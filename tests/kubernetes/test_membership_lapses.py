"""A Lease that lapses or is lost stops writes, and taking it again begins a new term."""

from __future__ import annotations

import pytest
from memberships import QUICK, Clock, Scripted, lease, may_write, running, turns

from agent.adapters.kubernetes.resources import CONFIG_MAP
from agent.values.errors import LeaseLostError
from testbed.cluster import account


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
            await eventually(lambda: may_write(mine))
            await cluster.apply(CONFIG_MAP, body)


async def test_every_lapse_begins_a_new_term_however_short(member, eventually):
    clock = Clock()
    mine = member("a", clock=clock)
    await mine.acquire()
    assert mine.term == 1
    async with running(mine):
        await eventually(lambda: mine._valid_until > clock() + QUICK.safe - QUICK.renew)
        assert mine.term == 1, "renewals in time go on with the term"
        mine.changed.clear()
        clock.paused = QUICK.safe
        await eventually(lambda: mine.term == 2)
        assert mine.changed.is_set()
        mine.check()


async def test_a_lease_that_is_deleted_begins_a_new_term(member, controlplane, namespace, eventually):
    mine = member("a")
    await mine.acquire()
    async with running(mine):
        controlplane.delete(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-a")
        await eventually(lambda: mine.term == 2 and may_write(mine))


async def test_after_a_lapse_no_application_is_its_own_before_it_looked():
    now = [0.0]
    mine = Scripted(lambda: now[0])
    await mine.acquire()
    assert mine.members == ("a",)
    mine.changed.clear()
    mine.leases.answering.clear()
    mine.leases.items["b"] = lease("b", "9")
    now[0] = 40.0
    async with running(mine):
        mine.recheck()
        await turns()
        assert mine.changed.is_set()
        assert (mine.term, mine.members) == (2, ())
        mine.leases.answering.set()
        await turns()
        assert mine.members == ("a", "b")


async def test_after_a_lapse_others_have_a_whole_duration_to_renew():
    """They slept as well, or the API server was away for all."""
    now = [0.0]
    mine = Scripted(lambda: now[0], "b")
    await mine.acquire()
    now[0] = 40.0
    async with running(mine):
        members = []
        for _ in range(4):
            mine.recheck()
            await turns()
            members.append(mine.members)
            now[0] += 4.0
    assert members == [("a", "b"), ("a", "b"), ("a", "b"), ("a",)]
    assert mine.term == 2


async def test_an_apiserver_that_is_away_stops_writes_until_it_is_back(connect, relay, member, eventually):
    async with connect(port=relay.port) as cluster:
        mine = member("a", session=cluster._session)
        await mine.acquire()
        async with running(mine) as (task,):
            relay.refuse = True
            relay.cut()
            await eventually(lambda: not may_write(mine))
            await eventually(lambda: mine.members == ())
            relay.refuse = False
            await eventually(lambda: may_write(mine))
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
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]}
    controlplane.grant(namespace, account(namespace, "agent"), rule)
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/agent"
    token = controlplane.service_account_token(namespace, "agent")
    async with connect(token=token) as cluster:
        mine = member("a", session=cluster._session)
        await mine.acquire()
        async with running(mine) as (task,):
            controlplane.merge(role, {"rules": []})
            await eventually(lambda: not may_write(mine))
            controlplane.merge(role, {"rules": [rule]})
            await eventually(lambda: may_write(mine))
            assert not task.done()
