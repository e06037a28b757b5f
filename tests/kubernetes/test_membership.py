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
        await eventually(lambda: mine.term == 2 and _may_write(mine))


async def test_newcomers_and_those_that_go_are_seen_without_a_renewal(connect, namespace, eventually):
    slow = Terms(duration=60, renew=30, safe=50)
    async with connect() as cluster:
        first, second = (
            Membership(cluster._session, namespace, name, token="1", now=time.time, terms=slow) for name in "ab"
        )
        await first.acquire()
        async with running(first):
            await second.acquire()
            await eventually(lambda: first.members == ("a", "b"), seconds=5)
            await second.release()
            await eventually(lambda: first.members == ("a",), seconds=5)


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
    get, removed = later._get, []

    async def removed_behind():
        found = await get()
        if found is not None and not removed:
            removed.append(found)
            lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-a"
            await asyncio.to_thread(controlplane.delete, lease)
        return found

    monkeypatch.setattr(later, "_get", removed_behind)
    await later.acquire()
    later.check()
    assert removed
    assert later.members == ("a",)


async def test_an_agent_that_slept_counts_nobody_as_dead_before_it_looked(member, eventually):
    clock = Clock()
    first, second = member("a", clock=clock), member("b")
    await first.acquire()
    await second.acquire()
    seen: set[tuple[str, ...]] = set()
    async with running(first, second):
        await eventually(lambda: first.members == ("a", "b"))
        clock.paused = 3 * QUICK.duration
        await eventually(lambda: seen.add(first.members) or first.term == 2)
        await eventually(lambda: seen.add(first.members) or first.members == ("a", "b"))
    assert ("a",) not in seen


async def test_a_recheck_finds_a_process_that_took_over_at_once(connect, namespace):
    slow = Terms(duration=60, renew=30, safe=50)
    async with connect() as cluster:
        earlier = Membership(cluster._session, namespace, "a", token="1", now=time.time, terms=slow)
        later = Membership(cluster._session, namespace, "a", token="2", now=time.time, terms=QUICK)
        await earlier.acquire()
        async with running(earlier) as (task,):
            await later.acquire()
            earlier.recheck()
            with pytest.raises(LeaseLostError):
                await asyncio.wait_for(task, 5)


class Scripted(Membership):
    """Its Leases are a list, which it gets when the test lets it."""

    def __init__(self, clock, *others: str) -> None:
        super().__init__(None, "signet-system", "a", token="1", now=time.time, clock=clock)
        self.leases = [lease(name, "1") for name in ("a", *others)]
        self.answering = asyncio.Event()
        self.answering.set()
        self.listed = self.put = 0
        self.objects_of_leases()

    def objects_of_leases(self) -> None:
        async def listing(*_, **__):
            self.listed += 1
            found = list(self.leases)
            await self.answering.wait()
            return found

        self._objects.list = listing

    async def _follow(self) -> None:
        await asyncio.Event().wait()

    async def _get(self):
        return None

    async def _send(self, method, body, allow=()):
        self.put += 1
        await asyncio.sleep(0)
        return lease("a", str(self.put))


def lease(name: str, version: str) -> dict:
    metadata = {"name": f"signet-agent-{name}", "uid": f"uid-{name}", "resourceVersion": version}
    return {"metadata": metadata, "spec": {"holderIdentity": name}}


async def turns(number: int = 30) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_after_a_lapse_no_application_is_its_own_before_it_looked():
    now = [0.0]
    mine = Scripted(lambda: now[0])
    await mine.acquire()
    assert mine.members == ("a",)
    mine.changed.clear()
    mine.answering.clear()
    mine.leases.append(lease("b", "9"))
    now[0] = 40.0
    async with running(mine):
        mine.recheck()
        await turns()
        assert mine.changed.is_set()
        assert (mine.term, mine.members) == (2, ())
        mine.answering.set()
        await turns()
        assert mine.members == ("a", "b")


async def test_what_the_watch_said_meanwhile_is_newer_than_the_list():
    mine = Scripted(lambda: 0.0, "b")
    await mine.acquire()
    mine.answering.clear()
    looking = asyncio.create_task(mine._look())
    await turns()
    mine._watched.add("b")
    mine._seen.pop("b")
    mine.answering.set()
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

    mine._delete = delete
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
        assert mine.put <= 3
        assert mine.listed <= 3


async def test_a_defect_ends_the_membership_rather_than_its_renewals(monkeypatch):
    mine = Scripted(boot_time)
    await mine.acquire()

    async def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(mine, "_follow", broken)
    mine.recheck()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(mine.run(), 10)


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
async def test_a_process_that_is_started_again_joins_within_a_lease(member, gone, controlplane, namespace):
    earlier, later = member("a", "1"), member("a", "2")
    await earlier.acquire()
    async with running(earlier):
        await asyncio.sleep(2 * QUICK.renew)
    # as by kill -9
    if gone:
        controlplane.delete(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/signet-agent-a")
    started = time.monotonic()
    await later.acquire()
    later.check()
    assert (time.monotonic() - started < QUICK.duration / 2) is gone
    assert time.monotonic() - started < QUICK.duration + 1
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
